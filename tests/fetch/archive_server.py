"""A web archive on this machine: listings in the styles of Apache and nginx, and every fault."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from cdflib import cdfwrite

DATE = "Fri, 26 May 2017 19:02:12 GMT"


@cache
def cdf(size: int = 20_000, seed: int = 0, checksum: bool = False) -> bytes:
    """A CDF file of about `size` bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made.cdf"
        file = cdfwrite.CDF(path, cdf_spec={"Checksum": checksum})
        spec = {"Variable": "x", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True}
        values = np.random.default_rng(seed).random(size // 4).astype("f4")
        file.write_var({**spec, "Dim_Sizes": [], "Compress": 0}, var_data=values)
        file.close()
        return path.read_bytes()


def name(orbit: int, instrument: str = "ees", version: int = 1, date: str = "20000101") -> str:
    """The name of a FAST ESA file."""
    return f"fa_esa_l2_{instrument}_{date}001737_{orbit:05d}_v{version:02d}.cdf"


Fault = Callable[["Handler", bytes], None]


@dataclass
class Archive:
    """What the server has, does and saw."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path below /l2/ → content."""
    style: str = "apache"
    pages: dict[str, str] = field(default_factory=dict)
    """Path of a folder → HTML in place of its listing."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """Path → what is done instead of answering, for one request each; the last one for ever."""
    etag: str = '"v1"'
    """Empty: no ETag and no date."""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)
    """(path, bytes of the body that should be sent)"""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Ends what stalls."""
    reached: threading.Event = field(default_factory=threading.Event)
    """Set when a stall begins."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/l2"

    def add(self, *orbits: int, instruments: tuple[str, ...] = ("ees",), version: int = 1) -> None:
        """Add files of these orbits, in folders by instrument and month."""
        for orbit in orbits:
            for instrument in instruments:
                date = f"2000{1 + (orbit - 13312) // 10:02d}01"
                path = f"{instrument}/{date[:4]}/{date[4:6]}/"
                content = cdf(seed=orbit + version)
                self.files[path + name(orbit, instrument, version, date)] = content

    def paths(self, ending: str = "") -> list[str]:
        """The paths that were asked for, without that of the archive."""
        return [path for path, _ in self.requests if path.endswith(ending)]

    def path_of(self, file: str) -> str:
        """The path of the file with this name."""
        return next(path for path in self.files if path.endswith(f"/{file}"))


class Handler(BaseHTTPRequestHandler):
    """Answers requests for an archive."""

    protocol_version = "HTTP/1.1"
    archive: Archive

    def do_GET(self) -> None:
        archive = self.archive
        path = unquote(self.path).removeprefix("/l2/").removeprefix("/l2")
        with archive.lock:
            archive.requests.append((path, dict(self.headers)))
            archive.at_once += 1
            archive.most_at_once = max(archive.most_at_once, archive.at_once)
            faults = archive.faults.get(path, [])
            fault = faults.pop(0) if len(faults) > 1 else faults[0] if faults else None
        try:
            content = archive.files.get(path)
            if fault is not None:
                fault(self, content or b"")
            elif content is not None:
                self.send_file(path, content)
            elif path.endswith("/") or not path:
                self.send_page(archive.pages.get(path) or self._listing(path))
            else:
                self.send_error(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with archive.lock:
                archive.at_once -= 1

    def log_message(self, *_: Any) -> None: ...

    def send_head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        if self.archive.etag:
            self.send_header("ETag", self.archive.etag)
            self.send_header("Last-Modified", DATE)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def send_page(self, html: str, status: int = 200, **headers: str) -> None:
        body = html.encode("utf-8", "surrogateescape")
        self.send_head(status, len(body), **{"Content_Type": "text/html", **headers})
        self.wfile.write(body)

    def send_file(self, path: str, content: bytes, most: int | None = None) -> None:
        """Send a file, or the range that is asked for; `most`: break off after so many bytes."""
        first = 0
        asked = self.headers.get("Range", "")
        if asked and self.headers.get("If-Range", "") in (self.archive.etag, DATE):
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if first >= len(content) and asked:
            self.send_head(416, 0)
            return
        body = content[first:]
        if first:
            where = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self.send_head(206, len(body), Content_Range=where)
        else:
            self.send_head(200, len(body), Content_Type="application/x-cdf")
        self.archive.sent.append((path, len(body)))
        self.wfile.write(body if most is None else body[:most])
        if most is not None:
            self.close_connection = True

    def _listing(self, folder: str) -> str:
        files = self.archive.files
        below = [path.removeprefix(folder) for path in files if path.startswith(folder)]
        if not below:
            self.send_error(404)
            raise BrokenPipeError
        names = sorted({path.partition("/")[0] + "/" * ("/" in path) for path in below})
        rows = [(entry, len(files.get(folder + entry, b""))) for entry in names]
        return listing(folder, rows, self.archive.style)


def listing(folder: str, entries: list[tuple[str, int]], style: str) -> str:
    """A listing as a server writes it: Apache's with columns or as a table, or nginx'."""
    if style == "nginx":
        rows = [
            f'<a href="{quote(entry)}">{escape(entry[:50])}</a>'.ljust(60)
            + f"26-May-2017 19:02 {size if not entry.endswith('/') else '-':>19}"
            for entry, size in entries
        ]
        return (
            '<html><body><h1>Index</h1><hr><pre><a href="../">../</a>\n'
            + "\n".join(rows)
            + "\n</pre></body></html>"
        )
    if style == "table":
        rows = [
            f'<tr><td valign="top"><img src="/icons/x.gif" alt="[   ]"></td><td><a href='
            f'"{quote(entry)}">{escape(entry)}</a></td><td align="right">2017-05-26 12:02  </td>'
            f'<td align="right">{apache_size(size, entry)}</td><td>&nbsp;</td></tr>'
            for entry, size in entries
        ]
        return (
            '<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=S;O=A">Size</a></th>'
            '</tr><tr><td><a href="/l2/">Parent Directory</a></td></tr>' + "\n".join(rows)
        )
    rows = [
        f'<img src="/icons/unknown.gif" alt="[   ]"> <a href="{quote(entry)}">{escape(entry[:20])}'
        f"..&gt;</a> 2017-05-26 12:02  {apache_size(size, entry)}  "
        for entry, size in entries
    ]
    return (
        '<pre><a href="?C=N;O=D">Name</a> <a href="?C=M;O=A">Last modified</a><hr>'
        '<a href="/l2/">Parent Directory</a>   -   \n' + "\n".join(rows) + "<hr></pre>"
    )


def apache_size(size: int, entry: str) -> str:
    """As Apache writes sizes: 973 bytes, 1.9K, 42M."""
    if entry.endswith("/"):
        return "  - "
    if size < 973:
        return f"{size} "
    value, unit = float(size), 0
    while value >= 973:
        value /= 1024
        unit += 1
    return f"{value:.1f}{' KMGT'[unit]}" if value < 9.95 else f"{value:.0f}{' KMGT'[unit]}"


@contextlib.contextmanager
def serving(archive: Archive) -> Iterator[Archive]:
    """Serve an archive on a free port of the loopback interface."""
    handler = type("OfArchive", (Handler,), {"archive": archive})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    archive.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        archive.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cut(size: int) -> Fault:
    """Break off after `size` bytes."""
    return lambda handler, content: handler.send_file(_path(handler), content, size)


def answer(handler: Handler, content: bytes) -> None:
    """No fault."""
    handler.send_file(_path(handler), content)


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and a page."""
    return lambda handler, content: handler.send_page(f"<h1>{code}</h1>", code, **headers)


def page(html: str) -> Fault:
    """Answer with a page and status 200, as some servers do when something is wrong."""
    return lambda handler, content: handler.send_page(html)


def redirect(target: str) -> Fault:
    """Lead elsewhere."""
    return status(302, Location=target)


def stall(size: int) -> Fault:
    """Send `size` bytes, then nothing until the test ends."""

    def fault(handler: Handler, content: bytes) -> None:
        handler.send_head(200, len(content))
        handler.wfile.write(content[:size])
        handler.wfile.flush()
        handler.archive.reached.set()
        handler.archive.released.wait(60)
        handler.close_connection = True

    return fault


def trickle(handler: Handler, content: bytes) -> None:
    """Send a byte now and then."""
    handler.send_head(200, len(content))
    for number in range(len(content)):
        handler.wfile.write(content[number : number + 1])
        handler.wfile.flush()
        if handler.archive.released.wait(0.05):
            return


def _path(handler: Handler) -> str:
    return unquote(handler.path).removeprefix("/l2/")
