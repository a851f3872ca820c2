"""A stand-in for virsh. The domains are in a file: by UUID their name, state, whether they start by themselves, the sources of
their disks, and what they refuse; or, where they are defined by XML, that and what runs of it. Packet filters are in another file
beside it, as XML by name."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

import storage_stand_in

xml.etree.ElementTree.register_namespace("virtapi", "urn:virtapi")


class Refused(Exception):
    pass


def one(domains, command, *words):
    flags = [word for word in words if word.startswith("--")]
    uuid, *rest = (word for word in words if word not in flags)
    domain = domains[uuid]
    if command in domain.get("refuses", ()):
        raise Refused(f"error: {command} of {domain['name']} is refused")
    if command == "domname":
        return domain["name"] + "\n"
    if command == "domstate":
        return domain["state"] + "\n"
    if command == "dumpxml" and "defined" in domain:
        return domain["defined" if "--inactive" in flags or domain["state"].startswith("shut off") else "running"]
    if command == "dumpxml":
        disks = "".join(f"<disk type='file' device='{kind}'><source file='{file}'/></disk>" for kind, file in domain.get("disks", ()))
        return f"<domain><name>{domain['name']}</name><uuid>{uuid}</uuid><devices>{disks}</devices></domain>"
    if command == "autostart":
        domain["autostart"] = "--disable" not in flags
    elif command in ("shutdown", "destroy"):
        domain["state"] = domain["state"] if command in domain.get("deaf", ()) else "shut off (shutdown)"
    elif command == "resume":
        domain["state"] = "running (unpaused)"
    elif command == "start":
        domain.update(state="running (booted)", running=domain["defined"])
    elif command == "metadata":
        # Of one that has no other; `--set` is the last of them.
        assert rest[:-1] == ["urn:virtapi", "virtapi"], words
        what = "running" if "--live" in flags else "defined"
        kept = "<metadata xmlns:virtapi='urn:virtapi'>{}</metadata>".format(re.sub("(</?)(vm|volume)", r"\1virtapi:\2", rest[-1]))
        domain[what] = re.sub("<metadata.*</metadata>", "", domain[what], flags=re.DOTALL).replace("</name>", "</name>" + kept)
    elif command == "managedsave-remove":
        domain["state"] = "shut off (shutdown)"
    elif command == "update-device":
        update(domain, pathlib.Path(rest[0]).read_text(encoding="utf-8"))
    elif command == "qemu-monitor-command":
        return json.dumps(qemu(domain, json.loads(rest[0])))
    elif command == "undefine":
        del domains[uuid]
    else:
        raise Refused(f"error: unknown command {command}")
    return ""


def define(domains, path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    root = xml.etree.ElementTree.fromstring(text)
    new = {"name": root.findtext("name"), "state": "shut off (unknown)", "autostart": False}
    domains.setdefault(root.findtext("uuid"), new)["defined"] = text
    return ""


def update(domain, text):
    """An interface of what runs, by its address."""
    running = xml.etree.ElementTree.fromstring(domain["running"])
    new = xml.etree.ElementTree.fromstring(text)
    devices = running.find("devices")
    (old,) = (each for each in devices.findall("interface") if each.find("mac").get("address") == new.find("mac").get("address"))
    devices[list(devices).index(old)] = new
    domain["running"] = xml.etree.ElementTree.tostring(running, encoding="unicode")


def disks(text):
    """What libvirt calls the disks of a domain, and where they are."""
    found = {}
    for disk in xml.etree.ElementTree.fromstring(text).iter("disk"):
        if disk.find("source") is not None:
            found[disk.find("alias").get("name")] = disk.find("source").get("file")
    return found


def qemu(domain, question):
    """What the QEMU of a running domain answers; of disks that are no qcow2 it takes no snapshot."""
    nodes = {f"node-{alias}": (alias, path) for alias, path in disks(domain["running"]).items()}
    if question["execute"] == "query-block":
        return {"return": [{"qdev": "/machine/unattached/device[1]"}, *(
            {"qdev": f"/machine/peripheral/{alias}/virtio-backend", "inserted": {"node-name": node, "file": path}}
            for node, (alias, path) in nodes.items())]}
    action = {"blockdev-snapshot-internal-sync": "-c", "blockdev-snapshot-delete-internal-sync": "-d"}[question["execute"]]
    given = question["arguments"]
    try:
        storage_stand_in.snapshot(action, given["name"], nodes[given["device"]][1])
    except storage_stand_in.Refused as error:
        return {"error": {"class": "GenericError", "desc": str(error)}}
    return {"return": {}}


def of_filters(filters, domains, command, *words):
    if filters is None:
        raise Refused("error: this function is not supported by the connection driver")
    if command == "nwfilter-list":
        return "".join(f" {number}   {name}\n" for number, name in enumerate(filters))
    if command == "nwfilter-dumpxml":
        return filters[words[0]]
    if command == "nwfilter-define":
        text = pathlib.Path(words[0]).read_text(encoding="utf-8")
        filters[xml.etree.ElementTree.fromstring(text).get("name")] = text
        return ""
    assert command == "nwfilter-undefine", command
    if any(words[0] in domain.get("running", "") for domain in domains.values() if not domain["state"].startswith("shut off")):
        raise Refused("error: Requested operation is not valid: nwfilter is in use")
    del filters[words[0]]
    return ""


def answer(domains, words, filters=None):
    if words[0] == "echo":
        return " ".join(words[1:]) + "\n"
    if words[0].startswith("nwfilter-"):
        return of_filters(filters, domains, *words)
    if words[0] == "define":
        return define(domains, words[1])
    if words[0] != "list":
        return one(domains, *words)
    return "".join(f"{uuid}\n" for uuid, domain in domains.items()
                   if ("--all" in words or not domain["state"].startswith("shut off"))
                   and ("--autostart" not in words or domain.get("autostart")))


def main(place, words):
    # Quiet, and for which libvirt.
    assert words[:2] == ["-q", "-c"], words
    domains = json.loads(place.read_text(encoding="utf-8"))
    others = place.with_name("filters.json")
    filters = json.loads(others.read_text(encoding="utf-8")) if others.exists() else None
    commands = [command.split() for command in words[3].split("; ")] if len(words) == 4 else [words[3:]]
    try:
        for command in commands:
            sys.stdout.write(answer(domains, command, filters))
    except Refused as error:
        sys.exit(str(error))
    finally:
        place.write_text(json.dumps(domains), encoding="utf-8")
        if filters is not None:
            others.write_text(json.dumps(filters), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
