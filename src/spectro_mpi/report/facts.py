"""The data for text and tables of the report page."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from spectro_mpi.errors import REASONS, Failure
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.items import item_order
from spectro_mpi.operations.status import Status
from spectro_mpi.planning.inventory import load_left_out
from spectro_mpi.report.advice import advice
from spectro_mpi.report.contents import ItemEntry
from spectro_mpi.report.curve import curve_of
from spectro_mpi.report.index import Listed, listed
from spectro_mpi.report.logbook import Logbook
from spectro_mpi.report.phase_times import phase_times
from spectro_mpi.resources.archive import read_record
from spectro_mpi.rundir.layout import CONFIG, LEFT_OUT
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.summary import SERIES

LISTED = 50
"""Failures per reason in the page itself; more are loaded on demand."""

_PACKAGES = ("spectro-mpi", "numpy", "h5py", "matplotlib", "pillow", "mpi4py", "cdflib", "pycdfpp")
_MEANINGS: dict[str, str] = {
    "timeout": "took longer than the time limits allow",
    "invalid-cdf": "the input file is damaged or lacks expected data",
    "no-data": "there is nothing to draw",
    "divide-by-zero": "the numbers in the file led to a division by zero",
    "plotting": "the figure could not be drawn",
    "out-of-memory": "needed more memory than was available",
    "killed": "the compute process died",
    "generic": "something else",
}


@dataclass(frozen=True)
class ErrorGroup:
    """All failures with the same reason."""

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
    """y_min, y_max, z_min, z_max → value, in the units of the axes."""


def page_facts(
    run: Run,
    status: Status,
    entries: Sequence[ItemEntry],
    book: Logbook,
) -> dict[str, Any]:
    """The values that the template of the page uses, by name."""
    record = read_record(run.path, ("ranks", "plans", "steps"))
    times = phase_times(record) if record is not None else []
    phases = [phase for phase in times if phase.done]
    left_out = load_left_out(run.path / LEFT_OUT)
    return {
        "run_id": run.config.run_id,
        "item_word": run.config.item_word,
        "status": status,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "items": status.items,
        "figures": sum(len(entry.figures) for entry in entries),
        "phases": phases,
        "latest": {phase.phase: phase for phase in phases},
        "versions": dict(_versions()),
        "settings": (run.path / CONFIG).read_text(encoding="utf-8"),
        "groups": _error_groups(run, book),
        "listed": LISTED,
        "left_out": left_out[:LISTED],
        "left_out_count": len(left_out),
        "extrema": _extrema_rows(run),
        "quantity": _quantity(run.config),
        "percentiles": (run.config.extrema.min_percentile, run.config.extrema.max_percentile),
        "coverage": 100 * run.config.extrema.energy_coverage,
        "first": next((entry.start for entry in entries if entry.start), None),
        "last": next((entry.start for entry in reversed(entries) if entry.start), None),
        "diagnosis": status.diagnosis,
        "curve": curve_of(status.diagnosis) if status.diagnosis else None,
        "advice": advice(run.path),
    }


def _quantity(config: Config) -> str:
    """The quantity that the colour scale shows."""
    return config.plot.z_label or preset_of(config).quantity.label


def _error_groups(run: Run, book: Logbook) -> list[ErrorGroup]:
    groups: dict[str, list[tuple[str, Failure]]] = {}
    for item in sorted(run.progress.failures, key=item_order):
        for failure in run.progress.failures[item]:
            groups.setdefault(failure.reason, []).append((item, failure))
    known = [reason for reason in REASONS if reason in groups]
    return [
        ErrorGroup(
            reason,
            _MEANINGS.get(reason, ""),
            len(groups[reason]),
            tuple(listed(book, item, failure) for item, failure in groups[reason][:LISTED]),
        )
        for reason in [*known, *(groups.keys() - set(REASONS))]
    ]


def _extrema_rows(run: Run) -> list[ExtremaRow]:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    has_lines = "summary" in run.config.plot.kinds
    for key, value in run.extrema.items():
        owner, y_scale, z_scale, axis, end = key.rsplit("_", 4)
        if not has_lines and set(owner.split("-")[1:2]) & SERIES.keys():
            continue
        rows.setdefault((owner, f"{y_scale}-{z_scale}"), {})[f"{axis}_{end}"] = value
    return [
        ExtremaRow(owner.partition("-")[0], owner.partition("-")[2], scales, limits)
        for (owner, scales), limits in sorted(rows.items())
    ]


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
