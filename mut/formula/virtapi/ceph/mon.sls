#!jinja|json
{# A Ceph monitor. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- if not document.get("ceph", {}).get("mon") %}
  {{- raise("virtapi: virtapi.ceph.mon is assigned to a node that is no Ceph monitor") }}
{%- endif %}
{{- {
  "include": ["virtapi.ceph"],
  "virtapi_ceph_mon": {"test.nop": [{"mon": document["ceph"]["mon"]}]},
} | json }}
