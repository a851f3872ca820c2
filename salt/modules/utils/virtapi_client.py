"""
HTTP client of virtapi, shared by the ``ext_pillar``, ``tops`` and ``returners`` modules beside it.

It fetches one view of a node's document and keeps the last good copy of it; and it sends what came of a run. It knows
HTTP, JSON and that copy; what makes a pillar or a top is its callers' business, which hand in a check.

The rule is *complete or a clear error*: whatever is not a whole, valid answer raises. The kept copy stands in only when
the server is away (refused, timed out, cut off, 5xx), and only until ``max_age``. It never stands in for 404, 401, 403
or unreadable data: a node that was removed, or may not read, must stop.

Settings come from the ``virtapi`` block of the master's configuration (masterless: the minion's); what an
``ext_pillar`` or ``master_tops`` entry names wins over the block.

.. code-block:: yaml

    virtapi:
      url: https://virtapi.example.com     # where virtapi answers, without a trailing path of a view
      token_file: /etc/salt/virtapi.token  # holds a bearer token; no access for others
      ca: /etc/salt/virtapi-ca.pem         # default: the system's CA bundle
      cert: /etc/salt/virtapi.crt          # client certificate
      key: /etc/salt/virtapi.key            # default: the key is in cert
      connect_timeout: 3                   # seconds
      timeout: 10                          # seconds, for the whole request
      max_age: 86400                       # seconds that a kept copy may stand in; 0: never
"""

import hashlib
import http.client
import json
import logging
import math
import os
import socket
import ssl
import stat
import tempfile
import threading
import time
import urllib.parse

import salt.utils.http
from salt.exceptions import CommandExecutionError

log = logging.getLogger(__name__)

DEFAULTS = {
    "url": None,
    "token_file": None,
    "ca": None,
    "cert": None,
    "key": None,
    "connect_timeout": 3,
    "timeout": 10,
    "max_age": 24 * 60 * 60,
}
# After one of these a kept copy is void: the server going away must not bring a removed node back.
REFUSALS = (401, 403, 404, 410)
# A document of 10,000 VMs is about 10 MB.
MAX_BODY_BYTES = 256 * 1024 * 1024


class _ServerAway(Exception):
    """The server could not be reached or could not answer: the only reason to use a kept copy."""


def fetch(view, minion_id, check, options=None):
    """
    Return the JSON object at ``/salt/<view>/<minion_id>``.

    ``check`` is called with each document, fresh or kept, and raises ValueError when it is not what the caller needs.
    """
    settings = _settings(options)
    url = "{}/{}".format(_url(settings, view), urllib.parse.quote(minion_id, safe=""))
    copy = _Copy(os.path.join(__opts__["cachedir"], "virtapi", view), minion_id, url)
    kept = copy.load(check)
    try:
        headers = {"If-None-Match": kept["etag"]} if kept and kept["etag"] else {}
        status, etag, body = _ask("GET", url, settings, headers)
    except _ServerAway as away:
        if kept is None:
            raise CommandExecutionError("{}: {}, and no copy is kept".format(url, away)) from away
        # A copy from the future (the clock was set back) is as good as expired.
        if not 0 <= kept["age"] <= settings["max_age"]:
            message = "{}: {}, and the kept copy is {:.0f} s old"
            raise CommandExecutionError(message.format(url, away, kept["age"])) from away
        log.error("%s: %s; using the copy that was current %.0f s ago", url, away, kept["age"])
        return kept["document"]
    if status == 304 and kept:
        copy.confirm()
        return kept["document"]
    if status in REFUSALS:
        copy.discard()
    if status != 200:
        raise CommandExecutionError("{}: HTTP status {}".format(url, status))
    try:
        document = _parse(body)
        check(document)
    except ValueError as error:
        raise CommandExecutionError("{}: unusable answer: {}".format(url, error)) from error
    copy.store(etag, document)
    return document


def send(path, value, options=None):
    """Send a value to ``/salt/<path>`` as JSON; raise unless the server has kept it."""
    settings = _settings(options)
    url = _url(settings, path)
    # What a function returns may hold what JSON does not know: its text is better than nothing.
    body = json.dumps(value, default=str).encode("utf-8")
    try:
        status, _etag, answer = _ask("POST", url, settings, {"Content-Type": "application/json"}, body)
    except _ServerAway as away:
        raise CommandExecutionError("{}: {}".format(url, away)) from away
    if status not in (200, 201, 204):
        told = answer.decode("utf-8", "replace")
        raise CommandExecutionError("{}: HTTP status {}: {:.500}".format(url, status, told))


def _url(settings, path):
    return "{}/salt/{}".format(settings["url"].rstrip("/"), path)


