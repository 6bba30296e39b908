"""The reduction written down a second time: one cell after the other, straight from the CDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
from numpy.typing import NDArray

Categories = Mapping[str, Sequence[tuple[float, float]]]
Floats = NDArray[np.float64]

_LOW = [(0, 15, 0, 1), (16, 23, 16, 2), (24, 31, 32, 4), (32, 47, 64, 4), (48, 63, 128, 8)]
_LOW += [(64, 79, 256, 16), (80, 95, 512, 32)]
_SURVEY = [*_LOW, (96, 111, 1024, 64), (112, 127, 2048, 128), (128, 159, 4096, 128)]
_SURVEY += [(160, 191, 8192, 256), (192, 223, 16384, 512), (224, 255, 32768, 1024)]
_BURST = [*_LOW, (96, 127, 1024, 32), (128, 159, 2048, 64), (160, 191, 4096, 128)]
_BURST += [(192, 255, 8192, 128)]


@dataclass(frozen=True)
class Reduced:
    """What one file should be reduced to."""

    values: Floats
    """(category, record, channel)"""
    errors: Floats
    """(category, record, channel)"""
    quality: NDArray[np.uint8]
    """(record,)"""


def reduced(path: Path, quantity: str, categories: Categories, every: int = 1) -> Floats:
    """(category, record, channel) of each `every`-th record, with the default settings."""
    return straight(path, quantity, categories, every).values[:, ::every]


def straight(
    path: Path,
    quantity: str,
    categories: Categories,
    every: int = 1,
    *,
    borders: str = "",
    weight: str = "pitch-angle",
    retrace: bool = False,
    drop: bool = False,
    with_errors: bool = False,
) -> Reduced:
    """Values, errors and flags of each `every`-th record; NaN and 0 elsewhere."""
    file = _variables(path)
    data, angle = file["data"], file["pitch_angle"].astype(float)
    sums = quantity in ("counts", "codes")
    borders = borders or ("centre" if sums else "fraction")
    records, _, channels = data.shape
    values = np.full((len(categories), records, channels), np.nan)
    errors = values.copy()
    quality = np.array(file.get("data_quality", np.zeros(records))).astype(np.uint8)
    quality[quality == 255] = 0
    energies = file["energy"].max(axis=1).astype(float)
    for record in range(0, records, every):
        bins, used = int(file["nbins"][record]), int(file["nenergy"][record])
        mode = int(file["mode_ind"][record])
        if file["valid"][record] != 1:
            continue
        quality[record] |= _flags(file, record)
        if drop and quality[record]:
            continue
        for channel in range(used):
            cell = np.s_[record, :bins, channel]
            degrees = angle[cell]
            width = _width(file, record, channel)
            value = _value(file, quantity, record, channel)
            good = np.isfinite(degrees) & (degrees > -1e30) & np.isfinite(value)
            if not retrace:
                good &= _is_measurement(file, record, channel)
            share = np.ones(bins)
            if quantity in ("eflux", "flux"):
                share = _ring(degrees, width)
                if weight == "domega" and "domega" in file:
                    share = file["domega"][cell].astype(float)
                    good &= np.isfinite(share) & (share > -1e30)
            sigma = _sigma(file, quantity, record, channel) if with_errors else np.zeros(bins)
            for row, intervals in enumerate(categories.values()):
                inside = _inside(degrees, width, intervals, borders)
                counted = np.where(good, inside * share, 0.0)
                if not (counted > 0).any():
                    continue
                norm = 1.0 if sums else counted.sum()
                chosen = counted > 0
                values[row, record, channel] = (counted * value)[chosen].sum() / norm
                spread = ((counted * sigma)[chosen] ** 2).sum()
                errors[row, record, channel] = np.sqrt(spread) / norm
        if quantity == "flux":
            values[:, record, :used] /= energies[mode, :used]
            errors[:, record, :used] /= energies[mode, :used]
    return Reduced(values, errors, quality)


def decoded(codes: NDArray[np.uint8], burst: bool) -> tuple[Floats, Floats]:
    """(counts, steps) of telemetry codes, by the table of the instrument."""
    counts, steps = np.zeros(256), np.zeros(256)
    for first, last, count, step in _BURST if burst else _SURVEY:
        for code in range(first, last + 1):
            counts[code], steps[code] = count + step * (code - first), step
    return counts[codes], steps[codes]


def _variables(path: Path) -> dict[str, Any]:
    cdf = cdflib.CDF(path)
    names = cdf.cdf_info().zVariables
    return {name: cdf.varget(name) for name in names if cdf.varinq(name).Last_Rec >= 0}


def _is_burst(file: dict[str, Any]) -> bool:
    return "Burst" in str(file["data_name"])


def _flags(file: dict[str, Any], record: int) -> int:
    """+2 for a code 255, +4 for a live fraction below 0.1, of one record."""
    codes = file["data"][record, : file["nbins"][record], : file["nenergy"][record]]
    flags = 2 if (codes == 255).any() else 0
    if "time_integ" in file:
        counts, _ = decoded(codes, _is_burst(file))
        flags |= 4 if (1 - 1.1e-7 * counts / file["time_integ"][record] < 0.1).any() else 0
    return flags


def _is_measurement(file: dict[str, Any], record: int, channel: int) -> NDArray[np.bool_]:
    """Whether each bin of a channel is one: (bin,)."""
    bins, mode = int(file["nbins"][record]), int(file["mode_ind"][record])
    good = np.ones(bins, bool)
    if "denergy" in file and file["denergy"][mode, 0, channel] == 0:
        good[:] = False
    if "bins" in file:
        table = file["bins"]
        single = table.ndim == 2
        if not single:
            table = table[file["bins_ind"][record]]
        for number in range(min(bins, len(table))):
            says = not single or (np.atleast_3d(file["gf"].T).T[:, number, channel] > 0).all()
            if says and table[number, channel] == 0:
                good[number] = False
    if channel == 1 and "header_bytes" in file and file["header_bytes"][record, 6] & 2:
        good[:] = False
    return good


def _width(file: dict[str, Any], record: int, channel: int) -> Floats:
    """(bin,) dtheta of the mode, else 360° by the number of bins."""
    bins, mode = int(file["nbins"][record]), int(file["mode_ind"][record])
    width = np.full(bins, 360 / bins)
    if "dtheta" in file:
        given = file["dtheta"][mode, :bins, channel].astype(float)
        width[: len(given)] = np.where(given > 0, given, width[: len(given)])
    return width


def _value(file: dict[str, Any], quantity: str, record: int, channel: int) -> Floats:
    """(bin,) what is combined; for the number flux, energy flux; NaN where it is missing."""
    cell = np.s_[record, : file["nbins"][record], channel]
    if quantity == "codes":
        return np.asarray(file["data"][cell], float)
    if quantity in ("counts", "rate"):
        counts, _ = decoded(file["data"][cell], _is_burst(file))
        return counts / (file["time_integ"][record] if quantity == "rate" else 1)
    eflux = file["eflux"][cell].astype(float)
    return np.where(eflux > -1e30, eflux, np.nan)


def _sigma(file: dict[str, Any], quantity: str, record: int, channel: int) -> Floats:
    """(bin,) uncertainty of what is combined; NaN where it is not known."""
    bins, mode = int(file["nbins"][record]), int(file["mode_ind"][record])
    cell = np.s_[record, :bins, channel]
    counts, steps = decoded(file["data"][cell], _is_burst(file))
    sigma = np.sqrt(counts + (steps**2 - 1) / 12)
    if quantity in ("counts", "codes") or "time_integ" not in file:
        return sigma
    dt = float(file["time_integ"][record])
    if quantity == "rate":
        return sigma / dt
    if not {"gf", "eff", "geom_factor"} <= file.keys():
        return np.full(bins, np.nan)
    eflux = file["eflux"][cell].astype(float)
    gf = file["gf"] if file["gf"].ndim == 2 else file["gf"][file["gf_ind"][record]]
    out = np.full(bins, np.nan)
    for number in range(bins):
        if counts[number] > 0:
            live = 1 - 1.1e-7 * counts[number] / dt
            divided = live if live > 0.1 else 1.0
            out[number] = eflux[number] * sigma[number] / (counts[number] * divided)
        elif number < file["eff"].shape[1]:
            response = float(file["geom_factor"][record]) * float(gf[number, channel])
            response *= float(file["eff"][mode, number, channel])
            out[number] = 1 / (response * dt) if response > 0 else np.nan
    return out


def _inside(
    angle: Floats, width: Floats, intervals: Sequence[tuple[float, float]], borders: str
) -> Floats:
    """(bin,) the part of each bin that lies in the intervals; with whole bins 0 or 1."""
    angle = np.where(np.isfinite(angle) & (angle > -1e30), angle % 360, np.nan)
    share = np.zeros(len(angle))
    for low, high in intervals:
        if borders == "centre":
            share += (low <= angle) & (angle < high)
            continue
        for turn in (-360, 0, 360):
            first, last = angle + turn - width / 2, angle + turn + width / 2
            share += np.maximum(0, np.minimum(last, high) - np.maximum(first, low)) / width
    return np.where(np.isfinite(angle), share, 0.0)


def _ring(angle: Floats, width: Floats) -> Floats:
    """(bin,) solid angle of the ring of pitch angles of each bin, sr."""
    solid = np.zeros(len(angle))
    for start in range(-360, 720, 180):
        ends = (np.clip(angle + sign * width / 2, start, start + 180) for sign in (-1, 1))
        first, last = (np.cos(np.deg2rad(end)) for end in ends)
        solid += np.pi * np.abs(first - last)
    return np.where(np.isfinite(angle) & (angle > -1e30), solid, 0.0)
