"""Serve the report of a run over HTTP, for a machine that people reach by ssh.

It reads the run directory and writes nothing there. The pages are made in a temporary folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spectro_mpi.errors import UserError
from spectro_mpi.report.live_pages import LivePages
from spectro_mpi.report.served_files import START, STATE, TYPES, served_file
from spectro_mpi.system.regular import opened_regular

PORT = 8765
"""The first port that is tried."""
_PORTS = 20
_IDLE_SECONDS = 60.0
"""After this time a connection without a request is closed."""
_SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"}
"""For files of the run directory: opened by themselves, none of them runs a script or sends."""
_ELSEWHERE = (
    "There is no such file here. `spectro-mpi serve` gives the report and the figures of a run, "
    "nothing else of its directory.\n"
)


def serve(run_dir: Path, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the report of a run until SIGINT, SIGTERM or SIGHUP.

    `port` 0: the first of 20 ports from `PORT` that is free. `tell` is called with messages.
    Raises `UserError` if `run_dir` is not a run directory or the address cannot be used, and
    `RunError` if the pages cannot be written.
    """
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(run_dir, host, port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spectro-mpi-")))
        server.pages = LivePages(run_dir, folder)
        stack.callback(server.pages.close)
        stack.enter_context(_stopped_by_signals(server))
        for line in _greeting(run_dir, host, server.server_port):
            tell(line)
        server.serve_forever()


def _listening(run_dir: Path, host: str, port: int) -> _Server:
    """A server on the port, or on the first free one. Raises `UserError`."""
    if not host:  # it would stand for all addresses
        raise UserError("--host: is empty; name an address, or leave it out for 127.0.0.1")
    ports = [port] if port else range(PORT, PORT + _PORTS)
    for number in ports:
        try:
            return _Server(run_dir, host, number)
        except OSError as error:
            trouble = error.strerror or str(error)
    where = f"port {port}" if port else f"ports {PORT} to {PORT + _PORTS - 1}"
    raise UserError(f"{host}, {where}: {trouble}; choose another with --port or --host")


@contextlib.contextmanager
def _stopped_by_signals(server: _Server) -> Iterator[None]:
    def stop(*_: object) -> None:
        # `shutdown` waits for the loop that this thread is in.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _greeting(run_dir: Path, host: str, port: int) -> Iterator[str]:
    shown = f"[{host}]" if ":" in host else host
    yield f"{run_dir}: http://{shown}:{port}{START}   (Ctrl-C ends it)"
    if _is_loopback(host):
        there = f"ssh -L {port}:localhost:{port} {socket.gethostname()}"
        yield f"from another machine: {there}, then http://localhost:{port}{START}"
    else:
        yield "everybody who can reach this machine can look at the run"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: LivePages

    def __init__(self, run_dir: Path, host: str, port: int) -> None:
        """Listen. Raises `OSError`."""
        self.run_dir = run_dir
        self.is_loopback = _is_loopback(host)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # As HTTPServer does, but without a look-up of the name of this host, which may take long.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that goes away in the middle of an answer is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "spectro-mpi", ""
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with a file, or with the state of the run."""
        try:
            address, host = urlsplit(self.path).path, self._host()
        except ValueError:
            self._text(HTTPStatus.BAD_REQUEST, "This is no address.\n")
            return
        if self.server.is_loopback and not _is_loopback(host):
            # A page elsewhere may have got its name resolved to ours, to read the answers.
            self._text(HTTPStatus.FORBIDDEN, "This address is not one of this server.\n")
        elif address in ("/", "/report", "/report/"):
            self._answer(HTTPStatus.FOUND, b"", "text/plain", Location=START)
        elif address == STATE:
            self._state()
        else:
            self._file(self.path)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: one page asks for hundreds of files."""

    def _host(self) -> str:
        """The host that the request names. Raises `ValueError` if it cannot be one."""
        return urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""

    def _state(self) -> None:
        try:
            state = self.server.pages.state()
        except UserError as error:
            self._text(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
            return
        self._answer(HTTPStatus.OK, json.dumps(state).encode(), "application/json")

    def _file(self, address: str) -> None:
        path = served_file(self.server.run_dir, self.server.pages.folder, address)
        try:
            if path is None:
                raise FileNotFoundError
            file = opened_regular(path)
        except (OSError, ValueError):
            self._text(HTTPStatus.NOT_FOUND, _ELSEWHERE)
            return
        with file:
            policy = {} if path.is_relative_to(self.server.pages.folder.resolve()) else _SANDBOX
            size = os.fstat(file.fileno()).st_size
            self._head(HTTPStatus.OK, TYPES[path.suffix], size, **policy)
            if self.command != "HEAD":
                shutil.copyfileobj(file, self.wfile)

    def _text(self, status: HTTPStatus, words: str) -> None:
        self._answer(status, words.encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, kind: str, **headers: str) -> None:
        self._head(status, kind, len(content), **headers)
        if self.command != "HEAD":
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, size: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Frame-Options", "DENY")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
