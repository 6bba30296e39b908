"""Makes the report of a run: facts → scripts with the index of items, and one HTML page."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spectro_mpi.atomic import write_atomic
from spectro_mpi.config import Config, Plot
from spectro_mpi.errors import REASONS, Failure, UserError, writing
from spectro_mpi.instruments.fast_esa import QUANTITIES
from spectro_mpi.inventory import item_order
from spectro_mpi.report.contents import FigureKind, ItemEntry, item_entries
from spectro_mpi.report.logbook import Logbook, PhaseTime, read_logbook
from spectro_mpi.report.missing import make_previews, missing_previews
from spectro_mpi.report.places import ITEMS, PAGE, REPORT
from spectro_mpi.report.scripts import call
from spectro_mpi.run import LOGS, Run, open_run
from spectro_mpi.status import Status, read_status

CHUNK_ITEMS = 5000
"""Items of one script of the index: about 150 kB."""
LISTED = 50
"""Failures of one reason that stand in the page itself; the others are loaded on demand."""

_PARTS = "parts"
_PART_NAME = re.compile(r".+\.[0-9a-f]{10}\.[a-z]+")
_GENERATOR = b'<meta name="generator" content="spectro-mpi">'
_CODE = (
    "report.css",
    "icon.svg",
    "data.js",
    "values.js",
    "gallery.js",
    "viewer.js",
    "report.js",
)
_PACKAGES = ("spectro-mpi", "numpy", "h5py", "matplotlib", "pillow", "mpi4py", "cdflib", "pycdfpp")
_MEANINGS: dict[str, str] = {
    "timeout": "took longer than the time limits allow",
    "invalid-cdf": "the input file is damaged, or does not hold what it should",
    "divide-by-zero": "the numbers in the file led to a division by zero",
    "plotting": "the figure could not be drawn",
    "out-of-memory": "needed more memory than there was",
    "killed": "the compute process died",
    "generic": "something else",
}


@dataclass(frozen=True)
class Listed:
    """One failure as the page lists it."""

    item: str
    failure: Failure
    link: str
    """To its line in the excerpt of a log; empty: no log tells of it."""


@dataclass(frozen=True)
class ErrorGroup:
    """Failures of one reason."""

    reason: str
    meaning: str
    count: int
    listed: tuple[Listed, ...]


@dataclass(frozen=True)
class ExtremaRow:
    """The common limits of one instrument, or of one of its categories."""

    instrument: str
    category: str
    scales: str
    limits: dict[str, float]
    """y_min, y_max, z_min, z_max"""


def make_report(
    run_dir: Path,
    output: Path | None = None,
    previews: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Make the report of a run, or make it anew; returns the page.

    `output`: where to, instead of the run directory's own `report`; `previews`: whether missing
    thumbnails and values are made; `tell`, if given, is called with what is going on. Raises
    `UserError` if `run_dir` is no run directory or another page is in the way, `RunError` if the
    report cannot be written.
    """
    run = open_run(run_dir)
    folder = run_dir / REPORT if output is None else output
    page = folder / Path(PAGE).name
    if page.exists() and _GENERATOR not in page.read_bytes():
        raise UserError(f"{page}: is there already, and no report; choose another --output")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        entries = item_entries(run)
        if previews and output is None:
            entries = _completed(run, entries, tell or (lambda _: None))
        book = read_logbook(run_dir)
        pages = _Folder(folder)
        code = {name: pages.put(name, _resource(name)) for name in _CODE}
        scripts = _index(pages, run, entries, book)
        logs = dict(_log_pages(pages, run_dir, folder, book, code["report.css"]))
        facts = _facts(run, read_status(run_dir), entries, book, logs)
        facts |= {"code": code, "scripts": scripts, "config": _page_config(run, folder)}
        pages.finish(page, _render("index.html", facts))
    return page


