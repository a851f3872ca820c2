"""Who answers in the server's place: on its address, whatever a test has written down for each path, and nothing else."""
import http.server
import json
import pathlib
import subprocess
import sys

from lab_node import wait_until

PORT = 8000


class StandIn:
    """One on the node with this address. With `with` it ends."""

    def __init__(self, node, address):
        self._answers, self._ready = node.dir / "answers", node.dir / "answering"
        self._ready.unlink(missing_ok=True)
        self.answer({})
        self._process = subprocess.Popen(node.command(sys.executable, __file__, address, self._answers, self._ready))

    def __enter__(self):
        wait_until(self._ready.exists, 60, "the stand-in listens")
        return self

    def __exit__(self, *failure):
        self._process.kill()
        self._process.wait()

    def answer(self, answers):
        """From now on: content type and text by path."""
        self._answers.write_text(json.dumps(answers), encoding="utf-8")


def serve(address, answers, ready):
    """Until it is killed."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = json.loads(pathlib.Path(answers).read_text(encoding="utf-8"))
            if self.path not in known:
                self.send_error(404)
                return
            content_type, text = known[self.path]
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words):
            """Nothing."""

    server = http.server.ThreadingHTTPServer((address, PORT), Handler)
    pathlib.Path(ready).touch()
    server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
