"""The report of a large run: time to make it, and to use it in a browser from the disk.

Usage: python benchmarks/report.py [--items 50000] [--runs 3] [--json]

The run directory is synthetic: figures and previews of one real orbit are linked under all names;
store, progress and logs are generated, and one item in twenty has failed. Of twenty rows of 300
items one has previews. Needs Chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from common import Row, benchmark
from playwright.sync_api import Page, sync_playwright

from spectro_mpi.demo import write_demo
from spectro_mpi.errors import REASONS, Failure
from spectro_mpi.model.coverage import Coverage, Track
from spectro_mpi.model.items import Item
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.item_file import make_item_file
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import CONFIG, PAGE, PREVIEWS, data_file_of, data_path
from spectro_mpi.rundir.progress import PHASES
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.rundir.sources import Source, SourceLog
from spectro_mpi.rundir.store import stamp_of_bytes
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.logs import FailureMark

FIRST_ITEM = 10_000
WORKERS = 16
MAKE_SECONDS, CONTENT_SECONDS, SEARCH_SECONDS, PAGE_MB = 300.0, 1.0, 0.2, 3.0
_PREVIEWS_IN_ROW, _PREVIEWS_EVERY = 300, 20
"""So many items have previews, and then none until so many times that: packed, each is 0.3 MB."""
_LINKS = 30_000
"""Links per file: file systems limit their number."""
_PLACE = "mlt 10-12 ilat 70-75 south"
_SEARCHES = (
    *("13", "ees", "timeout", "2000-01", "12000-13000", "ies failed", "no such thing"),
    *("12000, 12005-13000, 20001", "2000-03-02 05:29", _PLACE),
)
_TRACKS = tuple(Track(hour, low, low + 9) for hour in range(0, 24, 2) for low in (-79, 60))
"""As many as a real orbit has."""


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in seconds, and the size of the largest file of the page in MB."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-report-") as name:
        folder = Path(name)
        run_dir = synthetic_run(folder, arguments.items)
        made = []
        for _ in range(arguments.runs):
            began = time.perf_counter()
            command = [sys.executable, "-m", "spectro_mpi", "report", "--no-previews"]
            subprocess.run([*command, str(run_dir)], check=True, stdout=subprocess.DEVNULL)
            made.append(time.perf_counter() - began)
        content, index, place, search = _in_browser(run_dir / PAGE, arguments.runs)
        report = (run_dir / PAGE).parent
        largest = max(
            path.stat().st_size for path in (*report.glob("*.*"), *report.glob("parts/*"))
        )
    limit = f"limit, {arguments.items} orbits"
    return [
        Row("report made", "s", statistics.median(made), MAKE_SECONDS, limit, at_least=1),
        Row("first content from disk", "s", content, CONTENT_SECONDS, limit, at_least=1),
        Row("whole index loaded", "s", index, index, "itself"),
        Row("first search for a place", "s", place, place, "itself"),
        Row("slowest search", "s", search, SEARCH_SECONDS, limit, at_least=1),
        Row("largest file", "MB", largest / 1e6, PAGE_MB, limit, at_least=1),
    ]


def synthetic_run(folder: Path, items: int) -> Path:
    """Create a run directory that looks like a finished run of many items."""
    template = _template(folder / "template")
    run_dir = folder / "runs" / "many"
    run_dir.mkdir(parents=True)
    config = open_run(template).config
    config = Config(**{**vars(config), "run_id": "many", "output": str(folder / "runs")})
    (run_dir / CONFIG).write_text(config.to_toml())
    shutil.copy(template / "extrema.json", run_dir)
    names = [str(FIRST_ITEM + number) for number in range(items)]
    data_files = _store(run_dir, names)
    _pictures(template, run_dir, names)
    failures = _failures(names)
    keeper = Journal(run_dir, "many", config.plot.scales)
    keeper.state.items_total = items
    keeper.state.totals = dict.fromkeys(PHASES, items)
    keeper.state.stores["reduce"] = data_files
    keeper.state.failures = {item: (failure,) for item, failure in failures.items()}
    for phase in PHASES:
        keeper.state.settled[phase].update(names)
    keeper.fold()
    _logs(run_dir, names, failures)
    return run_dir


def _template(folder: Path) -> Path:
    """Run one real orbit, with figures of the usual size; return its run directory."""
    write_demo(folder, orbits=1)
    command = [sys.executable, "-m", "spectro_mpi", "run", str(folder / "spectro-mpi.toml")]
    options = ("--no-progress", "-s", "report.at_end=false", "-s", 'plot.events=""')
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / "fast"


def _store(run_dir: Path, names: list[str]) -> dict[str, str]:
    """Write data files with minimal data: one is made, the others are copies with other names."""
    mark, stamp = "#####", "$" * 14
    item = Item(mark, None, ())
    groups = [_spectrogram(mark, stamp, instrument) for instrument in ("ees", "ies")]
    template = make_item_file("reduce", item, groups).content.tobytes()
    data_files: dict[str, str] = {}
    sources: dict[str, tuple[str, dict[str, Source]]] = {}
    coverage: dict[str, tuple[str, Coverage]] = {}
    for number, name in enumerate(names):
        start = _start(number)
        written = time.strftime("%Y%m%d%H%M%S", start)
        content = template.replace(mark.encode(), name.encode())
        content = content.replace(stamp.encode(), written.encode())
        date = datetime(*start[:6], tzinfo=timezone.utc)
        data_files[name] = data_file_of("reduce", Item(name, date, ()), stamp_of_bytes(content))
        path = data_path(run_dir, data_files[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made_from = {
            instrument: Source(f"fa_esa_l2_{instrument}_{written}_{name}_v01.cdf", 4_000_000, "")
            for instrument in ("ees", "ies")
        }
        sources[name] = (data_files[name], made_from)
        begin = date.timestamp()
        coverage[name] = (data_files[name], Coverage(begin, begin + 7_500, _TRACKS))
    log = SourceLog(run_dir)
    log.record(sources, coverage)
    log.close()
    return data_files


def _start(number: int) -> time.struct_time:
    """Return the start of an orbit, UTC."""
    return time.gmtime(946_684_800 + 8_000 * number)


def _spectrogram(item: str, stamp: str, instrument: str) -> Spectrogram:
    nothing = np.zeros(1)
    source = f"fa_esa_l2_{instrument}_{stamp}_{item}_v01.cdf"
    energy = np.ones((1, 1), np.float32)
    values = np.zeros((1, 1, 1), np.float32)
    mode = np.zeros(1, np.uint8)
    return Spectrogram(
        instrument,
        "counts",
        ("all",),
        nothing,
        nothing,
        nothing,
        mode,
        energy,
        values,
        source,
        4_000_000,
    )


def _pictures(template: Path, run_dir: Path, names: list[str]) -> None:
    """Link the figures and previews of the template under the names of all items."""
    (folder,) = (template / "plots").glob("*/*/*")
    originals = [*folder.iterdir(), *(template / PREVIEWS).glob("*/*/*.*")]
    for number, item in enumerate(names):
        if number % _LINKS == 0:
            copies = folder.parent / f"copies-{number}"
            copies.mkdir()
            sources = [Path(shutil.copy(path, copies)) for path in originals]
        month = time.strftime("%Y/%m", _start(number))
        plots, previews = run_dir / "plots" / month / item, run_dir / PREVIEWS / month
        plots.mkdir(parents=True)
        previews.mkdir(parents=True, exist_ok=True)
        has_preview = number // _PREVIEWS_IN_ROW % _PREVIEWS_EVERY == 0
        for source in sources:
            if source.suffix != ".png" and not has_preview:
                continue
            place = plots if source.suffix == ".png" else previews
            os.link(source, place / source.name.replace(folder.name, item))


def _failures(names: list[str]) -> dict[str, Failure]:
    chosen = random.Random(0)
    return {
        item: Failure(
            "ees", "reduce", chosen.choice(REASONS), f"/archive/fa_{item}.cdf: is damaged"
        )
        for item in names[::20]
    }


def _logs(run_dir: Path, names: list[str], failures: dict[str, Failure]) -> None:
    (run_dir / "logs").mkdir()
    head = "2026-01-01 00:00:00,000 INFO spectro_mpi.mpi."
    lines = [
        f"{head}session: rank 0 of {WORKERS + 2}, process 1",
        f"{head}coordinator: phase plot: {len(names)} items on {WORKERS} workers, loads 6.2 %",
    ]
    (run_dir / "logs" / "rank-0000.log").write_text("\n".join(lines) + "\n")
    for rank in range(WORKERS):
        lines = []
        for place, item in enumerate(names[rank::WORKERS]):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_767_225_600 + place))
            if item in failures:
                failure = failures[item]
                mark = FailureMark(item, failure.instrument, failure.phase)
                words = f"{mark}: {failure.reason}: {failure.message}"
                lines.append(f"{stamp},500 ERROR spectro_mpi.mpi.worker: {words}")
            lines.append(
                f"{stamp},999 INFO spectro_mpi.mpi.worker: item {item}: plot computed in 0.9 s"
            )
        (run_dir / "logs" / f"rank-{rank + 1:04d}.log").write_text("\n".join(lines) + "\n")


def _in_browser(page_file: Path, runs: int) -> tuple[float, float, float, float]:
    """Return median seconds to the first content, to the whole index, of the first search for a
    place, and of the slowest search after it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    content, index, places, searches = [], [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(runs):
            page = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
            began = time.perf_counter()
            page.goto(page_file.as_uri() + "#gallery", wait_until="commit")
            page.wait_for_function(
                "!document.getElementById('found').textContent.includes('oading')"
            )
            index.append(time.perf_counter() - began)
            content.append(_first_content(page))
            places.append(_load_places(page))
            searches.append(max(_search(page, words) for words in _SEARCHES))
            page.close()
        browser.close()
    return tuple(statistics.median(seconds) for seconds in (content, index, places, searches))  # type: ignore[return-value]


def _first_content(page: Page) -> float:
    paint: float = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
    )
    return paint


def _load_places(page: Page) -> float:
    """Return the seconds of a search that loads where all items were."""
    began = time.perf_counter()
    page.locator("#query").fill(_PLACE)
    page.wait_for_function("!/^0 of/.test(document.getElementById('found').textContent)")
    return time.perf_counter() - began


def _search(page: Page, words: str) -> float:
    """Return the seconds from the last key to the page with the results."""
    seconds: float = page.evaluate(
        """(words) => new Promise((resolve) => {
            const query = document.getElementById("query");
            query.value = words;
            const began = performance.now();
            query.dispatchEvent(new Event("input"));
            const over = () => resolve((performance.now() - began) / 1000);
            requestAnimationFrame(() => setTimeout(over));
        })""",
        words,
    )
    return seconds


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, items=50_000)
