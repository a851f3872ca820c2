#!jinja|json
{# A node with Ceph OSDs: one state for each. Without `manage` they carry the data and change nothing. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
{%- if not document.get("ceph", {}).get("osds") %}
  {{- raise("virtapi: virtapi.ceph.osd is assigned to a node without Ceph OSDs") }}
{%- endif %}
{%- set beside_mon = ceph["manage"] and "ceph_mon" in document["roles"] %}
{%- set states = {"include": ["virtapi.ceph", "virtapi.observation"] + (["virtapi.ceph.mon"] if beside_mon else [])} %}
{%- for osd in document["ceph"]["osds"] %}
  {%- set id = "virtapi_ceph_osd_" ~ osd["uuid"] %}
  {%- if not ceph["manage"] %}
    {%- do states.update({id: {"test.nop": [{"osd": osd}]}}) %}
  {%- else %}
    {%- set cluster = osd["cluster"] %}
    {%- if "admin" not in ceph["keys"].get(cluster, []) %}
      {{- raise("virtapi: keys of virtapi_ceph needs the key admin of cluster " ~ cluster) }}
    {%- endif %}
    {%- set needed = [{"virtapi_ceph_keyring": "virtapi_ceph_keyring_" ~ cluster ~ "/client.admin"}] %}
    {%- if beside_mon %}
      {%- do needed.extend([{"virtapi_ceph_mon": "virtapi_ceph_mon"}, {"virtapi_ceph_mgr": "virtapi_ceph_mgr"}]) %}
    {%- endif %}
    {%- do states.update({id: {"virtapi_ceph_osd.present": [
      {"name": osd["uuid"]},
      {"osd": osd},
      {"store": ceph["store"]},
      {"init": ceph["init"]},
      {"require": needed},
      {"order": 4},
    ]}}) %}
  {%- endif %}
{%- endfor %}
{{- states | json }}
