"""Settings that are allowed, but are more likely slips: of another unit, or without effect."""

from __future__ import annotations

import math
from collections.abc import Iterator

from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import Config, RunSettings

_MOST_MINUTES = 180.0
_MOST_INCHES = 24.0
_LEAST_MB = 100
_LOW_EV = 40.0
"""An energy axis of FAST ESA that ends here, in eV, shows next to nothing."""


def likely_slips(config: Config) -> Iterator[str]:
    """A sentence for each setting that is likely a slip: what it means as it is written."""
    extrema, plot, run = config.extrema, config.plot, config.run
    if extrema.max_percentile <= 1:
        yield (
            f"extrema.max_percentile = {extrema.max_percentile:g}: is 0 to 100, not a share of 1; "
            f"did you mean {100 * extrema.max_percentile:g}?"
        )
    if extrema.min_percentile >= 50:
        yield (
            f"extrema.min_percentile = {extrema.min_percentile:g}: is the lower end of the colour "
            f"scale; did you mean {100 - extrema.min_percentile:g}?"
        )
    if extrema.energy_coverage < 0.5:
        yield (
            f"extrema.energy_coverage = {extrema.energy_coverage:g}: is the share of cells shown, "
            f"not the share cut off; did you mean {1 - extrema.energy_coverage:g}?"
        )
    for name, intervals in config.intervals.items():
        if _are_radians(intervals):
            yield f"pitch_angles.{name}: is in degrees, and these look like radians"
    if not config.preset.by_tables:  # those have energies in any unit
        yield from _slips_of_energies(config)
    if plot.zoom_minutes > _MOST_MINUTES:
        yield (
            f"plot.zoom_minutes = {plot.zoom_minutes:g}: is in minutes; did you mean "
            f"{plot.zoom_minutes / 60:g}?"
        )
    width, height = plot.panel_size
    if width > _MOST_INCHES:
        yield (
            f"plot.panel_size = [{width:g}, {height:g}]: is in inches; of centimetres that is "
            f"[{width / 2.54:.3g}, {height / 2.54:.3g}]"
        )
    if 0 < run.memory_limit_mb < _LEAST_MB:
        yield (
            f"run.memory_limit_mb = {run.memory_limit_mb}: is in MB, and a compute process needs "
            "more than that to start"
        )
    instrument, orbit = run.instrument_timeout_seconds, run.orbit_timeout_seconds
    if instrument > orbit and instrument != RunSettings.instrument_timeout_seconds:
        yield (
            f"run.instrument_timeout_seconds = {instrument:g}: has no effect, since "
            f"run.orbit_timeout_seconds = {orbit:g} ends the whole item before"
        )


def _are_radians(intervals: tuple[tuple[float, float], ...]) -> bool:
    """Whether all ends are up to 2π, and one is a multiple of π/2 as far as it is written."""
    ends = [end for interval in intervals for end in interval]
    quarters = [number * math.pi / 2 for number in (1, 2, 3, 4)]
    return max(ends, default=0.0) < 6.3 and any(
        abs(end - quarter) < 0.005 for end in ends for quarter in quarters
    )


def _slips_of_energies(config: Config) -> Iterator[str]:
    ranges = [(f"moments.energies.{name}", ends) for name, ends in config.moments.energies.items()]
    for table in ("angles", "atlas"):
        for name, bands in getattr(config, table).bands.items():
            ranges += [(f"{table}.bands.{name}", band) for band in bands]
    for where, (low, high) in ranges:
        if high <= _LOW_EV:
            yield (
                f"{where} = [{low:g}, {high:g}]: is in eV; did you mean "
                f"[{1000 * low:g}, {1000 * high:g}]?"
            )
    for name, limits in config.axes.items():
        if name.partition(".")[0].endswith(BY_ANGLE):
            continue  # in degrees
        if limits.y_max is not None and limits.y_max <= _LOW_EV:
            yield (
                f"axes.{name}.y_max = {limits.y_max:g}: is in eV; did you mean "
                f"{1000 * limits.y_max:g}?"
            )
