"""Who is called back: an HTTPS server on a node of the lab that takes whatever it is sent, and checks as docs/telling.md tells its
readers to. It knows its secret, and not what the messages are about."""
import contextlib
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import subprocess
import sys
import time

from lab_node import wait_until

PORT = 443


def is_ours(secret, headers, body, patience=300):
    """As in docs/telling.md."""
    signed = headers["X-Virtapi-Timestamp"].encode() + b"." + body
    expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = headers["X-Virtapi-Signature"].split(",")
    fresh = abs(time.time() - int(headers["X-Virtapi-Timestamp"])) <= patience
    return fresh and any(hmac.compare_digest(expected, one) for one in given)


class Receiver:
    """One with this name and address on the node, where the name is known; `certificate` is what it is to be trusted by."""

    def __init__(self, node, name, address):
        self.url = f"https://{name}/virtapi"
        self.certificate, self._key, self._secret, self._kept = (
            node.dir / f"receiver.{what}" for what in ("crt", "key", "secret", "kept"))
        node.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE",
                 "-keyout", self._key, "-out", self.certificate)
        node.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        with node.path("/etc/hosts").open("a", encoding="utf-8") as hosts:
            hosts.write(f"\n{address} {name}\n")
        self._process = subprocess.Popen(node.command(sys.executable, __file__, address, self.certificate, self._key, self._secret,
                                                      self._kept))
        wait_until(self._kept.exists, 60, "the receiver listens")

    def know(self, secret):
        """By what its messages are signed; there are none before."""
        self._secret.write_text(secret, encoding="utf-8")

    def messages(self):
        """What came, each once, in order; one that is not ours is an error."""
        lines = self._kept.read_text(encoding="utf-8").splitlines(keepends=True)
        # The last one may not be written whole yet.
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        forged = [each for each in found if not each["ours"]]
        if forged:
            raise AssertionError(f"signed by somebody else: {forged}")
        return list({each["message"]["id"]: each["message"] for each in found}.values())

    def remove(self):
        self._process.terminate()
        self._process.wait()


def serve(address, certificate, key, secret, kept):
    """Until it is ended."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = json.loads(body)
            known = pathlib.Path(secret).read_text(encoding="utf-8")
            ours = is_ours(known, self.headers, body) and message["id"] == self.headers["X-Virtapi-Event-Id"]
            with open(kept, "a", encoding="utf-8") as file:
                file.write(json.dumps({"ours": ours, "message": message}) + "\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words):
            """Nothing."""

    server = http.server.ThreadingHTTPServer((address, PORT), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    pathlib.Path(kept).touch()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
