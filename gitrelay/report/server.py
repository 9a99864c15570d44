"""The live site over HTTP, for the person on this machine alone: read-only, on 127.0.0.1, below a secret path.

The secret stands in the path and not in a cookie: a browser sends the cookies of 127.0.0.1 to every port, also to
another user's server. Who does not know it is told nothing. A name that somebody's DNS points to this machine is
refused by the Host header; no other site may read or frame a page.

The library's own server, with bounds: so long for each step, so many bytes of an address, so many connections. Where
there are more, the one that has lasted longest is cut off: it cannot keep a new one out by being slow.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from gitrelay import names
from gitrelay.errors import RelayError, UsageError
from gitrelay.report.live import Live

HOST: Final = "127.0.0.1"
_CONNECTIONS: Final = 32  # at once; a browser opens six
_STEP: Final = 15.0  # seconds for each read and write
_URL_MAX: Final = 1024  # bytes
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves `live` below `/<token>/`. Raises UsageError where the port cannot be had; port 0 is any free one."""

    daemon_threads = True  # Ctrl-C does not wait for a reader
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, live: Live, token: str, port: int = 0) -> None:
        self.live = live
        self.token = token
        self._open: dict[socket.socket, None] = {}  # in the order they came
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as e:
            raise UsageError(
                f"port {port} of {HOST} cannot be had: {e.strerror}",
                hint="name another --port, or none for one that is free",
                code="port",
            ) from None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            while len(self._open) >= _CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread then ends by itself
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that went away or was too slow is no news; anything else is told, and the others are served."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "gitrelay"
    sys_version = ""
    timeout = _STEP

    def do_GET(self) -> None:
        self._answer(*self._found())

    do_HEAD = do_GET

    def _found(self) -> tuple[HTTPStatus, str, str]:
        """(status, type, text) for the request."""
        hosts = {f"{name}:{self.server.port}" for name in (HOST, "localhost")}
        if len(self.path) > _URL_MAX:
            return HTTPStatus.REQUEST_URI_TOO_LONG, _TEXT, "that is no page\n"
        if self.headers.get_all("Host") not in [[host] for host in hosts]:
            return HTTPStatus.FORBIDDEN, _TEXT, f"this is not the host {HOST}\n"
        path = self.path.partition("?")[0]
        _, token, *rest = path.split("/", 2) if path.startswith("/") else ("", "")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            return HTTPStatus.FORBIDDEN, _TEXT, "use the whole address that 'git relay web' has printed\n"
        try:
            return self._page(rest[0] if rest else None)
        except RelayError as e:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, f"{e}\n"

    def _page(self, page: str | None) -> tuple[HTTPStatus, str, str]:
        live = self.server.live
        if page is None:
            return HTTPStatus.MOVED_PERMANENTLY, _TEXT, f"/{self.server.token}/"
        if page in ("", "index.html"):
            return HTTPStatus.OK, _HTML, live.index()
        if page == "figures.html":
            return HTTPStatus.OK, _HTML, live.figures()
        if page == "state.json":
            return HTTPStatus.OK, _JSON, live.state()
        folder, _, file = page.partition("/")
        name = file.removesuffix(".html")
        if folder == "sessions" and file.endswith(".html") and names.is_session(name):
            found = live.session(name)
            if found is not None:
                return HTTPStatus.OK, _HTML, found
        return HTTPStatus.NOT_FOUND, _TEXT, "there is no such page\n"

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status == HTTPStatus.MOVED_PERMANENTLY:
            self.send_header("Location", text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the address holds the secret."""
