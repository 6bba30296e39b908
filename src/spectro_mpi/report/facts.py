"""What the page says in words and tables."""

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
from spectro_mpi.report.advice import advice
from spectro_mpi.report.contents import ItemEntry
from spectro_mpi.report.curve import curve_of
from spectro_mpi.report.index import Listed, listed
from spectro_mpi.report.logbook import Logbook
from spectro_mpi.report.phase_times import phase_times
from spectro_mpi.resources.archive import read_record
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.schema import Config, PlotSettings

LISTED = 50
"""Failures of one reason that stand in the page itself; the others are loaded on demand."""

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


def page_facts(
    run: Run,
    status: Status,
    entries: Sequence[ItemEntry],
    book: Logbook,
) -> dict[str, Any]:
    """What the page itself says."""
    failed = [one for one in entries if one.state == "failed"]
    record = read_record(run.path, ("ranks", "plans", "steps"))
    phases = [one for one in phase_times(record) if one.done] if record is not None else []
    return {
        "run_id": run.config.run_id,
        "run_dir": str(run.path.absolute()),
        "item_word": "orbit" if run.config.items_are_orbits else "item",
        "status": status,
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "items": len(entries),
        "total": max(run.progress.items_total, len(entries)),
        "done": sum(one.state == "done" for one in entries),
        "failed": len(failed),
        "figures": sum(len(one.figures) for one in entries),
        "phases": phases,
        "latest": {one.phase: one for one in phases},
        "versions": dict(_versions()),
        "settings": run.config.to_toml(),
        "groups": _error_groups(run, book),
        "listed": LISTED,
        "extrema": _extrema_rows(run),
        "quantity": _quantity(run.config),
        "percentile": run.config.extrema.max_percentile,
        "coverage": 100 * run.config.extrema.energy_coverage,
        "first": next((one.start for one in entries if one.start), None),
        "last": next((one.start for one in reversed(entries) if one.start), None),
        "diagnosis": status.diagnosis,
        "curve": curve_of(status.diagnosis) if status.diagnosis else None,
        "advice": advice(run.path),
    }


def _quantity(config: Config) -> str:
    """What the extrema of the colour scale are of."""
    if config.plot.z_label != PlotSettings.z_label:
        return config.plot.z_label
    return preset_of(config).quantity.label


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
            tuple(listed(book, item, failure) for item, failure in groups[reason][:LISTED]),
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


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
