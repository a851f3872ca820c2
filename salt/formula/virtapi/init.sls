#!jinja|json
{# What every node gets, and the files of the roles that it has. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph, absent with context %}
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
{%- if absent["mons"] or absent["mgrs"] or absent["osds"] %}
  {%- do include.append("virtapi.ceph.absent") %}
{%- endif %}
{%- set states = {
  "include": include,
  "virtapi_node": {"test.nop": [
    {"meta": document["meta"]},
    {"node": document["node"]},
    {"roles": document["roles"]},
  ]},
} %}
{#- Where a part of the document is only carried, nobody here knows whether it was applied. #}
{%- set roles = document["roles"] %}
{%- set hypervisor = "hypervisor" in roles %}
{%- set serves = "ceph_mon" in roles or "ceph_osd" in roles %}
{%- if (settings["manage"] or not hypervisor) and (ceph["manage"] or not serves) %}
  {%- do states.update({"virtapi_document": {"virtapi_document.applied": [
    {"meta": document["meta"]},
    {"hypervisor": document.get("hypervisor") if hypervisor else none},
    {"ceph": {
      "clusters": document["ceph"]["clusters"],
      "mon": document["ceph"]["mon"] if "ceph_mon" in roles else none,
      "osds": document["ceph"]["osds"] if "ceph_osd" in roles else [],
      "keys": ceph["keys"],
      "rbd_user": settings["rbd_user"],
    } if "ceph" in document and ceph["manage"] else none},
    {"order": "last"},
  ]}}) %}
{%- endif %}
{{- states | json }}
