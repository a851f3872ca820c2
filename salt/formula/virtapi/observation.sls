#!jinja|json
{# The last of every run: what is really on this node. One state tells it of all its roles. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph, absent with context %}
{%- set clusters = document.get("ceph", {}).get("clusters", {}) %}
{%- set arguments = [{"order": "last"}] %}
{%- if "hypervisor" in document["roles"] and settings["manage"] %}
  {%- set used = {} %}
  {%- for volume in (document["hypervisor"].get("tombstones") or {"volumes": {}})["volumes"].values() if volume["type"] == "rbd" %}
    {%- do used.update({volume["cluster"]: clusters.get(volume["cluster"])}) %}
  {%- endfor %}
  {%- do arguments.extend([
    {"hypervisor": document["hypervisor"]},
    {"switch": settings["switch"]},
    {"uplink": settings["uplink"]},
    {"clusters": used},
    {"rbd_user": settings["rbd_user"]},
    {"lxc_path": settings["lxc_path"]},
  ]) %}
{%- endif %}
{%- if ceph["manage"] %}
  {%- set mons = [] %}
  {%- set osds = {} %}
  {%- if "ceph_mon" in document["roles"] %}
    {%- do mons.append(document["ceph"]["mon"]["cluster"]) %}
  {%- endif %}
  {%- for mon in absent["mons"] %}
    {%- do mons.append(mon.split("/")[0]) %}
  {%- endfor %}
  {%- if "ceph_osd" in document["roles"] %}
    {%- for osd in document["ceph"]["osds"] %}
      {%- do osds.update({osd["uuid"]: osd["cluster"]}) %}
    {%- endfor %}
  {%- endif %}
  {%- do osds.update(absent["osds"]) %}
  {%- set pools = [] %}
  {%- for name, cluster in clusters.items() if name in mons %}
    {%- for pool in cluster["pools"] %}
      {%- do pools.append(name ~ "/" ~ pool["name"]) %}
    {%- endfor %}
  {%- endfor %}
  {%- if mons or osds %}
    {%- do arguments.append({"ceph": {"mons": mons | unique | list, "osds": osds, "pools": pools}}) %}
  {%- endif %}
{%- endif %}
{%- set states = {} %}
{%- if arguments | length > 1 %}
  {%- do states.update({"virtapi_observation": {"virtapi_document.observed": arguments}}) %}
{%- endif %}
{{- states | json }}