class _Folder:
    """The folder of a report: files get names of their content, and the page comes last.

    So a reader who has the page open never sees it mixed with another one's files.
    """

    def __init__(self, folder: Path) -> None:
        self._parts = folder / _PARTS
        self._kept: set[str] = set()

    def put(self, name: str, content: bytes) -> str:
        """Write a file; returns its address from the page."""
        stem, _, suffix = name.rpartition(".")
        digest = hashlib.sha256(content).hexdigest()[:10]
        path = self._parts / f"{stem}.{digest}.{suffix}"
        self._parts.mkdir(exist_ok=True)
        if not path.exists():
            write_atomic(path, content)
        self._kept.add(path.name)
        return f"{_PARTS}/{quote(path.name)}"

    def finish(self, page: Path, content: bytes) -> None:
        """Write the page, then remove what only earlier ones needed."""
        write_atomic(page, content)
        for path in self._parts.iterdir():
            if _PART_NAME.fullmatch(path.name) and path.name not in self._kept:
                path.unlink(missing_ok=True)


def _completed(run: Run, entries: list[ItemEntry], tell: Callable[[str], None]) -> list[ItemEntry]:
    """The entries, once the previews that are missing have been made."""
    wanted = missing_previews(run, entries)
    if not wanted:
        return entries
    tell(f"{len(wanted)} items have no thumbnails or values yet; making them")
    made, told = set(), time.monotonic()
    for item in make_previews(wanted):
        made.add(item)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            tell(f"  {len(made)} of {len(wanted)}")
    report = run.config.report
    return [
        replace(
            one,
            has_sheet=one.has_sheet or report.thumbnails,
            has_script=True,
        )
        if one.id in made
        else one
        for one in entries
    ]


def _index(pages: _Folder, run: Run, entries: Sequence[ItemEntry], book: Logbook) -> dict[str, Any]:
    """Write the index of items as scripts; returns where they lie and what they hold."""
    tables = _Tables()
    chunks = []
    for number, first in enumerate(range(0, len(entries), CHUNK_ITEMS)):
        chunk = entries[first : first + CHUNK_ITEMS]
        items = call("handItems", number, [tables.row(one) for one in chunk])
        failures = {
            one.id: [_listed(book, one.id, failure) for failure in run.progress.failures[one.id]]
            for one in chunk
            if one.id in run.progress.failures
        }
        shown = {item: [_as_table(one) for one in ones] for item, ones in failures.items()}
        errors = call("handErrors", number, shown)
        chunks.append(
            {
                "items": pages.put(f"items-{number:03d}.js", items),
                "errors": pages.put(f"errors-{number:03d}.js", errors) if shown else "",
                "count": len(chunk),
            }
        )
    table = pages.put("tables.js", call("tables", tables.as_table()))
    return {"tables": table, "chunks": chunks}


class _Tables:
    """What many items have in common, listed once and told by number."""

    def __init__(self) -> None:
        self._months: dict[str, int] = {}
        self._instruments: dict[tuple[str, ...], int] = {}
        self._figures: dict[tuple[FigureKind, ...], int] = {}
        self._states: dict[tuple[str, ...], int] = {}

    def row(self, entry: ItemEntry) -> list[Any]:
        """An item, in the order that `data.js` takes it apart in."""
        state = (entry.state, *entry.reasons, *(["cusp"] if entry.marked else []))
        return [
            entry.id,
            int(entry.start.timestamp()) if entry.start else None,
            self._months.setdefault(entry.month, len(self._months)),
            self._states.setdefault(state, len(self._states)),
            self._instruments.setdefault(entry.instruments, len(self._instruments)),
            self._figures.setdefault(entry.figures, len(self._figures)),
            entry.has_sheet + 2 * entry.has_script,
        ]

    def as_table(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "months": list(self._months),
            "states": list(self._states),
            "instruments": list(self._instruments),
            "figures": [[vars(one) for one in figures] for figures in self._figures],
        }


def _listed(book: Logbook, item: str, failure: Failure) -> Listed:
    found = book.failures.get((item, failure.instrument, failure.phase))
    return Listed(item, failure, f"{found[0]}#L{found[1]}" if found else "")


def _as_table(listed: Listed) -> list[str]:
    one = listed.failure
    return [one.instrument, one.phase, one.reason, one.message, listed.link]


