"""Requests to an archive: patient, polite, and not led elsewhere.

Only http and https; a redirect may lead to the same host, or to one in `fetch.hosts`, and never
from https to http. Failures that may pass are tried again after growing pauses; when the server
asks to wait (Retry-After), all requests wait.
"""

from __future__ import annotations

import random
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from spectro_mpi.settings.fetch import FetchSettings

T = TypeVar("T")

MOST_WAIT_SECONDS = 600.0
"""Longest pause; a server that asks for more is asked again by the next `fetch`."""
_MOST_REDIRECTS = 5
_MOST_LISTING_BYTES = 32 << 20
_LEAST_BYTES_A_SECOND = 1000
_CHUNK = 1 << 16
_PASSING = frozenset({408, 421, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RefusedError(Exception):
    """What is asked for cannot be had now; trying again at once would not help."""


class PassingError(Exception):
    """A failure that may pass."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait
        """Pause that the server asks for, s."""


class GivenUpError(Exception):
    """The user asked to stop."""


@dataclass(frozen=True)
class Answer:
    """The begin of an answer; its body is not read yet."""

    url: str
    """Where it comes from, after redirects."""
    status: int
    headers: Mapping[str, str]
    _response: urllib3.BaseHTTPResponse
    _settings: FetchSettings
    _stop: threading.Event

    def chunks(self, decode: bool = False) -> Iterator[bytes]:
        """The body, as it comes. `decode`: undo compression of the transfer.

        Raises `PassingError` if it breaks off or comes to a crawl, `GivenUpError`.
        """
        window = self._settings.timeout_seconds
        begin, count = time.monotonic(), 0
        while True:
            if self._stop.is_set():
                raise GivenUpError
            try:
                chunk = self._response.read1(_CHUNK, decode_content=decode)
            except (HTTPError, OSError) as error:
                raise PassingError(_reason(error)) from None
            if not chunk:
                return
            yield chunk
            count += len(chunk)
            if (spent := time.monotonic() - begin) > window:
                if count < _LEAST_BYTES_A_SECOND * spent:
                    raise PassingError(f"only {count} bytes came in {spent:.0f} s")
                begin, count = time.monotonic(), 0


class Web:
    """The connections to an archive. May be used by several threads."""

    def __init__(self, settings: FetchSettings, version: str, stop: threading.Event) -> None:
        """`version` of this program, for the archive's logs; `stop`: give up when it is set."""
        self._settings = settings
        self._stop = stop
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._options = {
            "headers": {"User-Agent": f"spectro-mpi/{version}", "Accept-Encoding": "identity"},
            "maxsize": settings.parallel,
            "retries": False,
            "timeout": urllib3.Timeout(
                connect=settings.timeout_seconds, read=settings.timeout_seconds
            ),
        }
        self._pools: dict[str, urllib3.PoolManager] = {}

    def page(self, url: str) -> tuple[str, str]:
        """(address after redirects, text) of a page.

        Raises `RefusedError`, or `PassingError` with the last failure, or `GivenUpError`.
        """
        return self.patiently(lambda: self._page(url), lambda: 0)

    def patiently(self, attempt: Callable[[], T], progress: Callable[[], int]) -> T:
        """Call `attempt` until it succeeds, with pauses.

        It is given up after `fetch.attempts` failures in a row without a higher `progress`.
        Raises as `page`.
        """
        failures, best = 0, progress()
        while True:
            self._wait()
            try:
                return attempt()
            except PassingError as error:
                if (now := progress()) > best:
                    failures, best = 0, now
                failures += 1
                if failures >= self._settings.attempts:
                    raise
                if error.wait > MOST_WAIT_SECONDS:
                    raise RefusedError(
                        f"{error}; the server asks to wait {error.wait:.0f} s"
                    ) from None
                pause = self._settings.backoff_seconds * 2.0 ** (failures - 1)
                # Not all at the same time.
                pause = min(pause, MOST_WAIT_SECONDS) * random.uniform(0.75, 1.25)
                if error.wait:
                    with self._lock:
                        self._not_before = max(self._not_before, time.monotonic() + error.wait)
                elif self._stop.wait(pause):
                    raise GivenUpError from None

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """An answer with status 200, 206 or 416; it is closed at the end.

        Raises `RefusedError`, `PassingError`.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._request(url, headers)
            try:
                if response.status in _REDIRECTS:
                    url = self._redirected(url, response.headers.get("Location", ""))
                    continue
                _check_status(response)
                yield Answer(
                    url,
                    response.status,
                    response.headers,
                    response,
                    self._settings,
                    self._stop,
                )
                return
            finally:
                response.close()
        raise RefusedError(f"redirected more than {_MOST_REDIRECTS} times")

    def _page(self, url: str) -> tuple[str, str]:
        with self.get(url, {}) as answer:
            parts, size = [], 0
            for chunk in answer.chunks(decode=True):
                parts.append(chunk)
                size += len(chunk)
                if size > _MOST_LISTING_BYTES:
                    raise RefusedError(f"has more than {_MOST_LISTING_BYTES >> 20} MB; no listing")
            length = answer.headers.get("Content-Length", "")
            is_coded = answer.headers.get("Content-Encoding") is not None
            if not is_coded and length.isdecimal() and size < int(length):
                raise PassingError(f"broke off after {size} of {length} bytes")
            return answer.url, b"".join(parts).decode("utf-8", "replace")

    def _request(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool(url).request(
                "GET",
                url,
                headers={**self._options["headers"], **headers},  # type: ignore[dict-item]
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except LocationParseError:
            raise RefusedError(f"{url} is no address") from None
        except SSLError as error:
            raise RefusedError(_reason(error)) from None
        except (HTTPError, OSError) as error:
            raise PassingError(_reason(error)) from None

    def _pool(self, url: str) -> urllib3.PoolManager:
        """Connections to a host, through the proxy that the environment names, if any."""
        parts = urlsplit(url)
        proxy = ""
        if not urllib.request.proxy_bypass(parts.netloc):
            proxy = urllib.request.getproxies().get(parts.scheme, "")
        with self._lock:
            if proxy not in self._pools:
                options = dict(self._options)
                self._pools[proxy] = (
                    urllib3.ProxyManager(proxy, **options)  # type: ignore[arg-type]
                    if proxy
                    else urllib3.PoolManager(**options)  # type: ignore[arg-type]
                )
            return self._pools[proxy]

    def _redirected(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            before, after = urlsplit(url), urlsplit(target)
            _ = after.port
        except ValueError:
            raise RefusedError("redirected to what is no address") from None
        if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == (
            "https",
            "http",
        ):
            raise RefusedError(f"redirected to {target}; only https, or http from http, is used")
        if after.hostname != before.hostname and after.hostname not in self._settings.hosts:
            raise RefusedError(
                f"redirected to {target}; to allow that, list {after.hostname} in fetch.hosts"
            )
        return target

    def _wait(self) -> None:
        """Wait until the server allows the next request. Raises `GivenUpError`."""
        while True:
            with self._lock:
                pause = self._not_before - time.monotonic()
            if self._stop.wait(max(pause, 0.0)):
                raise GivenUpError
            if pause <= 0:
                return


def _check_status(response: urllib3.BaseHTTPResponse) -> None:
    """Raise unless the status is 200, 206 or 416."""
    if response.status in (200, 206, 416):
        return
    what = f"the server answers {response.status} {response.reason or ''}".rstrip()
    if response.status in _PASSING:
        raise PassingError(what, _retry_after(response.headers.get("Retry-After", "")))
    raise RefusedError(what)


def _retry_after(value: str) -> float:
    """Seconds that a header Retry-After asks to wait; 0: it does not say."""
    value = value.strip()
    if value.isdecimal():
        return float(min(int(value), 10**9)) if len(value) < 12 else 1e9
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0.0
    date = date.replace(tzinfo=date.tzinfo or timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def _reason(error: Exception) -> str:
    """A short sentence on why a request failed."""
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError) and not isinstance(
        error, NewConnectionError
    ):
        return "timed out: nothing came for too long"
    if isinstance(error, ProtocolError):
        return "the connection broke off"
    if isinstance(error, DecodeError):
        return "its compression is damaged"
    # urllib3 begins with the connection object: "HTTPConnection(host=…): …".
    return str(error).rpartition("): ")[2] or type(error).__name__
