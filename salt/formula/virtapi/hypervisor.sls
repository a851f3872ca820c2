#!jinja|json
{# A hypervisor: its own settings, and a state for each VM, each of its volumes and the bridge of each of its interfaces;
   then one for all tombstones, for a volume may be a part of a VM until then. Without `manage` they carry the data and
   change nothing. #}
{%- from "virtapi/map.jinja" import document, settings with context %}
{%- from "virtapi/ceph/map.jinja" import ceph with context %}
{%- if "hypervisor" not in document %}
  {{- raise("virtapi: virtapi.hypervisor is assigned to a node that is no hypervisor") }}
{%- endif %}
{%- set manage = settings["manage"] %}
{%- set states = {} %}
{%- set clusters = document.get("ceph", {}).get("clusters", {}) %}
{#- The device of each VLAN and VXLAN on this node, by name. #}
{%- set devices = {} %}
{%- for interface in document["node"].get("interfaces", []) %}
  {%- for vlan in interface["vlans"] if interface["bond"] or interface["name"] %}
    {%- do devices.update({vlan["name"]: interface["bond"] or interface["name"]}) %}
  {%- endfor %}
{%- endfor %}
{#- The volumes in pools, and what they and their machines need of each cluster. #}
{%- set tombstones = document["hypervisor"].get("tombstones") or {"vms": {}, "volumes": {}} %}
{%- set of_clusters = {} %}
{%- for volume in document["hypervisor"]["vms"].values() | map(attribute="volumes") | sum(start=[]) + tombstones["volumes"].values() | list
      if manage and volume["type"] == "rbd" %}
  {%- set needed = [] %}
  {%- if ceph["manage"] and volume["cluster"] in clusters and "client" in ceph["keys"].get(volume["cluster"], []) %}
    {%- do needed.append({"virtapi_ceph_keyring": "virtapi_ceph_keyring_" ~ volume["cluster"] ~ "/client." ~ settings["rbd_user"]}) %}
    {%- do needed.append({"virtapi_ceph_secret": "virtapi_ceph_secret_" ~ volume["cluster"]}) %}
  {%- endif %}
  {%- do of_clusters.update({volume["cluster"]: needed}) %}
{%- endfor %}
{%- do states.update({"include": ["virtapi.observation"] + (["virtapi.ceph.client"] if of_clusters else [])}) %}
{%- set own = {} %}
{%- for key, value in document["hypervisor"].items() if key != "vms" %}
  {%- do own.update({key: value}) %}
{%- endfor %}
{%- do states.update({"virtapi_hypervisor": {"test.nop": [{"hypervisor": own}]}}) %}
{%- for vm_uuid, vm in document["hypervisor"]["vms"].items() %}
  {%- set needed = [] %}
  {%- set used = {} %}
  {%- for interface in vm["interfaces"] if manage %}
    {%- set device = devices.get(interface["vlans"][0]["name"]) if interface["vlans"] else none %}
    {%- set id = "virtapi_bridge_" ~ interface["bridge"] %}
    {%- do needed.append({"virtapi_bridge": id}) %}
    {%- do states.update({id: {"virtapi_bridge.present": [
      {"name": interface["bridge"]},
      {"vlans": interface["vlans"]},
      {"switch": settings["switch"]},
      {"uplink": settings["uplink"] or (device if settings["switch"] == "linux" else none)},
      {"vxlan_device": settings["vxlan_device"] or device},
      {"vxlan_peers": settings["vxlan_peers"] | list},
      {"mtu": interface.get("mtu")},
    ]}}) %}
  {%- endfor %}
  {%- for volume in vm["volumes"] %}
    {%- set id = "virtapi_volume_" ~ volume["uuid"] %}
    {%- set arguments = [{"name": volume["uuid"]}, {"vm": vm_uuid}, {"volume": volume}] %}
    {%- if manage and volume["type"] == "rbd" %}
      {%- do used.update({volume["cluster"]: clusters.get(volume["cluster"])}) %}
      {%- do arguments.extend([{"cluster": clusters.get(volume["cluster"])}, {"rbd_user": settings["rbd_user"]}]) %}
      {%- do arguments.append({"require": of_clusters[volume["cluster"]]}) %}
    {%- endif %}
    {%- set own = [{"lxc_path": settings["lxc_path"]}] if manage and vm["virt_method"] == "LXC" else [] %}
    {%- do needed.append({("virtapi_volume" if manage else "test"): id}) %}
    {%- do states.update({id: {("virtapi_volume.present" if manage else "test.nop"): arguments + own}}) %}
    {#- They come before the machine by their name; it does not need them. #}
    {%- if manage and volume["snapshots"] %}
      {%- set more = arguments[:3] + [{"require": [{"virtapi_volume": id}]}] %}
      {%- if volume["type"] == "rbd" %}
        {%- do more.extend([{"cluster": clusters.get(volume["cluster"])}, {"rbd_user": settings["rbd_user"]}]) %}
      {%- endif %}
      {%- do states.update({"virtapi_snapshots_" ~ volume["uuid"]: {"virtapi_snapshots.present": more}}) %}
    {%- endif %}
  {%- endfor %}
  {%- set contained = vm["virt_method"] == "LXC" %}
  {%- if manage and vm.get("seed") and settings["seed_packages"] and not contained %}
    {%- do states.update({"virtapi_seed_packages": {"pkg.installed": [{"pkgs": settings["seed_packages"] | list}]}}) %}
    {%- do needed.append({"pkg": "virtapi_seed_packages"}) %}
  {%- endif %}
  {%- set arguments = [{"name": vm_uuid}, {"vm": vm}, {"require": needed}] %}
  {%- set own = ["lxc_path", "container_ids", "container_apparmor"] if contained else ["accelerate", "switch", "rbd_user", "lxc_path"] %}
  {%- if manage %}
    {%- if not contained %}
      {%- do arguments.append({"clusters": used}) %}
    {%- endif %}
    {%- for name in own + ["shutdown_timeout"] %}
      {%- do arguments.append({name: settings[name]}) %}
    {%- endfor %}
  {%- endif %}
  {%- set function = "virtapi_container.present" if contained else "virtapi_domain.present" %}
  {%- do states.update({"virtapi_vm_" ~ vm_uuid: {(function if manage else "test.nop"): arguments}}) %}
{%- endfor %}
{%- if manage %}
  {%- set used = {} %}
  {%- for volume in tombstones["volumes"].values() if volume["type"] == "rbd" %}
    {%- do used.update({volume["cluster"]: clusters.get(volume["cluster"])}) %}
  {%- endfor %}
  {#- States are in the order of their names, unless they say something else; -1 is before the last ones. #}
  {%- if tombstones["vms"] or tombstones["volumes"] %}
    {%- do states.update({"virtapi_removals": {"virtapi_removals.applied": [
      {"name": "tombstones"},
      {"hypervisor": document["hypervisor"]},
      {"meta": document["meta"]},
      {"fqdn": document["node"]["fqdn"]},
      {"clusters": used},
      {"rbd_user": settings["rbd_user"]},
      {"lxc_path": settings["lxc_path"]},
      {"shutdown_timeout": settings["shutdown_timeout"]},
      {"max_removals": settings["max_removals"]},
      {"order": -1},
    ]}}) %}
  {%- endif %}
{%- endif %}
{{- states | json }}
