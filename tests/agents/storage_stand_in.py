"""A stand-in for qemu-img and rbd, as far as snapshots need them. A qcow2 file has the header and the table of snapshots of a real
one, and what it holds is in another beside it; the images of the pool are in one file, by their places."""
import json
import pathlib
import re
import struct
import sys

HEADER = 104
ENTRY = struct.Struct(">QIHHIIQII")


class Refused(Exception):
    pass


def held(path):
    """What a file holds: its size, what its guest has written, and both as of each snapshot."""
    place = pathlib.Path(f"{path}.held")
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else {"size": 0, "data": "", "snapshots": {}}


def hold(path, now):
    table = b""
    for number, name in enumerate(now["snapshots"], 1):
        identity, text = str(number).encode(), name.encode()
        table += ENTRY.pack(0, 1, len(identity), len(text), 0, 0, 0, 0, 16) + bytes(16) + identity + text
        table += bytes(-len(table) % 8)
    header = b"QFI\xfb" + struct.pack(">IQIIQ", 3, 0, 0, 16, now["size"])
    header += bytes(60 - len(header)) + struct.pack(">IQ", len(now["snapshots"]), HEADER)
    pathlib.Path(path).write_bytes(header.ljust(HEADER, b"\0") + table)
    pathlib.Path(f"{path}.held").write_text(json.dumps(now), encoding="utf-8")


def snapshot(flag, name, path):
    now = held(path)
    if now.get("broken"):
        raise Refused(f"{name}: No space left on device")
    if flag == "-c":
        if name in now["snapshots"]:
            raise Refused(f"Snapshot with name '{name}' already exists")
        if not now.get("forgetful"):
            now["snapshots"][name] = {"size": now["size"], "data": now["data"]}
    elif name not in now["snapshots"]:
        raise Refused(f"Can't find snapshot {name}")
    elif flag == "-d":
        del now["snapshots"][name]
    else:
        assert flag == "-a", flag
        now.update(now["snapshots"][name])
    hold(path, now)


def qemu_img(open_files, words):
    """What qemu-img does, but to an image that a QEMU has open."""
    path = words[-1] if words[0] == "snapshot" else words[-2]
    if path in open_files:
        raise Refused('Failed to get "write" lock')
    if words[0] == "snapshot":
        assert words[1] == "-q", words
        snapshot(*words[2:])
    else:
        assert words[:4] == ["resize", "-q", "-f", "qcow2"], words
        hold(path, {**held(path), "size": int(words[-1])})


def rbd(images, words):
    """What rbd says of the images, and does to them."""
    assert words[:4] == ["--cluster", "ceph", "--id", "libvirt"], words
    place, command = words[-1], [word for word in words if not word.startswith("-") and word in WORDS]
    if command == ["ls"]:
        rows = []
        for name, image in images.items():
            row = {"image": name.split("/")[1], "size": image["size"]}
            rows += [row, *({**row, "snapshot": each} for each in image["snapshots"])] if "--long" in words else [row["image"]]
        return json.dumps(rows)
    name, _, of = place.partition("@")
    image = images[name]
    if image.get("broken") is True or image.get("broken") in command:
        raise Refused("rbd: (110) Connection timed out")
    if command == ["status"]:
        return json.dumps({"watchers": [{"address": each} for each in image.get("watchers", [])]})
    if command == ["info"]:
        return json.dumps({"name": name, "size": image["size"]})
    if command == ["snap", "ls"]:
        return json.dumps([{"name": each, "protected": str(each in image.get("protected", [])).lower()} for each in image["snapshots"]])
    if command == ["snap", "create"]:
        image["snapshots"][of] = {"size": image["size"], "data": image["data"]}
    elif command == ["snap", "rm"]:
        del image["snapshots"][of]
    elif command == ["snap", "rollback"]:
        image.update(image["snapshots"][of])
    elif command == ["resize"]:
        image["size"] = int(re.search(r"--size (\d+)B ", " ".join(words))[1])
    else:
        assert command == ["rm"], words
        if image["snapshots"] or image.get("watchers"):
            raise Refused("rbd: image has snapshots or watchers")
        del images[name]
    return ""


WORDS = ("ls", "status", "info", "snap", "create", "rm", "rollback", "resize")


def main(place, program, words):
    domains = json.loads((place / "domains.json").read_text(encoding="utf-8"))
    pool = place / "images.json"
    images = json.loads(pool.read_text(encoding="utf-8")) if pool.exists() else {}
    running = "".join(domain.get("running", "") for domain in domains.values() if not domain["state"].startswith("shut off"))
    try:
        if program == "rbd":
            sys.stdout.write(rbd(images, words))
        else:
            qemu_img(re.findall("file=['\"](.*?)['\"]", running), words)
    except Refused as error:
        sys.exit(f"{program}: {error}")
    finally:
        pool.write_text(json.dumps(images), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
