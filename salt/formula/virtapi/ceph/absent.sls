#!jinja|json
{# What the site says is to be absent from this node, which its document has no more: nothing goes by the document alone. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- from "virtapi/ceph/map.jinja" import ceph, absent with context %}
{%- set present = {} %}
{%- for osd in document.get("ceph", {}).get("osds", []) %}
  {%- do present.update({osd["uuid"]: osd["cluster"]}) %}
{%- endfor %}
{%- set states = {"include": ["virtapi.observation"]} %}
{%- for mon in absent["mons"] if ceph["manage"] %}
  {%- do states.update({"virtapi_ceph_mon_" ~ mon: {"virtapi_ceph_mon.absent": [
    {"name": mon}, {"init": ceph["init"]}, {"order": 5}]}}) %}
{%- endfor %}
{%- for mgr in absent["mgrs"] if ceph["manage"] %}
  {%- do states.update({"virtapi_ceph_mgr_" ~ mgr: {"virtapi_ceph_mgr.absent": [
    {"name": mgr}, {"init": ceph["init"]}, {"order": 6}]}}) %}
{%- endfor %}
{%- for uuid, cluster in absent["osds"].items() if ceph["manage"] %}
  {%- do states.update({"virtapi_ceph_osd_" ~ uuid: {"virtapi_ceph_osd.absent": [
    {"name": uuid},
    {"cluster": cluster},
    {"osds": {"present": present, "absent": absent["osds"]}},
    {"meta": document["meta"]},
    {"fqdn": document["node"]["fqdn"]},
    {"max_removals": ceph["max_removals"]},
    {"init": ceph["init"]},
    {"order": 5},
  ]}}) %}
{%- endfor %}
{{- states | json }}
