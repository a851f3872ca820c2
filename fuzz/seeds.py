"""Writes what the fuzz targets begin with, from the examples of the description: bodies as JSON and MessagePack, the same
as filters, and the words that mean something. Where: the directory that is given."""
import json
import pathlib
import struct
import sys
import urllib.parse

OPERATORS = ["ne", "lt", "lte", "gt", "gte", "in", "contains", "startswith", "isnull"]
PARAMETERS = ["limit", "cursor", "count", "exact", "sort", "fields", "embed", "q", "true", "false", "null"]


def packed(value):
    """As MessagePack; of the examples, nothing is long."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return struct.pack(">Bq", 0xd3, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xcb, value)
    if isinstance(value, str):
        return struct.pack(">BH", 0xda, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return struct.pack(">BH", 0xdc, len(value)) + b"".join(map(packed, value))
    return struct.pack(">BH", 0xde, len(value)) + b"".join(packed(part) for item in value.items() for part in item)


def examples(description):
    """A body for each collection."""
    for path, operations in description["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if path.startswith("/v1/") and (example := content.get("examples", {}).get("one")):
            yield path.split("/")[2], example["value"]


def main():
    target = pathlib.Path(sys.argv[1])
    words = {*PARAMETERS, *(f"__{operator}" for operator in OPERATORS)}
    for directory in ("json", "msgpack", "filters"):
        (target / directory).mkdir(parents=True, exist_ok=True)
    for name, body in examples(json.load(sys.stdin)):
        (target / "json" / name).write_text(json.dumps(body), encoding="utf-8")
        (target / "msgpack" / name).write_bytes(packed(body))
        flat = {field: value for field, value in body.items() if isinstance(value, (str, int, float))}
        asked = {f"{field}__{OPERATORS[i % len(OPERATORS)]}": value for i, (field, value) in enumerate(flat.items())}
        order = {"sort": "-" + next(iter(flat), "id"), "limit": 5, "fields": ",".join(flat) or "id"}
        for kind, pairs in (("equal", flat), ("asked", asked), ("shown", order)):
            text = urllib.parse.urlencode(pairs)
            (target / "filters" / f"{name}-{kind}").write_text(text, encoding="ascii")
        words |= set(body) | {value for value in flat.values() if isinstance(value, str)}
    with open(target / "words", "w", encoding="utf-8") as dictionary:
        for word in sorted(words):
            if word.isascii() and word.isprintable() and not set(word) & {'"', "\\"}:
                dictionary.write(f'"{word}"\n')


if __name__ == "__main__":
    main()
