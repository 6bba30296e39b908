"""The script one writes first: load with cdflib, reduce record by record, draw with matplotlib.

Usage: python benchmarks/straight.py FOLDER OUTPUT

Draws what `spectro-mpi run` draws by default: a figure of four pitch-angle categories for each
instrument of an orbit and one of all instruments, each on common and on its own limits, 12 × 3
inches a row at 200 dpi. Prints the seconds of loading, reducing and drawing as JSON.
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
            np.concatenate([one[instrument][1][0] for one in orbits.values() if instrument in one]),
            95,
        )
        for instrument in ("ees", "eeb", "ies", "ieb")
        if any(instrument in one for one in orbits.values())
    }
    for orbit, found in orbits.items():
        folder = Path(sys.argv[2]) / orbit
        folder.mkdir(parents=True)
        for own in (False, True):
            for instrument, (loaded, values) in found.items():
                rows = [(name, loaded, row) for name, row in zip(CATEGORIES, values, strict=True)]
                limits = [limits_of(row, 99) if own else common[instrument] for row in values]
                draw(rows, limits, folder / f"{orbit}_{instrument}_{own}.png")
            rows = [(name, loaded, values[0]) for name, (loaded, values) in found.items()]
            limits = [limits_of(row, 99) if own else common[name] for name, _, row in rows]
            draw(rows, limits, folder / f"{orbit}_grid_{own}.png")
    spent["draw"] += time.perf_counter() - began
    print(json.dumps(spent))


def load(path: Path, quantity: str = "data") -> Loaded:
    """The variables that are needed."""
    cdf = cdflib.CDF(path)
    weights = ("domega",) if quantity == "eflux" else ()
    names = (*VARIABLES, *TIMES, quantity, *weights)
    return {name: np.asarray(cdf.varget(name)) for name in dict.fromkeys(names)}


def reduce_by_record(loaded: Loaded, quantity: str) -> NDArray[np.float64]:
    """(category, record, channel) sums of counts, or means weighted by solid angle."""
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
    """A figure with a panel a row; each run of records of one mode is a mesh."""
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
    """(first, last) of the runs of records of one mode without a gap between them."""
    step = np.diff(start)
    cuts = np.flatnonzero((np.diff(mode) != 0) | (step > 2.5 * np.median(step))) + 1
    return np.concatenate([[0], cuts]), np.concatenate([cuts, [len(mode)]])


def _energy_edges(centres: NDArray[Any]) -> NDArray[Any]:
    inner = np.sqrt(centres[1:] * centres[:-1])
    ends = centres[0] ** 2 / inner[0], centres[-1] ** 2 / inner[-1]
    return np.concatenate([ends[:1], inner, ends[1:]])


if __name__ == "__main__":
    main()
