"""Makes the report of a run: one HTML page, and scripts with the index of items."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from spectro_mpi.draw.names import limits_words
from spectro_mpi.errors import RunError
from spectro_mpi.inert import inert_lines
from spectro_mpi.operations.status import Status, read_status
from spectro_mpi.previews.packs import has_unpacked, pack_previews, packed_months
from spectro_mpi.report.atlas_page import write_atlas_page
from spectro_mpi.report.contents import ItemEntry, item_entries
from spectro_mpi.report.examples import search_examples
from spectro_mpi.report.facts import page_facts
from spectro_mpi.report.folder import PageFolder
from spectro_mpi.report.index import CHUNK_ITEMS, write_index
from spectro_mpi.report.logbook import Logbook, read_logbook
from spectro_mpi.report.missing import make_previews, missing_previews
from spectro_mpi.report.results import result_figures
from spectro_mpi.resources import read_record
from spectro_mpi.rundir.layout import LOCK, LOGS, PAGE, PREVIEWS, REPORT
from spectro_mpi.rundir.lock import RunLock
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import utc

_SCRIPTS = (
    *("data.js", "previews.js", "format.js", "axes.js", "values.js", "search.js", "gallery.js"),
    *("details.js", "chart.js", "slices.js", "raster.js", "timeview.js", "picture.js"),
    *("readout.js", "viewer.js", "live.js", "report.js"),
)
"""In the order in which the page loads them: each uses those before it."""
_CODE = ("report.css", "print.css", "icon.svg", *_SCRIPTS)


def make_report(
    run_dir: Path,
    output: Path | None = None,
    previews: bool = True,
    run_figures: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Make or update the report of a run; return the path of its page.

    `output` replaces the folder `report` of the run directory. `previews` says whether missing
    thumbnails and values are made, `run_figures` whether the figures of the run are drawn; the page
    says so if they are not. `tell`, if given, is called with progress messages. Raises
    `UserError` if `run_dir` is not a run directory or `output` has a page that is not a report,
    and `RunError` if the report cannot be written.
    """
    run, status = open_run(run_dir), read_status(run_dir)
    entries = item_entries(run)
    place = run_dir / REPORT if output is None else output
    with _writing_report(place):
        folder = PageFolder(place, Path(PAGE).name)
        if output is None:
            if previews:
                entries = _completed(run, entries, tell or (lambda _: None))
            _pack(run_dir)
        _write_pages(folder, run, status, entries, run_figures)
    return folder.page


def make_served_pages(run_dir: Path, place: Path, version: str) -> None:
    """Make the pages of a run in `place`, for a server that gives them as `report/` of the run.

    `version` tells them from those made before. Nothing is written into the run directory, and no
    preview is made. Raises `UserError` if `run_dir` is not a run directory, and `RunError` if the
    pages cannot be written.
    """
    run, status = open_run(run_dir), read_status(run_dir)
    with _writing_report(place):
        folder = PageFolder(place, Path(PAGE).name, run_dir / REPORT)
        _write_pages(folder, run, status, item_entries(run), served=version)


def _write_pages(
    folder: PageFolder,
    run: Run,
    status: Status,
    entries: list[ItemEntry],
    run_figures: bool = True,
    served: str = "",
) -> None:
    """Write the page of a run and its parts; `served`: the version of pages that are served."""
    book = read_logbook(run.path)
    code = {name: folder.put(name, _resource(name)) for name in _CODE}
    results = result_figures(folder, run.path)
    facts = page_facts(run, status, entries, book)
    facts |= {
        "code": code,
        "code_order": _SCRIPTS,
        "scripts": write_index(folder, run, entries, book),
        "config": _page_config(folder, run),
        "examples": search_examples(entries),
        "logs": dict(_log_pages(folder, run.path, book, code["report.css"])),
        "run_figures": _run_figures(folder, run.path) if run_figures else [],
        "run_figures_left_out": not run_figures and _is_sampled(run.path),
        "results": results,
        "atlas": write_atlas_page(folder, run, results, _render),
        "served": served,
    }
    folder.finish(_render("index.html", facts))


