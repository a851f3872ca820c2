"""A stand-in for virsh. The domains are in a file: by UUID their name, state, whether they start by themselves, the sources of
their disks, and what they refuse; or, where they are defined by XML, that and what runs of it."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree


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
        assert rest[:-1] == ["urn:virtapi", "virtapi"] and "--live" in flags, words
        kept = f"<metadata xmlns:virtapi='urn:virtapi'>{rest[-1].replace('<vm ', '<virtapi:vm ')}</metadata>"
        domain["running"] = re.sub("<metadata.*</metadata>", "", domain["running"], flags=re.DOTALL).replace("</name>", "</name>" + kept)
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


def answer(domains, words):
    if words[0] == "echo":
        return " ".join(words[1:]) + "\n"
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
    commands = [command.split() for command in words[3].split("; ")] if len(words) == 4 else [words[3:]]
    try:
        for command in commands:
            sys.stdout.write(answer(domains, command))
    except Refused as error:
        sys.exit(str(error))
    finally:
        place.write_text(json.dumps(domains), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
