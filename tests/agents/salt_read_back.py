"""Reads documents as PyYAML and Salt read YAML, and compares the values and their types with the JSON that is expected.

Arguments: pairs of files, what was emitted and the JSON that it must be. Prints each difference; exits with 1 if any.
"""

import json
import sys

import salt.utils.json
import salt.utils.yaml
import yaml


def pyyaml(text):
    return yaml.safe_load(text)


def pyyaml_libyaml(text):
    return yaml.load(text, Loader=yaml.CSafeLoader)


def salt_yaml(text):
    return salt.utils.yaml.safe_load(text)


def salt_json(text):
    return salt.utils.json.loads(text)


def canonical(value):
    """Text that differs where a value or its type differs."""
    return json.dumps(value, sort_keys=True, indent=1)


failed = False
files = sys.argv[1:]
for emitted, expected in zip(files[::2], files[1::2]):
    with open(expected, encoding="utf-8") as file:
        wanted = canonical(json.load(file))
    with open(emitted, encoding="utf-8", newline="") as file:
        text = file.read()
    for read in (pyyaml, pyyaml_libyaml, salt_yaml, salt_json):
        try:
            got = canonical(read(text))
        except Exception as error:
            got = repr(error)
        if got != wanted:
            failed = True
            lines = zip(got.splitlines(), wanted.splitlines())
            difference = next((pair for pair in lines if pair[0] != pair[1]), "one ends before the other")
            print("{}: {}: {!r}".format(emitted, read.__name__, difference))
sys.exit(failed)
