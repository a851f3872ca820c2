#!jinja|json
{# Any node that uses Ceph: a state for each cluster that it must reach; and of those that the site has given keys of, the
   settings and, on storage nodes, the administrator's key. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
{%- if "ceph" not in document %}
  {{- raise("virtapi: virtapi.ceph is assigned to a node that uses no Ceph cluster") }}
{%- endif %}
{%- set serves = "ceph_mon" in document["roles"] or "ceph_osd" in document["roles"] %}
{%- set states = {} %}
{%- for name, cluster in document["ceph"]["clusters"].items() %}
  {%- do states.update({"virtapi_ceph_cluster_" ~ name: {"test.nop": [{"cluster_name": name}, {"cluster": cluster}]}}) %}
  {%- if ceph["manage"] and name in ceph["keys"] %}
    {%- set settings = "virtapi_ceph_settings_" ~ name %}
    {%- do states.update({settings: {"virtapi_ceph_settings.present": [
      {"name": name},
      {"cluster": cluster},
      {"settings": ceph["settings"]},
      {"order": 1},
    ]}}) %}
    {%- if serves and "admin" in ceph["keys"][name] %}
      {%- do states.update({"virtapi_ceph_keyring_" ~ name ~ "/client.admin": {"virtapi_ceph_keyring.present": [
        {"name": name ~ "/client.admin"},
        {"key": "admin"},
        {"require": [{"virtapi_ceph_settings": settings}]},
        {"order": 1},
      ]}}) %}
    {%- endif %}
  {%- endif %}
{%- endfor %}
{{- states | json }}
