"""A scripted server on loopback and the modules as Salt's own loader loads them."""

import http.server
import os
import sys
import threading

import pytest
import salt._logging
import salt.config
import salt.loader

MODULES = os.path.join(os.path.dirname(__file__), os.pardir, "modules")
# As Salt does it while it loads a module.
sys.path.append(os.path.join(MODULES, "utils"))
# Stand-ins for the programs of a hypervisor.
sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, "tests", "agents"))
DOCUMENT = {
    "virtapi": {
        "meta": {"schema": 1, "node_id": 3, "generation": 12, "clusters": {}},
        "node": {"fqdn": "hv01.example.com"},
        "roles": [],
    }
}
TOPS = {"environment": "base", "classes": {"virtapi": {}, "virtapi.hypervisor": {}}}

# Salt holds log records back until a command sets logging up, and prints them when Python ends.
salt._logging.shutdown_temp_handler()


class Server:
    """Answers every request with ``answer`` and notes what was asked in ``requests`` and ``bodies``."""

    def __init__(self):
        self.requests = []
        self.bodies = []
        self.answer = (200, {}, b"")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                status, headers, body = outer.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.url = "http://127.0.0.1:{}".format(self.port)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def opts(tmp_path, server):
    opts = salt.config.DEFAULT_MINION_OPTS.copy()
    opts.update(
        id="hv01.example.com",
        root_dir=str(tmp_path),
        cachedir=str(tmp_path / "cache"),
        extension_modules=str(tmp_path / "ext"),
        module_dirs=[MODULES],
        virtapi={"url": server.url},
        master_tops={"virtapi": {}},
    )
    return opts


@pytest.fixture
def ext_pillar(opts):
    """Call the ext_pillar module as Salt does."""

    def call(minion_id="hv01.example.com", pillar=None, **options):
        pillar = {} if pillar is None else pillar
        return salt.loader.pillars(opts, {})["virtapi"](minion_id, pillar, **options)

    return call


@pytest.fixture
def top(opts):
    """Call the tops module as Salt does."""
    return lambda: salt.loader.tops(opts)["virtapi"](opts={"id": "hv01.example.com"}, grains={})


@pytest.fixture
def returners(opts):
    """Call a function of the returner as Salt does."""
    return lambda function, value: salt.loader.returners(opts, {})["virtapi." + function](value)
