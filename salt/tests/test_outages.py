"""What the modules do when the server is away: the kept copy, its age, and the bounds on waiting."""

import glob
import json
import os
import socket
import stat
import threading
import time

import pytest
from conftest import DOCUMENT

BODY = json.dumps(DOCUMENT).encode()
ETAG = '"3-12.json"'


@pytest.fixture
def kept(server, ext_pillar, opts):
    """A copy is kept; returns its path."""
    server.answer = (200, {"ETag": ETAG}, BODY)
    ext_pillar()
    [path] = glob.glob(os.path.join(opts["cachedir"], "virtapi", "pillar", "*"))
    return path


@pytest.fixture
def raw_server():
    """Answers each connection with what the test's function does to the socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    sockets = [listener]

    def start(behave):
        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                sockets.append(connection)
                connection.recv(4096)
                try:
                    behave(connection)
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return "http://127.0.0.1:{}".format(listener.getsockname()[1])

    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_uses_the_copy(server, ext_pillar, kept, status):
    server.answer = (status, {}, b"")
    assert ext_pillar() == DOCUMENT


def test_a_server_that_is_gone_uses_the_copy(server, ext_pillar, kept):
    server.stop()
    assert ext_pillar() == DOCUMENT


def test_an_answer_cut_short_uses_the_copy(server, ext_pillar, kept):
    server.answer = (200, {"Content-Length": str(len(BODY))}, BODY[:-1])
    assert ext_pillar() == DOCUMENT


def test_without_a_copy_an_outage_raises(server, ext_pillar):
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="HTTP status 503, and no copy is kept"):
        ext_pillar()


@pytest.mark.parametrize("age", [86401, -60])
def test_an_old_copy_is_not_used(server, ext_pillar, kept, age):
    os.utime(kept, (time.time() - age, time.time() - age))
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="the kept copy is"):
        ext_pillar()


def test_a_copy_of_another_minion_is_not_used(server, ext_pillar, kept):
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="no copy is kept"):
        ext_pillar("hv02.example.com")


def test_a_copy_from_another_server_is_neither_used_nor_asked_about(server, ext_pillar, kept):
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="no copy is kept"):
        ext_pillar(url=server.url + "/other")
    assert "If-None-Match" not in server.requests[-1][1]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"url": 1', b"\xff"])
def test_a_damaged_copy_is_not_used(server, ext_pillar, kept, content):
    with open(kept, "wb") as file:
        file.write(content)
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="no copy is kept"):
        ext_pillar()


def test_a_copy_that_holds_no_document_is_not_used(server, ext_pillar, kept):
    with open(kept, encoding="utf-8") as file:
        stored = json.load(file)
    with open(kept, "w", encoding="utf-8") as file:
        json.dump(dict(stored, document={}), file)
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="no copy is kept"):
        ext_pillar()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_voids_the_copy(server, ext_pillar, kept, status):
    server.answer = (status, {}, b"")
    with pytest.raises(Exception, match="HTTP status"):
        ext_pillar()
    server.answer = (503, {}, b"")
    with pytest.raises(Exception, match="no copy is kept"):
        ext_pillar()


def test_the_copy_is_private_and_whole(kept):
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(kept)).st_mode) == 0o700
    assert os.listdir(os.path.dirname(kept)) == [os.path.basename(kept)]


def test_not_modified_renews_the_copy(server, ext_pillar, kept):
    os.utime(kept, (1, 1))
    server.answer = (304, {"ETag": ETAG}, b"")
    assert ext_pillar() == DOCUMENT
    assert server.requests[-1][1]["If-None-Match"] == ETAG
    assert time.time() - os.stat(kept).st_mtime < 60


def test_a_copy_that_cannot_be_written_does_not_cost_the_document(server, ext_pillar, opts):
    os.makedirs(opts["cachedir"], exist_ok=True)
    with open(os.path.join(opts["cachedir"], "virtapi"), "w", encoding="ascii"):
        pass
    server.answer = (200, {}, BODY)
    assert ext_pillar() == DOCUMENT


def test_silence_is_cut_off(ext_pillar, raw_server):
    url = raw_server(lambda connection: time.sleep(5))
    started = time.monotonic()
    with pytest.raises(Exception, match="timed out, and no copy is kept"):
        ext_pillar(url=url, timeout=0.3)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_answer_that_drips_is_cut_off(ext_pillar, raw_server, start):
    def drip(connection):
        connection.sendall(start)
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(Exception, match="timed out, and no copy is kept"):
        ext_pillar(url=raw_server(drip), timeout=0.3)
    assert time.monotonic() - started < 3


def test_what_is_not_http_raises(ext_pillar, raw_server):
    def banner(connection):
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        connection.close()

    with pytest.raises(Exception, match="not an HTTP answer"):
        ext_pillar(url=raw_server(banner))
