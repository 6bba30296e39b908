"""Time to draw a figure: ours, and the same figure drawn from scratch with matplotlib.

Usage: python benchmarks/figures.py [--runs 9] [--records 800] [--json]

Both draw four panels of 800 records at 2400 × 2400 pixels, with titles, axes and colour bars,
and encode a PNG in memory. Runs alternate, so that a busy machine slows both. "reuse" is a
`Painter` that has drawn other items before, as in a worker; "fresh" is a new `Painter` per figure.
A panel of a figure of kind "summary" (ten spectrograms with loss cones, three panels of lines with
their uncertainties) is compared with one of those figures.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from common import Row, benchmark
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spectro_mpi.draw.contents import content_of
from spectro_mpi.draw.figure import FigureContent, Painter, Panel, Style
from spectro_mpi.draw.kinds.summary import Summary
from spectro_mpi.draw.names import single_figure
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.moments import Moments
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.presets import preset_named
from spectro_mpi.settings.schema import Config, PlotSettings

STYLE = Style(200, (12.0, 3.0), "inferno", 6.25)
SUMMARY_STYLE = replace(STYLE, panel_size=(12.0, 3.0 * Summary.row_height), labels_at_left=True)
CATEGORIES = ("all", "downgoing", "upgoing", "perpendicular")
CHANNELS = 48
ORBIT_SECONDS = 7980.0
LIMITS = {"y_min": 5.0, "y_max": 34000.0, "z_min": 1.0, "z_max": 600.0}
LINES = {"energy_flux_100km": 20.0, "number_flux_100km": 2e10, "potential": 20.0}
BANDS = ("-angles-100-1000", "-angles-1000-40000", "-angles-50-1000", "-angles-1000-30000")
EXTREMA = {
    f"{name}{part}_log_log_{end}": limit
    for name in ("ees", "ies")
    for part in (*(f"-{category}" for category in CATEGORIES), *BANDS)
    for end, limit in LIMITS.items()
} | {
    f"{name}-{part}{direction}_log_log_{end}": sign * limit
    for name in ("ees", "ies")
    for part, limit in LINES.items()
    for direction in ("", "-net")
    for end, sign in (("y_min", -0.1), ("y_max", 1.0))
}


def rows(arguments: argparse.Namespace) -> list[Row]:
    """Return medians of time and of file size."""
    measured = measure(arguments.runs, arguments.records)
    summary = measured.pop("summary")
    panels = Row(
        "a panel of a summary, given, reuse",
        "ms",
        summary["ms"] / summary["panels"],
        measured["ours, given, reuse"]["ms"] / len(CATEGORIES),
        "a panel of a figure of categories",
        at_least=1 / 1.5,
    )
    theirs, beside = measured.pop("matplotlib"), "matplotlib from scratch"
    times = [
        Row(
            name,
            "ms",
            ours["ms"],
            theirs["ms"],
            beside,
            at_least=15 if name.endswith("reuse") else None,
        )
        for name, ours in measured.items()
    ]
    sizes = [
        Row(name, "kB", ours["bytes"] / 1e3, theirs["bytes"] / 1e3, beside, at_least=1)
        for name, ours in measured.items()
        if name.endswith("reuse")
    ]
    return [*times, panels, *sizes]


def measure(runs: int, records: int) -> dict[str, dict[str, float]]:
    """Return medians of alternating runs, each of a different item."""
    painter = Painter()
    ways: dict[str, Callable[[FigureContent], bytes]] = {
        "matplotlib": by_matplotlib,
        "ours, given, reuse": lambda content: painter.draw(content, STYLE),
        "ours, raw, reuse": lambda content: painter.draw(raw(content), STYLE),
        "ours, given, fresh": lambda content: Painter().draw(content, STYLE),
        "ours, raw, fresh": lambda content: Painter().draw(raw(content), STYLE),
    }
    for number in range(-12, 0):
        painter.draw(orbit(number, records), STYLE)
        painter.draw(summary(number, records), SUMMARY_STYLE)
    of_summary: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in ways}
    sizes: dict[str, list[int]] = {name: [] for name in ways}
    for number in range(runs):
        for name, draw in ways.items():
            content = orbit(number, records)
            begin = time.perf_counter()
            png = draw(content)
            times[name].append(1e3 * (time.perf_counter() - begin))
            sizes[name].append(len(png))
        content = summary(number, records)
        begin = time.perf_counter()
        painter.draw(content, SUMMARY_STYLE)
        of_summary.append(1e3 * (time.perf_counter() - begin))
    lines = {"summary": {"ms": statistics.median(of_summary), "panels": len(content.panels)}}
    return lines | {
        name: {"ms": statistics.median(times[name]), "bytes": statistics.median(sizes[name])}
        for name in ways
    }


def orbit(number: int, records: int) -> FigureContent:
    """Return a figure of inverted-V arcs over a cold background, with Poisson noise."""
    rng = np.random.default_rng(number + 1000)
    cadence = ORBIT_SECONDS / records
    centre: NDArray[Any] = (
        946685857.0 + ORBIT_SECONDS * number + (np.arange(records) + 0.5) * cadence
    )
    energy = np.full((3, 96), np.nan, np.float32)
    energy[:2, :CHANNELS] = np.geomspace(34119.7, 5.88, CHANNELS)
    phase = np.linspace(0, 9, records)[:, None]
    peak = np.log(300 + 4000 * np.abs(np.sin(phase)) ** 3)
    log_energy = np.log(energy[0, :CHANNELS])
    arc = 40 * np.exp(-(((log_energy - peak) / 0.35) ** 2))
    cold = 30 * np.exp(-(((log_energy - np.log(15)) / 0.9) ** 2))
    values = np.full((len(CATEGORIES), records, 96), np.nan, np.float32)
    for category in range(len(CATEGORIES)):
        expected = (arc + cold + 0.5) * (1 + np.sin(2.7 * phase + category)) * 6 / (1 + category)
        values[category, :, :CHANNELS] = rng.poisson(expected)
    spectrogram = Spectrogram(
        instrument="ees",
        quantity="counts",
        category=CATEGORIES,
        time=centre,
        time_start=centre - cadence / 2,
        time_end=centre + cadence / 2,
        mode=np.zeros(records, np.uint8),
        energy=energy,
        values=values,
        source=f"fa_esa_l2_ees_{number}_v01.cdf",
        source_size=1,
    )
    panels = tuple(
        Panel(f"ees · {name}", spectrogram, category, Limits(5.0, 34000.0, 1.0, 600.0), "Counts")
        for category, name in enumerate(CATEGORIES)
    )
    return FigureContent(
        item=str(13312 + number),
        kind="pitch-angle",
        title=f"Orbit {13312 + number} · FAST ESA electron survey (ees)",
        notes=(),
        panels=panels,
        scales=("log", "log"),
        limits="given_extrema",
        sources=(spectrogram.source,),
    )


def summary(number: int, records: int) -> FigureContent:
    """Return a figure of kind "summary" of the same orbit, with all of its panels."""
    rng = np.random.default_rng(number + 2000)
    electrons = orbit(number, records).panels[0].spectrogram
    noise = rng.normal(size=(3, records)).astype(np.float32)
    arc = (8 * np.abs(np.sin(np.linspace(0, 9, records))) ** 3 + 0.1).astype(np.float32)
    fluxes = arc * np.array([[1.0], [-0.3], [0.7]], np.float32) + 0.05 * noise
    values = {"potential": 8 + noise[0]}
    for name, size in (("energy_flux_100km", 1.0), ("number_flux_100km", 1e9)):
        values |= {
            name: np.float32(size) * fluxes,
            f"{name}_error": np.full_like(fluxes, size / 20),
        }
    cone = np.full(records, 30.0)
    shown = {}
    for name, bands in preset_named("fast-esa").bands[::2]:
        angles = rng.poisson(40 * (1 + arc[None, :, None]), (2, records, 64)).astype(np.float32)
        shown[name] = replace(
            electrons,
            instrument=name,
            angles=angles,
            bands=np.array(bands, np.float32),
            moments=Moments(electrons.time, values, "earthward"),
            ephemeris=(Variable("hemisphere", np.sign(cone)), Variable("loss_cone", cone)),
        )
    config = Config(plot=PlotSettings(kinds=("summary",)))
    figure = single_figure(config, tuple(shown), "summary")
    content = content_of(config, str(13312 + number), shown, figure, EXTREMA)
    assert len(content.panels) == 13
    return content


def raw(content: FigureContent) -> FigureContent:
    """Return the figure with limits of its item, so that no frame can be reused."""
    panels = []
    for panel in content.panels:
        values = panel.spectrogram.values[panel.category]
        low, high = np.percentile(values[np.isfinite(values) & (values > 0)], [1, 99])
        top = 20000.0 + float(values[0, 0])
        panels.append(replace(panel, limits=Limits(5.0, top, float(low), float(high))))
    return replace(content, panels=tuple(panels), limits="raw")


def by_matplotlib(content: FigureContent) -> bytes:
    """Draw the same figure with matplotlib, as a user would."""
    width, height = STYLE.panel_size
    figure = Figure(figsize=(width, height * len(content.panels)), dpi=STYLE.dpi)
    all_axes: Any = figure.subplots(len(content.panels), sharex=True)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.96, bottom=0.04, hspace=0.12)
    figure.suptitle(content.title, fontsize=12)
    for axes, panel in zip(all_axes, content.panels, strict=True):
        data = panel.spectrogram
        time_edges = np.append(data.time_start, data.time_end[-1])
        centres = data.energy[0, :CHANNELS][::-1]
        inner = np.sqrt(centres[1:] * centres[:-1])
        energy_edges = [centres[0] ** 2 / inner[0], *inner, centres[-1] ** 2 / inner[-1]]
        mesh = axes.pcolormesh(
            (time_edges * 1e6).astype("datetime64[us]"),
            energy_edges,
            data.values[panel.category, :, CHANNELS - 1 :: -1].T,
            norm=content.scales[1],
            cmap=STYLE.colormap,
        )
        mesh.set_clim(panel.limits.z_min, panel.limits.z_max)
        axes.set_yscale(content.scales[0])
        axes.set_ylim(panel.limits.y_min, panel.limits.y_max)
        axes.set_ylabel(panel.y_label)
        axes.set_title(panel.label, loc="left", fontsize=10)
        figure.colorbar(mesh, ax=axes, label=panel.z_label, pad=0.01, fraction=0.05)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


if __name__ == "__main__":
    benchmark(__doc__, rows, runs=9, records=800)
