#!jinja|json
{# What a hypervisor needs of the clusters whose pools its machines use: the key, and libvirt's secret. Of a cluster that the
   site has given no key `client` of, the site provides these itself. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
{#- A monitor on the same node has the key as well, and tells the cluster of it. #}
{%- set of_mon = document["ceph"]["mon"]["cluster"] if "ceph_mon" in document["roles"] else none %}
{%- set states = {"include": ["virtapi.ceph"] + (["virtapi.ceph.mon"] if of_mon else [])} %}
{%- for name, cluster in document.get("ceph", {}).get("clusters", {}).items() if "client" in ceph["keys"].get(name, []) %}
  {%- if ceph["manage"] %}
    {%- set entity = "client." ~ settings["rbd_user"] %}
    {%- if name != of_mon %}
      {%- do states.update({"virtapi_ceph_keyring_" ~ name ~ "/" ~ entity: {"virtapi_ceph_keyring.present": [
        {"name": name ~ "/" ~ entity},
        {"key": "client"},
        {"require": [{"virtapi_ceph_settings": "virtapi_ceph_settings_" ~ name}]},
        {"order": 1},
      ]}}) %}
    {%- endif %}
    {%- do states.update({"virtapi_ceph_secret_" ~ name: {"virtapi_ceph_secret.present": [
      {"name": cluster["fsid"]},
      {"cluster": name},
      {"usage": name ~ " " ~ entity},
      {"order": 1},
    ]}}) %}
  {%- endif %}
{%- endfor %}
{{- states | json }}
