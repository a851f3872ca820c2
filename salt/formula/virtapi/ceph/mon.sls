#!jinja|json
{# A Ceph monitor, with a manager beside it, and what a cluster's monitors see to: its pools, and the key of those who use
   them. Without `manage` the state carries the data and changes nothing. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
{%- if not document.get("ceph", {}).get("mon") %}
  {{- raise("virtapi: virtapi.ceph.mon is assigned to a node that is no Ceph monitor") }}
{%- endif %}
{%- set mon = document["ceph"]["mon"] %}
{%- set states = {"include": ["virtapi.ceph", "virtapi.observation"]} %}
{%- if not ceph["manage"] %}
  {%- do states.update({"virtapi_ceph_mon": {"test.nop": [{"mon": mon}]}}) %}
{%- else %}
  {%- set cluster = mon["cluster"] %}
  {%- set described = document["ceph"]["clusters"][cluster] %}
  {%- set keys = ceph["keys"].get(cluster, []) %}
  {%- if "mon" not in keys or "admin" not in keys %}
    {{- raise("virtapi: keys of virtapi_ceph needs the keys mon and admin of cluster " ~ cluster) }}
  {%- endif %}
  {%- set title = cluster ~ "/" ~ mon["name"] %}
  {%- set first = "virtapi_ceph_keyring_" ~ cluster ~ "/mon." %}
  {%- set needs_mon = {"require": [{"virtapi_ceph_mon": "virtapi_ceph_mon"}]} %}
  {%- do states.update({
    first: {"virtapi_ceph_keyring.present": [
      {"name": cluster ~ "/mon."},
      {"key": "mon"},
      {"require": [{"virtapi_ceph_settings": "virtapi_ceph_settings_" ~ cluster}]},
      {"order": 1},
    ]},
    "virtapi_ceph_mon": {"virtapi_ceph_mon.present": [
      {"name": title},
      {"mon": mon},
      {"cluster": described},
      {"bootstrap": cluster in ceph["bootstrap"]},
      {"init": ceph["init"]},
      {"require": [
        {"virtapi_ceph_keyring": first},
        {"virtapi_ceph_keyring": "virtapi_ceph_keyring_" ~ cluster ~ "/client.admin"},
      ]},
      {"order": 2},
    ]},
    "virtapi_ceph_mgr": {"virtapi_ceph_mgr.present": [
      {"name": title},
      {"init": ceph["init"]},
      needs_mon,
      {"order": 3},
    ]},
  }) %}
  {%- for pool in described["pools"] %}
    {%- set name = cluster ~ "/" ~ pool["name"] %}
    {%- do states.update({"virtapi_ceph_pool_" ~ name: {"virtapi_ceph_pool.present": [
      {"name": name},
      {"size": pool["size"]},
      {"min_size": pool["min_size"]},
      {"pg_num": pool["pg_num"]},
      needs_mon,
      {"order": 3},
    ]}}) %}
  {%- endfor %}
  {%- if "client" in keys %}
    {%- set name = cluster ~ "/client." ~ settings["rbd_user"] %}
    {%- do states.update({"virtapi_ceph_keyring_" ~ name: {"virtapi_ceph_keyring.present": [
      {"name": name},
      {"key": "client"},
      {"pools": described["pools"]},
      needs_mon,
      {"order": 3},
    ]}}) %}
  {%- endif %}
{%- endif %}
{{- states | json }}
