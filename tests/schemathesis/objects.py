"""Objects that can be created: the examples of the description, with names of their own, so that they are created as often
as one likes. What is made up otherwise names a state, a hypervisor or an organization that there is not."""
import itertools
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBERS = itertools.count(1)

# What no two objects have in common, by field.
OWN = {
    "name": lambda number: f"made-{number}",
    "fqdn": lambda number: f"made-{number}.example.com",
    "certname": lambda number: f"made-{number}.example.com",
    "mac": lambda number: "02:" + ":".join(f"{number >> shift & 255:02x}" for shift in (32, 24, 16, 8, 0)),
    "ip": lambda number: f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/8",
    "addresses": lambda number: [f"2001:db8::{number >> 16 & 65535:x}:{number & 65535:x}/64"],
    "port": lambda number: number % 65535 + 1,
}


def examples():
    """The example of each collection that is written, by its path."""
    paths = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"]
    bodies = {path: item["post"]["requestBody"]["content"] for path, item in paths.items()
              if "requestBody" in item.get("post", {})}
    return {path: content["application/json"]["examples"]["one"]["value"] for path, content in bodies.items()
            if "examples" in content.get("application/json", {})}


def with_own_names(value, number):
    """The same with other names, addresses and so on, also in what it refers to."""
    if isinstance(value, list):
        return [with_own_names(item, number) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: OWN[key](number) if key in OWN else with_own_names(item, number) for key, item in value.items()}


def of_customer(path, value, organization, environment):
    """The same as a customer may write it: in its own organization, and without what operators set."""
    if "organization" in value:
        value["organization"] = organization
    for field in ("hypervisor", "image", "users"):
        value.pop(field, None)
    if path in ("/v1/vms", "/v1/volumes"):
        value["environment"] = environment
    if path == "/v1/snapshots":
        value["volume"]["environment"] = environment
    return value