def _log_pages(
    pages: _Folder, run_dir: Path, folder: Path, book: Logbook, css: str
) -> Iterator[tuple[str, str]]:
    """(name of a log, address of its excerpt) of the logs that tell of failures."""
    for name, lines in book.excerpts.items():
        facts = {
            "name": name,
            "css": css,
            "lines": lines,
            "whole": f"../{_relative(run_dir / LOGS, folder)}/{quote(name)}",
        }
        yield name, pages.put(f"{name}.html", _render("log.html", facts))


def _facts(
    run: Run,
    status: Status,
    entries: Sequence[ItemEntry],
    book: Logbook,
    logs: dict[str, str],
) -> dict[str, Any]:
    """What the page itself says."""
    failed = [one for one in entries if one.state == "failed"]
    return {
        "run_id": run.config.run_id,
        "run_dir": str(run.path.absolute()),
        "status": status,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "items": len(entries),
        "total": max(run.progress.items_total, len(entries)),
        "done": sum(one.state == "done" for one in entries),
        "failed": len(failed),
        "figures": sum(len(one.figures) for one in entries),
        "phases": [one for one in book.phases if one.done],
        "latest": _latest(book.phases),
        "versions": dict(_versions()),
        "settings": run.config.to_toml(),
        "groups": _error_groups(run, book),
        "listed": LISTED,
        "logs": logs,
        "extrema": _extrema_rows(run),
        "quantity": _quantity(run.config),
        "percentile": run.config.extrema.max_percentile,
        "coverage": 100 * run.config.extrema.energy_coverage,
        "first": next((one.start for one in entries if one.start), None),
        "last": next((one.start for one in reversed(entries) if one.start), None),
        "diagnosis": [],
        "advice": [],
        "run_figures": [],
    }


def _quantity(config: Config) -> str:
    """What the extrema of the colour scale are of."""
    if config.plot.z_label != Plot.z_label:
        return config.plot.z_label
    if config.data.preset == "fast-esa":
        return QUANTITIES[config.data.quantity][2]
    return "value"


def _latest(phases: Iterable[PhaseTime]) -> dict[str, PhaseTime]:
    """The last time each phase did something."""
    return {one.phase: one for one in phases if one.done}


def _error_groups(run: Run, book: Logbook) -> list[ErrorGroup]:
    groups: dict[str, list[tuple[str, Failure]]] = {}
    for item in sorted(run.progress.failures, key=item_order):
        for failure in run.progress.failures[item]:
            groups.setdefault(failure.reason, []).append((item, failure))
    order = [*(one for one in REASONS if one in groups), *(groups.keys() - set(REASONS))]
    return [
        ErrorGroup(
            reason,
            _MEANINGS.get(reason, ""),
            len(groups[reason]),
            tuple(_listed(book, item, failure) for item, failure in groups[reason][:LISTED]),
        )
        for reason in order
    ]


def _extrema_rows(run: Run) -> list[ExtremaRow]:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for key, value in run.extrema.items():
        whose, y_scale, z_scale, axis, end = key.rsplit("_", 4)
        rows.setdefault((whose, f"{y_scale}-{z_scale}"), {})[f"{axis}_{end}"] = value
    return [
        ExtremaRow(whose.partition("-")[0], whose.partition("-")[2], scales, limits)
        for (whose, scales), limits in sorted(rows.items())
    ]


def _page_config(run: Run, folder: Path) -> dict[str, Any]:
    """What the scripts need to know of the run."""
    root = _relative(run.path, folder)
    return {
        "root": root,
        "previews": _relative(run.path / ITEMS, folder),
        "limits": list(run.config.plot.limits),
        "values": run.config.report.values,
        "scales": len(run.config.plot.scales),
        "chunkItems": CHUNK_ITEMS,
    }


def _relative(path: Path, folder: Path) -> str:
    """The address of a path from a page in `folder`."""
    return quote(os.path.relpath(path.resolve(), folder.resolve()))


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _resource(name: str) -> bytes:
    return (files("spectro_mpi.report") / "page" / name).read_bytes()


def _render(name: str, facts: dict[str, Any]) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("spectro_mpi.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template(name).render(facts).encode()


def _number(value: float) -> str:
    """As people read it: with four digits, and thin spaces between thousands."""
    if isinstance(value, int) or (value == round(value) and abs(value) < 1e6):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4g}"
