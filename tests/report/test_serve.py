"""`spectro-mpi serve`: the report of a run over HTTP, and nothing else of this machine."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from spectro_mpi.report.served_files import served_file
from spectro_mpi.rundir.layout import JOURNAL, LIVE, PLOTS, PREVIEWS
from spectro_mpi.rundir.lock import RunLock
from tests.conftest import spectro_mpi_here
from tests.report.browsing import assert_shown

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/report/index\.html)")


@contextmanager
def serving(run_dir: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server of a run; yields its port and its process."""
    command = [sys.executable, "-m", "spectro_mpi", "serve", str(run_dir), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        address = _ADDRESS.search(line)
        assert address, line + process.communicate()[1]
        yield int(address[1]), process
    finally:
        process.kill()
        process.communicate()


def get(port: int, address: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, address, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_the_page_is_the_same_as_from_a_disk(browser: Browser, shown_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shown_run.rglob("*")}
    with serving(shown_run) as (port, _):
        page = browser.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.append(request.url))
        page.goto(f"http://127.0.0.1:{port}/")
        assert page.url.endswith("/report/index.html")
        with page.expect_response("**/live.json"):
            expect(page.locator("#taste img").first).to_be_visible()
        page.goto(f"http://127.0.0.1:{port}/report/index.html#item/13321")
        assert_shown(page.locator("#figures img"))
        expect(page.locator("#metadata")).to_contain_text("sources")
        assert Axe().run(page).violations_count == 0
        page.close()
        assert troubles == []
    assert {path: path.stat().st_mtime_ns for path in shown_run.rglob("*")} == before


@pytest.mark.parametrize(
    "address",
    [
        "/config.toml",
        "/report/../config.toml",
        "/report/%2e%2e/config.toml",
        "/report/..%2fconfig.toml",
        "/report/%2e%2e%2fprogress.json",
        "//etc/passwd",
        "/plots/../../../../etc/passwd",
        "/plots/2000/01/out.png",
        "/plots/2000/01/inner.png/",
        "/plots/",
        "/report/items",
        "/plots/2000/01/13321/",
        "/logs/rank-0000.log",
        "/data/2000/01/13321.h5",
        "/report/.hidden.js",
        "/report/parts/%00.js",
        "/report/parts/..%5c..%5cconfig.toml",
        "/report/nothing.html",
        "/plots/2000/01/pipe.png",
    ],
)
def test_nothing_but_the_report_and_the_figures_is_given(
    shown_run: Path, tmp_path: Path, address: str
) -> None:
    run_dir = tmp_path / "run"
    for name in ("plots", "report"):
        shutil.copytree(shown_run / name, run_dir / name)
    for name in ("config.toml", "progress.json"):
        shutil.copy(shown_run / name, run_dir)
    month = run_dir / "plots" / "2000" / "01"
    (tmp_path / "secret.png").write_text("secret")
    (month / "out.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(month / "pipe.png")
    (run_dir / "report" / ".hidden.js").write_text("secret")
    assert served_file(run_dir, run_dir / "report", address) is None


def test_pages_previews_and_figures_are_given(shown_run: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    (figure,) = (shown_run / "plots").rglob("13321_pitch-angle_ESA_ees*_raw-*.png")
    (preview, *_) = (shown_run / "report/items/2000/01/packs").glob("*.js")
    for path in (preview, figure):
        address = f"/{quote(str(path.relative_to(shown_run)))}"
        assert served_file(shown_run, tmp_path, address) == path.resolve()
        assert served_file(shown_run, tmp_path, f"{address}?at=1") == path.resolve()
    page = (tmp_path / "index.html").resolve()
    assert served_file(shown_run, tmp_path, "/report/index.html") == page


def test_requests_are_answered_as_http_says(shown_run: Path) -> None:
    with serving(shown_run) as (port, process):
        assert get(port, "/report/index.html")[0] == 200
        assert get(port, "/report/index.html", "HEAD") == (200, b"")
        status, words = get(port, "/logs/rank-0000.log")
        assert status == 404 and b"nothing else" in words
        assert get(port, "/report/%2e%2e/config.toml")[0] == 404
        assert get(port, "/report/index.html", "POST")[0] == 501
        # A page of another site that had its name resolved to this machine.
        assert get(port, "/report/index.html", Host=f"evil.example:{port}")[0] == 403
        assert get(port, "/report/index.html", Host=f"localhost:{port}")[0] == 200
        assert get(port, "/report/index.html", Host="[::1")[0] == 400
        assert get(port, "http://[::1/", Host="localhost")[0] == 400
        state = json.loads(get(port, "/report/live.json")[1])
        assert (state["state"], state["version"]) == ("finished", "1")
        assert [phase["phase"] for phase in state["phases"]] == ["reduce", "plot"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_no_file_of_a_run_directory_runs_a_script(
    browser: Browser, shown_run: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(shown_run, run_dir)
    script = "document.documentElement.setAttribute('id', 'ran')"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{script}</script></svg>'
    hostile = {"x.svg": svg, "x.html": f"<html><script>{script}</script></html>"}
    folder = run_dir / PLOTS / "2000/01/13321"
    for name, content in hostile.items():
        (folder / name).write_text(content)
    with serving(run_dir) as (port, _):
        page = browser.new_page()
        for name in hostile:
            page.goto(f"http://127.0.0.1:{port}/plots/2000/01/13321/{name}")
            assert page.locator("#ran").count() == 0
        page.goto(f"http://127.0.0.1:{port}/report/index.html#item/13321")
        assert_shown(page.locator("#figures img"))
        page.close()


def test_it_ends_with_0_on_request_and_2_where_it_cannot_serve(
    shown_run: Path, tmp_path: Path
) -> None:
    with serving(shown_run) as (port, process):
        taken = spectro_mpi_here("serve", shown_run, "--port", str(port))
        assert taken.code == 2
        assert f"port {port}" in taken.err and "--port" in taken.err
        with serving(shown_run) as (other, _):
            assert other != port
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    nothing = spectro_mpi_here("serve", tmp_path)
    assert nothing.code == 2
    assert "is not a run directory" in nothing.err
    assert spectro_mpi_here("serve", shown_run, "--port", "99999").code == 2
    # An unset variable of a script; it would stand for all addresses of the machine.
    no_host = spectro_mpi_here("serve", shown_run, "--host", "")
    assert no_host.code == 2
    assert "--host: is empty" in no_host.err


def test_no_mpi_is_imported(shown_run: Path) -> None:
    names = "[name for name in sys.modules if name.partition('.')[0] == 'mpi4py']"
    script = f"import sys, spectro_mpi.report.serve; print({names})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_run_that_goes_on_is_followed_without_a_reload(
    browser: Browser, shown_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of which half is done is shown; then the other half comes to the disk."""
    run_dir = tmp_path / "run"
    shutil.copytree(shown_run, run_dir)
    whole = json.loads((run_dir / "progress.json").read_text())
    half = json.loads(json.dumps(whole))
    for phase in half["completed"].values():
        phase[:] = [item for item in phase if item < "13318"]
    half["data_files"]["reduce"] = {
        item: file for item, file in whole["data_files"]["reduce"].items() if item < "13318"
    }
    half["errors"] = {item: each for item, each in whole["errors"].items() if item < "13318"}
    (run_dir / JOURNAL).unlink(missing_ok=True)
    (run_dir / "progress.json").write_text(json.dumps(half))
    packs = (run_dir / PREVIEWS / "2000/01/packs").rename(tmp_path / "packs")
    lock = RunLock(run_dir)
    lock.acquire()
    live = {"phase": "plot", "done": 3, "total": 12, "seconds": 6.0}
    (run_dir / LIVE).write_text(json.dumps({"schema_version": whole["schema_version"], **live}))
    with serving(run_dir) as (port, _):
        page = browser.new_page()
        missing: list[str] = []
        page.on("response", lambda answer: missing.append(answer.url) if not answer.ok else None)
        page.goto(f"http://127.0.0.1:{port}/report/index.html#gallery")
        expect(page.locator(".state")).to_have_text("running")
        shown = page.locator(".card h2").count()
        assert 0 < shown < 12
        page.evaluate("window.stays = true")
        (run_dir / "progress.json").write_text(json.dumps(whole))
        (run_dir / LIVE).unlink()
        packs.rename(run_dir / PREVIEWS / "2000/01/packs")
        lock.release()
        expect(page.locator(".state")).to_have_text("finished", timeout=120_000)
        # Before the pages are made again: what the line above the tiles says is of the same moment.
        assert page.locator(".lead .left").text_content() == "0"
        expect(page.locator(".card h2")).to_have_count(12, timeout=240_000)
        page.locator("header nav").get_by_role("link", name="Overview").click()
        expect(page.locator('.tile[data-phase="plot"] .total')).to_have_text("12")
        assert page.evaluate("window.stays")
        assert missing == []
        page.close()
