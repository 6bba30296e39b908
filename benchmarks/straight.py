"""A straightforward script: load with cdflib, reduce record by record, draw with matplotlib.

Usage: python benchmarks/straight.py FOLDER OUTPUT

Draws the default figures of `spectro-mpi run`: one figure of four pitch-angle categories for each
instrument of an orbit and one of all instruments, both with common and with individual limits,
12 × 3 inches per row at 200 dpi. Prints the seconds of loading, reducing and drawing as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

CATEGORIES = {
    "all": [(0, 360)],
    "downgoing": [(0, 30), (330, 360)],
    "upgoing": [(150, 210)],
    "perpendicular": [(40, 140), (210, 330)],
}
VARIABLES = ("data", "pitch_angle", "energy", "mode_ind", "valid", "nbins", "nenergy")
TIMES = ("time_start", "time_end")

Loaded = Mapping[str, NDArray[Any]]
Limits = tuple[float, float, float]
"""Upper end of the energy axis, both ends of the colour scale."""


def main() -> None:
    began = time.perf_counter()
    spent = {"load": 0.0, "reduce": 0.0, "draw": 0.0}
    orbits: dict[str, dict[str, tuple[Loaded, NDArray[np.float64]]]] = {}
    for path in sorted(Path(sys.argv[1]).rglob("fa_esa_l2_*.cdf")):  # versions in ascending order
        instrument, _, orbit, _ = path.stem.split("_")[3:]
        began = time.perf_counter()
        loaded = load(path)
        spent["load"] += time.perf_counter() - began
        began = time.perf_counter()
        orbits.setdefault(orbit, {})[instrument] = loaded, reduce_by_record(loaded, "data")
        spent["reduce"] += time.perf_counter() - began
    began = time.perf_counter()
    common = {
        instrument: limits_of(
            np.concatenate(
                [files[instrument][1][0] for files in orbits.values() if instrument in files]
            ),
            95,
        )
        for instrument in ("ees", "eeb", "ies", "ieb")
        if any(instrument in files for files in orbits.values())
    }
    for orbit, files in orbits.items():
        folder = Path(sys.argv[2]) / orbit
        folder.mkdir(parents=True)
        for individual in (False, True):
            for instrument, (loaded, values) in files.items():
                rows = [(name, loaded, row) for name, row in zip(CATEGORIES, values, strict=True)]
                limits = [
                    limits_of(row, 99) if individual else common[instrument] for row in values
                ]
                draw(rows, limits, folder / f"{orbit}_{instrument}_{individual}.png")
            rows = [(name, loaded, values[0]) for name, (loaded, values) in files.items()]
            limits = [limits_of(row, 99) if individual else common[name] for name, _, row in rows]
            draw(rows, limits, folder / f"{orbit}_grid_{individual}.png")
    spent["draw"] += time.perf_counter() - began
    print(json.dumps(spent))


def load(path: Path, quantity: str = "data") -> Loaded:
    """Load the variables that reducing and drawing need."""
    cdf = cdflib.CDF(path)
    weights = ("domega",) if quantity == "eflux" else ()
    names = (*VARIABLES, *TIMES, quantity, *weights)
    return {name: np.asarray(cdf.varget(name)) for name in dict.fromkeys(names)}


def reduce_by_record(loaded: Loaded, quantity: str) -> NDArray[np.float64]:
    """Return sums of counts, or means weighted by solid angle; (category, record, channel)."""
    values = loaded[quantity]
    reduced = np.full((len(CATEGORIES), len(values), values.shape[2]), np.nan)
    for record in np.flatnonzero(loaded["valid"] == 1):
        bins, channels = loaded["nbins"][record], loaded["nenergy"][record]
        value = values[record, :bins, :channels].astype(float)
        angle = loaded["pitch_angle"][record, :bins, :channels]
        good = (angle > -1e30) & ((value != 255) if quantity == "data" else (value > -1e30))
        angle = angle % 360
        weight = np.ones_like(value)
        if quantity == "eflux":
            weight = loaded["domega"][record, :bins, :channels].astype(float)
        for row, intervals in enumerate(CATEGORIES.values()):
            inside = np.zeros_like(good)
            for low, high in intervals:
                inside |= (angle >= low) & (angle < high)
            chosen = np.where(good & inside, weight, 0.0)
            total, weights = (chosen * value).sum(axis=0), chosen.sum(axis=0)
            if quantity == "eflux":
                total = total / np.where(weights > 0, weights, np.nan)
            reduced[row, record, :channels] = np.where(weights > 0, total, np.nan)
    return reduced


def limits_of(values: NDArray[np.float64], percentile: float) -> Limits:
    positive = values[values > 0]
    return 34000.0, 1.0, max(2.0, float(np.percentile(positive, percentile)))


def draw(
    rows: list[tuple[str, Loaded, NDArray[np.float64]]], limits: list[Limits], path: Path
) -> None:
    """Draw a figure with a panel per row; each run of records of one mode is a mesh."""
    figure = Figure(figsize=(12, 3 * len(rows)), dpi=200)
    all_axes: Any = figure.subplots(len(rows), sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.08, right=0.99, top=0.96, bottom=0.06, hspace=0.12)
    figure.suptitle(path.stem)
    for axes, (label, loaded, values), (top, low, high) in zip(all_axes, rows, limits, strict=True):
        mode = loaded["mode_ind"]
        for first, last in zip(*_runs(mode, loaded["time_start"]), strict=True):
            edges = np.append(loaded["time_start"][first:last], loaded["time_end"][last - 1])
            centres = loaded["energy"][mode[first], 0]
            used = centres > 0
            order = np.flatnonzero(used)[np.argsort(centres[used])]
            mesh = axes.pcolormesh(
                (edges * 1e6).astype("datetime64[us]"),
                _energy_edges(centres[order]),
                values[first:last, order].T,
                norm=LogNorm(low, high),
                cmap="cividis",
            )
        axes.set_ylim(0, top)
        axes.set_ylabel("Energy (eV)")
        axes.set_title(label, loc="left", fontsize=10)
        figure.colorbar(mesh, ax=axes, label="Counts", pad=0.01, fraction=0.05)
    figure.savefig(path)


def _runs(mode: NDArray[Any], start: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return first and last + 1 of the runs of records with the same mode and without gaps."""
    step = np.diff(start)
    cuts = np.flatnonzero((np.diff(mode) != 0) | (step > 2.5 * np.median(step))) + 1
    return np.concatenate([[0], cuts]), np.concatenate([cuts, [len(mode)]])


def _energy_edges(centres: NDArray[Any]) -> NDArray[Any]:
    inner = np.sqrt(centres[1:] * centres[:-1])
    ends = centres[0] ** 2 / inner[0], centres[-1] ** 2 / inner[-1]
    return np.concatenate([ends[:1], inner, ends[1:]])


if __name__ == "__main__":
    main()
