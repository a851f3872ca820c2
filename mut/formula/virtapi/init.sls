#!jinja|json
{# What every node gets, and the files of the roles that it has. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- set sls_of_role = {
  "hypervisor": "virtapi.hypervisor",
  "ceph_mon": "virtapi.ceph.mon",
  "ceph_osd": "virtapi.ceph.osd",
} %}
{%- set include = [] %}
{%- if "ceph" in document %}
  {%- do include.append("virtapi.ceph") %}
{%- endif %}
{%- for role in document["roles"] %}
  {%- if role not in sls_of_role %}
    {{- raise("virtapi: this formula knows no role " ~ role) }}
  {%- endif %}
  {%- do include.append(sls_of_role[role]) %}
{%- endfor %}
{{- {
  "include": include,
  "virtapi_node": {"test.nop": [
    {"meta": document["meta"]},
    {"node": document["node"]},
    {"roles": document["roles"]},
  ]},
} | json }}