def _settings(options):
    """Return all settings, or raise for one that is unknown or unusable."""
    given = dict(__opts__.get("virtapi") or {}, **(options or {}))
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise CommandExecutionError("unknown virtapi setting: {}".format(", ".join(unknown)))
    settings = dict(DEFAULTS, **given)
    url = urllib.parse.urlsplit(settings["url"] or "")
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise CommandExecutionError("virtapi setting url: not an http(s) address: {!r}".format(settings["url"]))
    for name in ("connect_timeout", "timeout", "max_age"):
        value = settings[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise CommandExecutionError("virtapi setting {}: not a number of seconds: {!r}".format(name, value))
    return settings


def _headers(settings):
    headers = {"Accept": "application/json", "User-Agent": "virtapi-salt", "Connection": "close"}
    if settings["token_file"]:
        headers["Authorization"] = "Bearer " + _token(settings["token_file"])
    return headers


def _token(path):
    with open(path, encoding="ascii") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IRWXO:
            raise CommandExecutionError("{}: others have access; chmod o-rwx".format(path))
        token = file.read().strip()
    if not token or len(token.split()) != 1:
        raise CommandExecutionError("{}: holds no token".format(path))
    return token


def _connection(url, settings):
    if url.scheme == "http":
        return http.client.HTTPConnection(url.hostname, url.port, timeout=settings["connect_timeout"])
    # Salt's own Python (onedir) does not know where the system keeps its CA bundle.
    tls = ssl.create_default_context(cafile=settings["ca"] or salt.utils.http.get_ca_bundle(__opts__))
    if settings["cert"]:
        tls.load_cert_chain(settings["cert"], settings["key"])
    return http.client.HTTPSConnection(url.hostname, url.port, timeout=settings["connect_timeout"], context=tls)


def _ask(method, url, settings, more_headers, body=None):
    """
    Return status, ETag and body. Raises _ServerAway when there is no answer or a 5xx.

    Not ``salt.utils.http.query``: that follows redirects, which may lead to another node's data.
    """
    parts = urllib.parse.urlsplit(url)
    headers = dict(_headers(settings), **more_headers)
    connection = _connection(parts, settings)
    deadline = time.monotonic() + settings["timeout"]
    try:
        status, etag, answer = _exchange(connection, method, parts.path, headers, body, deadline)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        raise _ServerAway("connection cut off: {}".format(error)) from error
    except ssl.SSLError as error:
        # A certificate that one side does not accept is a refusal, not an outage.
        raise CommandExecutionError("{}: TLS: {}".format(url, error)) from error
    except (OSError, http.client.RemoteDisconnected, http.client.IncompleteRead) as error:
        timed_out = isinstance(error, socket.timeout) or time.monotonic() >= deadline
        raise _ServerAway("timed out" if timed_out else str(error)) from error
    except http.client.HTTPException as error:
        raise CommandExecutionError("{}: not an HTTP answer: {!r}".format(url, error)) from error
    finally:
        connection.close()
    if status >= 500:
        raise _ServerAway("HTTP status {}".format(status))
    return status, etag, answer


def _exchange(connection, method, path, headers, body, deadline):
    connection.connect()
    # A socket's timeout starts again with each byte that arrives; only cutting it off bounds the whole request.
    watchdog = threading.Timer(max(0, deadline - time.monotonic()), _cut_off, [connection.sock])
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            connection.request(method, path, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            # The server has hung up; why (a refused client certificate) may still be there to read.
            log.debug("connection closed while the request was sent")
        with connection.getresponse() as response:
            answer = response.read(MAX_BODY_BYTES + 1)
            if len(answer) > MAX_BODY_BYTES:
                raise http.client.HTTPException("more than {} bytes".format(MAX_BODY_BYTES))
            if response.length:
                raise http.client.IncompleteRead(answer, response.length)
            if time.monotonic() >= deadline:
                raise socket.timeout()
            return response.status, response.headers.get("ETag"), answer
    finally:
        watchdog.cancel()


def _cut_off(sock):
    try:
        # Not the method of SSLSocket, which would take the TLS session away from the thread that reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        # The other thread closed it in the meantime.
        pass


def _parse(body):
    """Read strict JSON: UTF-8, an object, no repeated keys, no NaN, integers that Salt's wire format can carry."""

    def unique(pairs):
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise ValueError("a key appears twice in one object")
        return keys

    def integer(digits):
        number = int(digits) if len(digits) <= 20 else None
        if number is None or not -(2**63) <= number < 2**64:
            raise ValueError("the integer {} does not fit 64 bits".format(digits))
        return number

    def fraction(digits):
        number = float(digits)
        if math.isinf(number):
            raise ValueError("the number {} is too large".format(digits))
        return number

    def constant(name):
        raise ValueError("{} is not JSON".format(name))

    hooks = {"object_pairs_hook": unique, "parse_int": integer, "parse_float": fraction, "parse_constant": constant}
    document = json.loads(body.decode("utf-8"), **hooks)
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document


class _Copy:
    """The last good document of one minion: a file that only its owner reads, written whole or not at all."""

    def __init__(self, directory, minion_id, url):
        self.directory = directory
        self.path = os.path.join(directory, hashlib.sha256(minion_id.encode("utf-8")).hexdigest() + ".json")
        # An ETag means something only to the server that gave it.
        self.url = url

    def load(self, check):
        """Return ``document``, ``etag`` and ``age`` in seconds, or None when there is no copy that can be used."""
        try:
            with open(self.path, "rb") as file:
                modified = os.fstat(file.fileno()).st_mtime
                stored = _parse(file.read())
            if stored["url"] != self.url:
                return None
            check(stored["document"])
            return {"document": stored["document"], "etag": stored["etag"], "age": time.time() - modified}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            log.error("%s: unusable copy ignored: %s", self.path, error)
            return None

    def confirm(self):
        """The server says that the copy is current: its age starts again."""
        try:
            os.utime(self.path)
        except OSError as error:
            log.error("%s: the copy could not be confirmed: %s", self.path, error)

    def discard(self):
        """The server refuses this node: the copy must not come back."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def store(self, etag, document):
        """Keep a document. A full disk costs the copy, not the fresh document in hand: it is logged."""
        temporary = None
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            # Created with mode 0600.
            descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=".new-")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"url": self.url, "etag": etag, "document": document}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            log.error("%s: the copy could not be kept: %s", self.path, error)
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