@contextmanager
def _writing_report(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or place}: the report cannot be written: {error.strerror or error}; "
            "fix this, or choose another folder with `report --output`"
        ) from error


def _completed(run: Run, entries: list[ItemEntry], tell: Callable[[str], None]) -> list[ItemEntry]:
    """Make the missing previews; return the updated entries."""
    missing = missing_previews(run, entries)
    if not missing:
        return entries
    tell(f"making thumbnails and values of {len(missing)} item{'s' * (len(missing) != 1)}")
    made, reported = set(), time.monotonic()
    for item in make_previews(missing):
        made.add(item)
        if time.monotonic() - reported > 5:
            reported = time.monotonic()
            tell(f"  {len(made)} of {len(missing)}")
    report = run.config.report
    return [
        replace(
            entry,
            has_sheet=entry.has_sheet or report.thumbnails,
            has_script=True,
        )
        if entry.id in made
        else entry
        for entry in entries
    ]


def _pack(run_dir: Path) -> None:
    """Pack the previews, unless a run may be writing some, or has died: its lock says how."""
    if not has_unpacked(run_dir) or (run_dir / LOCK).exists():
        return
    lock = RunLock(run_dir)
    try:
        lock.acquire(lambda: True)  # a run that begins now has it
    except RunError:
        return
    try:
        pack_previews(run_dir, lock.beat)
    finally:
        lock.release()


def _log_pages(
    folder: PageFolder, run_dir: Path, book: Logbook, css: str
) -> Iterator[tuple[str, str]]:
    """Write the excerpts of the logs that have failures; yield (name of the log, address)."""
    for name, lines in book.excerpts.items():
        facts = {
            "name": name,
            "css": css,
            "lines": lines,
            "whole": f"../{folder.to(run_dir / LOGS)}/{quote(name)}",
        }
        yield name, folder.put(f"{name}.html", _render("log.html", facts))


def _is_sampled(run_dir: Path) -> bool:
    return read_record(run_dir, ("ranks",)) is not None


def _run_figures(folder: PageFolder, run_dir: Path) -> list[dict[str, str]]:
    """Write the figures of the run; without samples there are none, and no matplotlib import."""
    if not _is_sampled(run_dir):
        return []
    from spectro_mpi.report.run_figures import run_figures

    return [
        {
            "title": figure.title,
            "text": figure.text,
            "svg": folder.put(f"{figure.name}.svg", figure.svg().encode()),
            "png": folder.put(f"{figure.name}.png", figure.png()),
        }
        for figure in run_figures(run_dir)
    ]


def _page_config(folder: PageFolder, run: Run) -> dict[str, Any]:
    """Return what the scripts of the page need: paths, and parts of the settings."""
    return {
        "root": folder.to(run.path),
        "previews": folder.to(run.path / PREVIEWS),
        "packed": packed_months(run.path),
        "limits": list(limits_words(run.config.plot)),
        "values": run.config.report.values,
        "scales": len(run.config.plot.scales),
        "item": run.config.item_word.capitalize(),
        "chunkItems": CHUNK_ITEMS,
        "colormaps": _colormaps(run.config),
    }


def _colormaps(config: Config) -> dict[str, str]:
    """Name → colours as in the figures, three bytes each in base64, lowest value first."""
    if not config.report.values:
        return {}
    from spectro_mpi.draw.palette import palette_of

    names = {config.plot.colormap_of(scales) for scales in config.plot.scales}
    palettes = {name: palette_of(name) for name in sorted(names)}
    return {
        name: base64.b64encode(palette.rgb[palette.index].tobytes()).decode("ascii")
        for name, palette in palettes.items()
    }


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
        finalize=_shown,
    )
    environment.filters["number"] = _number
    environment.filters["utc"] = utc
    return environment.get_template(name).render(facts).encode()


def _shown(value: Any) -> Any:
    """Text from outside as it is shown in a page: with control characters as escapes."""
    return inert_lines(value) if type(value) is str else value


def _number(value: float) -> str:
    """Format a number for readers: four digits, thin spaces between thousands."""
    if isinstance(value, int) or (value == round(value) and abs(value) < 1e6):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4g}"
