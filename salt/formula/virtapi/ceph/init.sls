#!jinja|json
{# Any node that uses Ceph: one state for each cluster that it must reach. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- if "ceph" not in document %}
  {{- raise("virtapi: virtapi.ceph is assigned to a node that uses no Ceph cluster") }}
{%- endif %}
{%- set states = {} %}
{%- for name, cluster in document["ceph"]["clusters"].items() %}
  {%- do states.update({"virtapi_ceph_cluster_" ~ name: {"test.nop": [{"cluster_name": name}, {"cluster": cluster}]}}) %}
{%- endfor %}
{{- states | json }}
