"""A stand-in for the server: it serves prepared documents, and can misbehave in every way that a server might."""
import contextlib
import http.server
import json
import threading
import time

import puppet_documents as documents

ENC = f"/puppet/enc/{documents.CERTNAME}"
HIERA = f"/puppet/hiera/{documents.CERTNAME}"


def answer(status, body=b"", content_type="application/json", **headers):
    """An answer with a length; `headers` have `_` for `-`."""
    def write(handler):
        handler.send_response(status)
        if content_type:
            handler.send_header("Content-Type", content_type)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return write


def raw(text):
    """Bytes as they are, and the connection closed."""
    def write(handler):
        handler.wfile.write(text)
        handler.close_connection = True
    return write


def slow(seconds):
    """An answer that drips: no time between two bytes is long."""
    def write(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n")
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                handler.wfile.write(b" ")
                time.sleep(0.1)
        handler.close_connection = True
    return write


def document(value, content_type="application/json"):
    return answer(200, documents.safe(value).encode(), content_type, ETag='"1.1"')


class Stub:
    """A server on a free loopback port; `paths` says who answers what, everything else is unknown (404).

    With an SSL context it speaks TLS, as localhost."""

    def __init__(self, context=None):
        self.paths = {}
        self.requests = []
        self.reset()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                stub.requests.append((self.path, dict(self.headers)))
                write = stub.paths.get(self.path)
                if write is None:
                    problem = {"type": "about:blank", "title": "Not Found", "status": 404}
                    write = answer(404, json.dumps(problem).encode(), "application/problem+json")
                write(self)

            def handle(self):
                # Clients go away in the middle, or do not like our certificate.
                with contextlib.suppress(OSError):
                    super().handle()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
        if context:
            # The handshake is left to the first read, in the connection's own thread.
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self):
        self.requests.clear()
        self.paths = {
            ENC: document(documents.enc(), "application/yaml"),
            HIERA: document(documents.escape_interpolation(documents.hiera())),
        }

    def count(self, path):
        return sum(1 for requested, _ in self.requests if requested == path)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
