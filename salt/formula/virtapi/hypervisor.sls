#!jinja|json
{# A hypervisor: its own settings, one state for each VM and one for each of its volumes. #}
{%- from "virtapi/map.jinja" import document with context %}
{%- if "hypervisor" not in document %}
  {{- raise("virtapi: virtapi.hypervisor is assigned to a node that is no hypervisor") }}
{%- endif %}
{%- set states = {} %}
{%- set settings = {} %}
{%- for key, value in document["hypervisor"].items() if key != "vms" %}
  {%- do settings.update({key: value}) %}
{%- endfor %}
{%- do states.update({"virtapi_hypervisor": {"test.nop": [{"hypervisor": settings}]}}) %}
{%- for vm_uuid, vm in document["hypervisor"]["vms"].items() %}
  {%- set volumes = [] %}
  {%- for volume in vm["volumes"] %}
    {%- do volumes.append({"test": "virtapi_volume_" ~ volume["uuid"]}) %}
    {%- do states.update({"virtapi_volume_" ~ volume["uuid"]: {"test.nop": [{"vm_uuid": vm_uuid}, {"volume": volume}]}}) %}
  {%- endfor %}
  {%- do states.update({"virtapi_vm_" ~ vm_uuid: {"test.nop": [{"vm": vm}, {"require": volumes}]}}) %}
{%- endfor %}
{{- states | json }}
