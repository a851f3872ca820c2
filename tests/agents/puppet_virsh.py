"""A stand-in for virsh. The domains are in a file: by UUID their name, state, whether they start by themselves, the sources of
their disks, and what they refuse."""
import json
import pathlib
import sys


class Refused(Exception):
    pass


def one(domains, command, *words):
    flags = [word for word in words if word.startswith("--")]
    (uuid,) = set(words) - set(flags)
    domain = domains[uuid]
    if command in domain.get("refuses", ()):
        raise Refused(f"error: {command} of {domain['name']} is refused")
    if command == "domname":
        return domain["name"] + "\n"
    if command == "domstate":
        return domain["state"] + "\n"
    if command == "dumpxml":
        disks = "".join(f"<disk type='file' device='{kind}'><source file='{file}'/></disk>" for kind, file in domain.get("disks", ()))
        return f"<domain><name>{domain['name']}</name><uuid>{uuid}</uuid><devices>{disks}</devices></domain>"
    if command == "autostart":
        domain["autostart"] = "--disable" not in flags
    elif command in ("shutdown", "destroy"):
        domain["state"] = domain["state"] if command in domain.get("deaf", ()) else "shut off (shutdown)"
    elif command == "resume":
        domain["state"] = "running (unpaused)"
    elif command == "undefine":
        del domains[uuid]
    else:
        raise Refused(f"error: unknown command {command}")
    return ""


def answer(domains, words):
    if words[0] == "echo":
        return " ".join(words[1:]) + "\n"
    if words[0] != "list":
        return one(domains, *words)
    return "".join(f"{uuid}\n" for uuid, domain in domains.items()
                   if ("--all" in words or not domain["state"].startswith("shut off"))
                   and ("--autostart" not in words or domain.get("autostart")))


def main(place, words):
    # Quiet, and for which libvirt.
    assert words[:2] == ["-q", "-c"], words
    domains = json.loads(place.read_text(encoding="utf-8"))
    commands = words[3].split("; ") if len(words) == 4 else [" ".join(words[3:])]
    try:
        for command in commands:
            sys.stdout.write(answer(domains, command.split()))
    except Refused as error:
        sys.exit(str(error))
    finally:
        place.write_text(json.dumps(domains), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
