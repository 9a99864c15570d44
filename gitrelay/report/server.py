"""The live site over HTTP, for the person on this machine alone: read-only, on 127.0.0.1, below a secret path.

The secret is in the path and not in a cookie: a browser sends the cookies of 127.0.0.1 to every port, also to
another user's server. A client that does not know it learns nothing. A name that somebody's DNS points here is
refused by the Host header; no other site may read or frame a page.

The library's own server, with bounds: so long to ask and to be answered, so many bytes of an address, so many
connections. If there are more, the longest of those that have not named the secret is cut off: by being slow it
keeps nobody out, and a client that has named the secret is not cut off for one that has not.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTP_PORT
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs

from gitrelay.errors import Code, RelayError, UsageError
from gitrelay.protocol import names
from gitrelay.report import files, pages
from gitrelay.report.answering import BODY_MAX, PAGE, Desk
from gitrelay.report.live import Live

HOST: Final = "127.0.0.1"
_CONNECTIONS: Final = 32  # at once; a browser opens six
_STEP: Final = 15.0  # seconds to ask, and to take the answer
_URL_MAX: Final = 1024  # bytes
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'"  # the policy of what is no page
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class _Answer:
    """What is sent. `more` are headers of this answer alone."""

    status: HTTPStatus
    text: str
    kind: str = _TEXT
    policy: str = _NOTHING
    more: Mapping[str, str] = field(default_factory=dict)


def _html(text: str, template: str, *, live: bool = True) -> _Answer:
    return _Answer(HTTPStatus.OK, text, "text/html; charset=utf-8", pages.policy_of(template, live=live))


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves `live` below `/<token>/`. Raises UsageError if the port cannot be had; port 0 is any free one."""

    daemon_threads = True  # Ctrl-C does not wait for a reader
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, live: Live, token: str, port: int = 0, desk: Desk | None = None) -> None:
        self.live = live
        self.desk = desk  # takes answers to questions; without one the site is only read
        self.token = token
        self._strangers: dict[
            socket.socket, float
        ] = {}  # clients that have not named the secret, since when, oldest first
        self._known: dict[socket.socket, None] = {}  # who has
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as e:
            raise UsageError(
                f"port {port} of {HOST} cannot be had: {e.strerror}",
                hint="name another --port, or none for one that is free",
                code=Code.PORT,
            ) from None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def hosts(self) -> list[str]:
        """What a browser that was given our address calls us; it leaves out the port of HTTP itself."""
        ports = [f":{self.port}", *([""] if self.port == HTTP_PORT else [])]
        return [f"{name}{port}" for name in (HOST, "localhost") for port in ports]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            while len(self._strangers) + len(self._known) >= _CONNECTIONS:
                self._cut(next(iter(self._strangers or self._known)))
            self._strangers[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C has ended a git that was asked here; it ends us too
            super().process_request_thread(request, client_address)

    def admit(self, request: Any) -> None:
        """It has named the secret."""
        with self._lock:
            if self._strangers.pop(request, None) is not None:
                self._known[request] = None

    def service_actions(self) -> None:
        """Who does not say within a step what it wants is cut off, however often it sends a byte."""
        with self._lock:
            late = time.monotonic() - _STEP
            for request in [request for request, since in self._strangers.items() if since < late]:
                self._cut(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._strangers.pop(request, None)
            self._known.pop(request, None)
        super().shutdown_request(request)

    def _cut(self, request: socket.socket) -> None:
        self._strangers.pop(request, None)
        self._known.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)  # its thread then ends by itself

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away or was too slow is not reported; anything else is, and the others are served."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "gitrelay"
    sys_version = ""
    timeout = _STEP

    def do_GET(self) -> None:
        try:
            answer = self._found()
        except RelayError as e:
            answer = _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{e}\n")
        except Exception:
            self._answer(_Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected; 'git relay web' says more\n"))
            raise
        self._answer(answer)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        desk = self.server.desk
        refused = self._refused()
        if refused is None and (desk is None or not self.path.endswith(f"/{PAGE}")):
            refused = _Answer(HTTPStatus.METHOD_NOT_ALLOWED, "this page is only read\n", more={"Allow": "GET, HEAD"})
        size = self.headers.get("Content-Length", "")
        if refused is None and not (size.isascii() and size.isdecimal() and int(size) <= BODY_MAX):
            refused = _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too long\n")
        if refused is not None or desk is None:
            self.close_connection = True
            self._answer(refused or _Answer(HTTPStatus.METHOD_NOT_ALLOWED, "this site is only read\n"))
            return
        try:
            headers = {name.title(): value for name, value in self.headers.items()}
            taken, said = desk.take(headers, self.server.hosts, self.rfile.read(int(size)))
            page = _Answer(HTTPStatus.FORBIDDEN, f"{said}\n") if not taken else self._questions(desk, said)
        except RelayError as e:
            page = _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, f"{e}\n")
        self._answer(page)

    def _questions(self, desk: Desk, said: str = "") -> _Answer:
        # a browser sends no Origin with a form of a page that sends no referrer
        more = {"Referrer-Policy": "same-origin"}
        return _Answer(HTTPStatus.OK, desk.page(said), "text/html; charset=utf-8", desk.policy, more)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses by itself: no method of ours, no HTTP, too much of it."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            more = {"Allow": "GET, HEAD"}
            self._answer(_Answer(HTTPStatus.METHOD_NOT_ALLOWED, "this site is only read\n", more=more))
        else:
            self._answer(_Answer(HTTPStatus(code), f"{HTTPStatus(code).phrase}\n"))

    def _found(self) -> _Answer:
        refused = self._refused()
        if refused is not None:
            return refused
        rest = self.path.partition("?")[0].split("/", 2)[2:]
        return self._page(rest[0] if rest else None)

    def _refused(self) -> _Answer | None:
        """What is told to who does not know the secret or is not on our host; None for who may ask."""
        if len(self.path) > _URL_MAX:
            return _Answer(HTTPStatus.REQUEST_URI_TOO_LONG, "that is no page\n")
        if self.headers.get_all("Host") not in [[host] for host in self.server.hosts]:
            return _Answer(HTTPStatus.FORBIDDEN, f"this is not the host {HOST}\n")
        path = self.path.partition("?")[0]
        token = path.split("/", 2)[1] if path.startswith("/") else ""
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            return _Answer(HTTPStatus.FORBIDDEN, "use the whole address that 'git relay web' has printed\n")
        self.server.admit(self.connection)
        return None

    def _page(self, page: str | None) -> _Answer:
        live = self.server.live
        if page is None:
            place = f"/{self.server.token}/"
            return _Answer(HTTPStatus.MOVED_PERMANENTLY, f"{place}\n", more={"Location": place})
        if page in ("", "index.html"):
            return _html(live.index(), "index.html")
        if page == "figures.html":
            return _html(live.figures(), "figures.html")
        if page == PAGE and self.server.desk is not None:
            return self._questions(self.server.desk)
        if page == "state.json":
            return _Answer(HTTPStatus.OK, live.state(self._after()), "application/json")
        folder, _, file = page.partition("/")
        name = file.removesuffix(".html")
        if folder == "sessions" and file.endswith(".html") and names.is_session(name):
            found = live.session(name)
            if found is not None:
                return _html(found, "session.html")
        if folder == files.FOLDER and (found := live.file(page)) is not None:
            return _html(found, "file.html", live=False)
        return _Answer(HTTPStatus.NOT_FOUND, "there is no such page\n")

    def _after(self) -> str:
        """The version that the reader has, '' if it does not wait for another one."""
        return "".join(parse_qs(self.path.partition("?")[2], max_num_fields=4).get("after", [])[:1])

    def _answer(self, answer: _Answer) -> None:
        body = answer.text.encode("utf-8", "replace")
        self.send_response(answer.status)
        policy = {"Content-Security-Policy": f"{answer.policy}; frame-ancestors 'none'"}
        size = {"Content-Type": answer.kind, "Content-Length": str(len(body))}
        for name, value in (_HEADERS | policy | dict(answer.more) | size).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address holds the secret."""
