#!jinja|json
{# A node with Ceph OSDs: one state for each. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- if not document.get("ceph", {}).get("osds") %}
  {{- raise("virtapi: virtapi.ceph.osd is assigned to a node without Ceph OSDs") }}
{%- endif %}
{%- set states = {"include": ["virtapi.ceph"]} %}
{%- for osd in document["ceph"]["osds"] %}
  {%- do states.update({"virtapi_ceph_osd_" ~ osd["uuid"]: {"test.nop": [{"osd": osd}]}}) %}
{%- endfor %}
{{- states | json }}
