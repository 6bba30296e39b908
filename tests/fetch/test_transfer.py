"""Servers that stall, cut off, redirect and lie: a file is whole, or not there."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from email.utils import formatdate
from itertools import accumulate
from pathlib import Path

import pytest

from spectro_mpi.fetch.transfer import transfer
from spectro_mpi.fetch.web import RefusedError, Web
from spectro_mpi.settings.fetch import FetchSettings
from tests.fetch.archive_server import (
    Archive,
    Fault,
    Handler,
    answer,
    cdf,
    cut,
    name,
    page,
    redirect,
    stall,
    status,
    trickle,
)
from tests.fetch.conftest import Fetch

FILE = name(13312)


@pytest.fixture
def path(archive: Archive) -> str:
    """The path of the only file of the archive."""
    archive.add(13312)
    return archive.path_of(FILE)


def nothing_is_left(tmp_path: Path) -> bool:
    return not any(path.is_file() for path in (tmp_path / "data").rglob("*"))


def test_what_is_cut_off_is_resumed(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.faults[path] = [cut(5000), cut(5000), answer]
    assert fetch().code == 0
    whole = archive.files[path]
    assert (tmp_path / "data" / path).read_bytes() == whole
    assert [size for _, size in archive.sent] == [len(whole), len(whole) - 5000, len(whole) - 10000]
    ranges = [headers.get("Range") for asked, headers in archive.requests if asked == path]
    assert ranges == [None, "bytes=5000-", "bytes=10000-"]
    assert {h["If-Range"] for asked, h in archive.requests if "If-Range" in h} == {'"v1"'}
    assert not list((tmp_path / "data").rglob("*.part*"))


def test_a_file_that_changed_meanwhile_starts_over(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.faults[path] = [cut(5000), status(403)]
    assert fetch().code == 3
    assert (tmp_path / "data" / f"{path}.part").stat().st_size == 5000
    archive.faults.clear()
    archive.files[path] = cdf(seed=7)
    archive.etag = '"v2"'
    assert fetch().code == 0
    assert (tmp_path / "data" / path).read_bytes() == cdf(seed=7)


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_tag_a_date_serves_or_it_starts_over(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, etag: str
) -> None:
    archive.etag = etag
    archive.faults[path] = [cut(5000), answer]
    assert fetch().code == 0
    assert (tmp_path / "data" / path).read_bytes() == archive.files[path]
    asked = [headers.get("Range") for where, headers in archive.requests if where == path]
    assert asked == [None, "bytes=5000-" if etag else None]


def _wrong_range(handler: Handler, content: bytes) -> None:
    body = content[4000:]
    where = f"bytes 4000-{len(content) - 1}/{len(content)}"
    handler.send_head(206, len(body), Content_Range=where)
    handler.wfile.write(body)


def _other_total(handler: Handler, content: bytes) -> None:
    handler.send_head(206, 100, Content_Range="bytes 5000-5099/5100")
    handler.wfile.write(b"x" * 100)


@pytest.mark.parametrize("fault", [_wrong_range, _other_total, status(416)])
def test_a_rest_that_does_not_fit_is_not_appended(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, fault: Fault
) -> None:
    archive.faults[path] = [cut(5000), fault, answer]
    assert fetch().code == 0
    assert (tmp_path / "data" / path).read_bytes() == archive.files[path]


def test_a_part_that_lacks_its_note_or_has_a_spoilt_one_starts_over(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    part = tmp_path / "data" / f"{path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"from elsewhere")
    assert fetch().code == 0
    target = tmp_path / "data" / path
    assert target.read_bytes() == archive.files[path]
    target.unlink()
    part.write_bytes(b"from elsewhere")
    part.with_name(part.name + ".json").write_text('{"url": 1, "size": [')
    assert fetch().code == 0
    assert target.read_bytes() == archive.files[path]


@pytest.mark.parametrize("fault", [stall(5000), stall(0), trickle])
def test_a_server_that_stalls_is_asked_again(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, fault: Fault
) -> None:
    archive.faults[path] = [fault, answer]
    began = time.monotonic()
    assert fetch().code == 0
    assert (tmp_path / "data" / path).read_bytes() == archive.files[path]
    assert time.monotonic() - began < 20


def test_a_server_that_always_stalls_is_given_up(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.faults[path] = [stall(0)]
    done = fetch("-s", "fetch.attempts=2")
    assert done.code == 3
    assert f"{FILE}: " in done.err
    assert "timed out" in done.err.lower()
    assert len(archive.paths(path)) == 2
    assert not (tmp_path / "data" / path).exists()


def test_a_server_that_begins_again_and_again_is_given_up(
    archive: Archive, fetch: Fetch, path: str
) -> None:
    archive.etag = ""
    archive.faults[path] = [cut(5000), cut(4000), cut(5000), cut(3000), cut(2000), cut(5000)]
    done = fetch()
    assert done.code == 3
    assert "broke off" in done.err
    assert len(archive.paths(path)) <= 7


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_to_wait_is_left_alone_so_long(
    archive: Archive, fetch: Fetch, path: str, code: int
) -> None:
    asked: list[float] = []

    def wait(handler: Handler, content: bytes) -> None:
        asked.append(time.monotonic())
        status(code, Retry_After="1")(handler, content)

    def then(handler: Handler, content: bytes) -> None:
        asked.append(time.monotonic())
        answer(handler, content)

    archive.faults[path] = [wait, then]
    assert fetch().code == 0
    assert asked[1] - asked[0] >= 0.95


def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    archive: Archive, fetch: Fetch, path: str
) -> None:
    later = formatdate(time.time() + 3600, usegmt=True)
    archive.faults[path] = [status(503, Retry_After=later)]
    done = fetch()
    assert done.code == 3
    assert "asks to wait" in done.err
    assert len(archive.paths(path)) == 1


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_what_the_server_refuses_is_listed_and_not_asked_for_again(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, code: int
) -> None:
    archive.add(13313)
    archive.faults[path] = [status(code)]
    done = fetch()
    assert done.code == 3
    assert f"{FILE}: the server answers {code}" in done.err
    assert "1 of 2 files fetched" in done.out
    assert len(archive.paths(path)) == 1


def test_a_redirect_on_the_same_host_is_followed(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.files["moved/x.cdf"] = archive.files[path]
    archive.faults[path] = [redirect("/l2/moved/x.cdf")]
    assert fetch("-s", "fetch.folders={instrument}/%Y/%m").code == 0
    assert (tmp_path / "data" / path).read_bytes() == archive.files[path]


@pytest.mark.parametrize(
    "target",
    [
        "http://elsewhere.invalid/x.cdf",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x.cdf",
        "http://[::1",
        "//elsewhere.invalid/x.cdf",
        "http://127.0.0.1:notaport/x.cdf",
    ],
)
def test_a_redirect_elsewhere_is_refused(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, target: str
) -> None:
    archive.faults[path] = [redirect(target)]
    done = fetch()
    assert done.code == 3
    assert "redirected to" in done.err
    assert nothing_is_left(tmp_path)


def test_a_redirect_to_a_host_that_is_listed_is_followed(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.files["moved/x.cdf"] = archive.files[path]
    target = f"http://localhost:{archive.port}/l2/moved/x.cdf"
    archive.faults[path] = [redirect(target)]
    done = fetch()
    assert done.code == 3
    assert "list localhost in fetch.hosts" in done.err
    assert fetch("-s", 'fetch.hosts=["localhost"]').code == 0
    assert (tmp_path / "data" / path).read_bytes() == archive.files[path]


def test_redirects_in_a_circle_end(archive: Archive, fetch: Fetch, path: str) -> None:
    archive.faults[path] = [redirect(f"/l2/{path}")]
    done = fetch()
    assert done.code == 3
    assert "redirected more than 5 times" in done.err


def _endless(handler: Handler, content: bytes) -> None:
    handler.send_head(200, -1)
    handler.wfile.write(content[:8])
    while not handler.archive.released.is_set():
        handler.wfile.write(b"\0" * 65536)


def _huge(handler: Handler, content: bytes) -> None:
    handler.send_head(200, 10**15)
    handler.wfile.write(content)


@pytest.mark.parametrize("fault", [_endless, _huge])
def test_an_absurd_size_is_refused(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, fault: Fault
) -> None:
    archive.faults[path] = [fault]
    done = fetch("-s", "fetch.max_file_mb=1", "-s", "fetch.timeout_seconds=10")
    assert done.code == 3
    assert f"{FILE}: " in done.err
    assert nothing_is_left(tmp_path)


def test_a_file_without_a_length_is_checked_by_its_own_end(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    def whole(handler: Handler, content: bytes) -> None:
        handler.send_head(200, -1)
        handler.wfile.write(content)

    def half(handler: Handler, content: bytes) -> None:
        handler.send_head(200, -1)
        handler.wfile.write(content[: len(content) // 2])

    archive.faults[path] = [half]
    done = fetch()
    assert done.code == 3
    assert "not whole: the file is truncated" in done.err
    assert nothing_is_left(tmp_path)
    archive.faults[path] = [whole]
    assert fetch().code == 0


def test_an_empty_file_costs_only_itself(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    archive.add(13313)
    archive.faults[path] = [lambda handler, content: handler.send_head(200, 0)]
    done = fetch("-s", "fetch.parallel=1")
    assert done.code == 3
    assert f"{FILE}: the archive's file is not whole: the file is empty (0 bytes)" in done.err
    assert (tmp_path / "data" / archive.path_of(name(13313))).exists()
    assert not list((tmp_path / "data").rglob("*.part*"))


@pytest.mark.parametrize("fault", [cut(5000), answer, page("<h1>error</h1>"), stall(9000)])
def test_bytes_are_counted_once_and_not_those_of_an_earlier_fetch(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path, fault: Fault
) -> None:
    archive.faults[path] = [cut(8000), status(403)]
    assert fetch().code == 3
    archive.faults[path] = [fault, answer]
    archive.etag = '"v2"'
    counted: list[int] = []
    settings = FetchSettings(timeout_seconds=0.5, backoff_seconds=0.01)
    target = tmp_path / "data" / path
    url = f"{archive.url}/{path}"
    with contextlib.suppress(RefusedError):
        transfer(Web(settings, "0", threading.Event()), url, target, 10**6, counted.append)
    assert sum(counted) == (target.stat().st_size if target.exists() else 0)
    assert min(accumulate(counted)) >= 0


def test_content_that_its_checksum_denies_is_refused(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    content = bytearray(cdf(checksum=True))
    content[len(content) // 2] ^= 1
    archive.files[path] = bytes(content)
    done = fetch()
    assert done.code == 3
    assert "checksum" in done.err
    assert nothing_is_left(tmp_path)


def test_a_file_that_is_sent_compressed_is_refused(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    def compressed(handler: Handler, content: bytes) -> None:
        body = gzip.compress(content)
        handler.send_head(200, len(body), Content_Encoding="gzip")
        handler.wfile.write(body)

    archive.faults[path] = [compressed]
    done = fetch()
    assert done.code == 3
    assert "compressed" in done.err
    assert nothing_is_left(tmp_path)


def test_what_is_no_http_is_a_failure_of_its_file(
    archive: Archive, fetch: Fetch, path: str
) -> None:
    def garbage(handler: Handler, content: bytes) -> None:
        handler.wfile.write(b"\x00\xff garbage\r\n\r\n" * 100)
        handler.close_connection = True

    archive.faults[path] = [garbage]
    done = fetch("-s", "fetch.attempts=2")
    assert done.code == 3
    assert f"{FILE}: " in done.err


def test_a_whole_file_that_came_meanwhile_is_kept(
    archive: Archive, fetch: Fetch, path: str, tmp_path: Path
) -> None:
    target = tmp_path / "data" / path

    def meanwhile(handler: Handler, content: bytes) -> None:
        target.write_bytes(cdf(seed=77))
        answer(handler, content)

    archive.faults[path] = [meanwhile]
    assert fetch().code == 0
    assert target.read_bytes() == cdf(seed=77)
    assert not list((tmp_path / "data").rglob("*.part*"))


def test_a_redirect_from_https_to_http_is_refused() -> None:
    web = Web(FetchSettings(), "0", threading.Event())
    with pytest.raises(RefusedError, match="only https"):
        web._redirected("https://archive.example/x.cdf", "http://archive.example/x.cdf")
    target = "https://archive.example/x.cdf"
    assert web._redirected("http://archive.example/x.cdf", target) == target
