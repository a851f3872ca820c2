"""The server itself: `virtapi serve` on a loopback port, with a private Postgres in a temporary directory. With files for
TLS, its name is localhost."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from puppet_sandbox import VIRTAPI


class Server:
    """A server whose port stays the same when it is started again."""

    def __init__(self, certificate=None, key=None, client_ca=None, crl=None):
        files = {"certificate": certificate, "key": key, "client-ca": client_ca, "crl": crl}
        self._tls = [word for name, path in files.items() if path for word in (f"--tls-{name}", str(path))]
        self._context = ssl.create_default_context(cafile=client_ca) if certificate else None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-server-"))
        # Its Postgres runs as another user when the tests run as root.
        self.dir.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"https://localhost:{self._port}" if certificate else f"http://127.0.0.1:{self._port}"
        self._process = None

    def start(self):
        words = [VIRTAPI, "serve", "--address", "127.0.0.1", "--port", str(self._port), "--data-dir", self.dir / "data",
                 *self._tls]
        with open(self.dir / "log", "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 60
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError("the server did not start:\n" + (self.dir / "log").read_text(encoding="utf-8"))
            time.sleep(0.1)

    def _ready(self):
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False

    def kill(self):
        """End the server without a warning; its Postgres stays, as after a crash."""
        self._process.kill()
        self._process.wait()

    def _postgres(self):
        try:
            return int((self.dir / "data/pg/postmaster.pid").read_text(encoding="ascii").split()[0])
        except FileNotFoundError:
            return None

    def kill_postgres(self):
        """End the database without a warning, and return its number."""
        pid = self._postgres()
        os.kill(pid, signal.SIGKILL)
        return pid

    @staticmethod
    def wait_for_end(pid):
        """Until init has taken note of a dead process, its number looks like that of a living one."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
        raise AssertionError(f"process {pid} does not end")

    def remove(self):
        """Stop everything in good order."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)
        elif (pid := self._postgres()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            self.wait_for_end(pid)
        shutil.rmtree(self.dir, ignore_errors=True)

    def get(self, path):
        """Status, headers and text of an answer."""
        return self._send(urllib.request.Request(self.url + path, headers=self._authorization()), self._context)

    def get_with(self, certificate, key, path):
        """The same with a client certificate, and no token."""
        context = ssl.create_default_context(cafile=self._tls[self._tls.index("--tls-client-ca") + 1])
        context.load_cert_chain(certificate, key)
        return self._send(urllib.request.Request(self.url + path), context)

    def _authorization(self, scheme="Bearer"):
        token = self.dir / "data/admin-token"
        return {"Authorization": f"{scheme} {token.read_text().strip()}"} if token.exists() else {}

    def compiler_token(self):
        """A file with the token of a compiler of all nodes."""
        compiler = {"name": "puppet.example.com", "serves": "all"}
        token = self.post("tokens", name="catalogs", scope="documents", compiler=compiler)
        path = self.dir / "compiler-token"
        path.write_text(self.write("POST", f"/v1/tokens/{token['id']}/secret")["secret"])
        path.chmod(0o600)
        return path

    @staticmethod
    def _send(request, context):
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.headers, answer.read().decode()

    def write(self, method, path, value=None):
        """Write something and return what the server made of it."""
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", **self._authorization()}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        status, _, text = self._send(request, self._context)
        if status not in (200, 201, 204):
            raise AssertionError(f"{method} {path} {json.dumps(value)}: {status} {text}")
        return json.loads(text) if text else None

    def post(self, collection, **value):
        return self.write("POST", f"/v1/{collection}", value)
