"""What the modules make of each answer of the server."""

import json
import os

import pytest
from conftest import DOCUMENT, TOPS

BODY = json.dumps(DOCUMENT).encode()


def without(*path):
    document = json.loads(BODY)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return json.dumps(document).encode()


UNUSABLE = {
    "empty": b"",
    "html": b"<html></html>",
    "truncated": BODY[:-1],
    "trailing": BODY + b"x",
    "null": b"null",
    "list": b"[]",
    "string": b'"virtapi"',
    "empty object": b"{}",
    "null document": b'{"virtapi": null}',
    "empty document": b'{"virtapi": {}}',
    "list document": b'{"virtapi": []}',
    "no meta": without("virtapi", "meta"),
    "no schema": without("virtapi", "meta", "schema"),
    "no generation": without("virtapi", "meta", "generation"),
    "no node": without("virtapi", "node"),
    "no roles": without("virtapi", "roles"),
    "second key": BODY[:-1] + b', "other": {}}',
    "repeated key": BODY.replace(b'"roles"', b'"roles": [], "roles"'),
    "NaN": BODY.replace(b"[]", b"[NaN]"),
    "infinite": BODY.replace(b"[]", b"[1e999]"),
    "integer beyond 64 bits": BODY.replace(b"[]", b"[18446744073709551616]"),
    "not UTF-8": BODY.replace(b"hv01", b"\xff"),
    "byte order mark": b"\xef\xbb\xbf" + BODY,
}


def test_the_document_is_returned_as_it_is(server, ext_pillar):
    server.answer = (200, {}, BODY)
    assert ext_pillar() == DOCUMENT


def test_values_keep_their_types(server, ext_pillar):
    values = ["52:54:00:12:34:56", "yes", "012", "1e3", "::1", "2026-01-01", "%{x}", "{{ x }}", "\U0001f600", "\x7f"]
    values += ["\x85", "\u2028", 1e22, 1e-7, 1.0, 1, -1, 2**63, True, None, [], {"=": {"<<": ""}}]
    document = json.loads(BODY)
    document["virtapi"]["node"]["parameters"] = values
    for ensure_ascii in (True, False):
        server.answer = (200, {}, json.dumps(document, ensure_ascii=ensure_ascii).encode())
        assert repr(ext_pillar()) == repr(document)


@pytest.mark.parametrize("body", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_answer_raises_even_when_a_copy_is_kept(server, ext_pillar, body):
    server.answer = (200, {}, BODY)
    ext_pillar()
    server.answer = (200, {}, body)
    with pytest.raises(Exception, match="unusable answer"):
        ext_pillar()


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 406, 410, 429])
def test_any_other_status_raises_even_when_a_copy_is_kept(server, ext_pillar, status):
    server.answer = (200, {}, BODY)
    ext_pillar()
    server.answer = (status, {"Location": server.url + "/salt/pillar/other"}, b"" if status == 204 else BODY)
    with pytest.raises(Exception, match="HTTP status {}".format(status)):
        ext_pillar()
    assert len(server.requests) == 2, "no redirect is followed"


def test_not_modified_without_a_copy_raises(server, ext_pillar):
    server.answer = (304, {}, b"")
    with pytest.raises(Exception, match="HTTP status 304"):
        ext_pillar()


def test_what_is_in_the_pillar_already_does_not_mix_with_the_document(server, ext_pillar):
    server.answer = (200, {}, BODY)
    pillar = {"virtapi": {"hypervisor": {"vms": {"gone": {}}}}, "other": 1}
    ext_pillar(pillar=pillar)
    assert pillar == {"other": 1}


def test_the_minion_id_is_one_path_segment(server, ext_pillar):
    server.answer = (200, {}, BODY)
    ext_pillar("a b+c@d%e/f?g#hä..")
    assert server.requests[0][0] == "/salt/pillar/a%20b%2Bc%40d%25e%2Ff%3Fg%23h%C3%A4.."


def test_the_request_carries_a_token_and_wants_json(server, ext_pillar, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cr3t\n")
    token.chmod(0o600)
    server.answer = (200, {}, BODY)
    ext_pillar(token_file=str(token), url=server.url + "/prefix/")
    path, headers = server.requests[0]
    assert path == "/prefix/salt/pillar/hv01.example.com"
    assert headers["Authorization"] == "Bearer s3cr3t"
    assert headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    "content, mode, message",
    [("s3cr3t", 0o604, "others have access"), ("", 0o600, "no token"), ("a b", 0o600, "no token"), (None, 0, "No such")],
)
def test_an_unsafe_or_empty_token_file_is_refused(server, ext_pillar, tmp_path, content, mode, message):
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
        token.chmod(mode)
    with pytest.raises(Exception, match=message):
        ext_pillar(token_file=str(token))
    assert server.requests == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"urll": "x"}, "unknown virtapi setting: urll"),
        ({"url": None}, "url"),
        ({"url": "virtapi.example.com"}, "url"),
        ({"url": "ftp://virtapi.example.com"}, "url"),
        ({"url": "http://user:pw@virtapi.example.com"}, "url"),
        ({"timeout": "10"}, "timeout"),
        ({"max_age": -1}, "max_age"),
        ({"connect_timeout": True}, "connect_timeout"),
        ({"ca_file": "/does/not/exist", "url": "https://127.0.0.1:1"}, "No such file"),
    ],
)
def test_a_wrong_setting_is_named(ext_pillar, options, message):
    with pytest.raises(Exception, match=message):
        ext_pillar(**options)


def test_tops_lists_the_classes_of_the_environment(server, top):
    server.answer = (200, {}, json.dumps(TOPS).encode())
    assert top() == {"base": ["virtapi", "virtapi.hypervisor"]}
    assert server.requests[0][0] == "/salt/tops/hv01.example.com"


@pytest.mark.parametrize(
    "status, body",
    [
        (404, b""),
        (500, b""),
        (200, b""),
        (200, b"[]"),
        (200, b'{"environment": "base", "classes": {}}'),
        (200, b'{"environment": "base", "classes": ["virtapi"]}'),
        (200, b'{"environment": "", "classes": {"virtapi": {}}}'),
        (200, b'{"classes": {"virtapi": {}}}'),
    ],
)
def test_tops_that_fails_names_an_sls_that_does_not_render(server, top, status, body):
    server.answer = (status, {}, body)
    [sls] = top()["base"]
    formula = os.path.join(os.path.dirname(__file__), os.pardir, "formula")
    with open(os.path.join(formula, sls.replace(".", "/") + ".sls"), encoding="utf-8") as file:
        assert "raise(" in file.read()
