#!jinja|json
{# What every node gets, and the files of the roles that it has. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
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
{%- set states = {
  "include": include,
  "virtapi_node": {"test.nop": [
    {"meta": document["meta"]},
    {"node": document["node"]},
    {"roles": document["roles"]},
  ]},
} %}
{#- The files for Ceph manage nothing yet: that a document was applied is not told where a part of it was not. #}
{%- set hypervisor = "hypervisor" in document["roles"] %}
{%- if "ceph_mon" not in document["roles"] and "ceph_osd" not in document["roles"] and (settings["manage"] or not hypervisor) %}
  {%- do states.update({"virtapi_document": {"virtapi_document.applied": [
    {"meta": document["meta"]},
    {"hypervisor": document["hypervisor"] if hypervisor else none},
    {"ceph": {
      "clusters": document["ceph"]["clusters"],
      "keys": ceph["keys"],
      "rbd_user": settings["rbd_user"],
    } if "ceph" in document and ceph["manage"] else none},
    {"order": "last"},
  ]}}) %}
{%- endif %}
{{- states | json }}
