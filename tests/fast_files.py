"""Writes small FAST ESA level-2 files with cells of every kind, by cdflib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cdflib import cdfwrite
from numpy.typing import NDArray

from spectro_mpi.demo.tables import mode_tables

BINS, CHANNELS = 64, 96
SHAPE = {0: (32, 48), 1: (64, 48), 2: (32, 96)}
"""Mode → bins, channels."""
_TYPES = {"f4": 44, "f8": 45, "i4": 4, "u1": 11, "i2": 2}

Content = dict[str, NDArray[Any]]
STATIC = ("energy", "denergy", "dtheta", "eff", "bins", "gf", "data_name")


def content(modes: Sequence[int], seed: int = 1, shift: float = 0.0) -> Content:
    """Records of these modes: random codes and fluxes, real tables; `shift` of pitch angles in °.

    `bins` and `gf` are single tables, of mode 0, as in NASA's master.
    """
    rng = np.random.default_rng(seed)
    count = len(modes)
    start = 946_685_857.0 + 2.5 * np.arange(count)
    given: Content = {
        "time_unix": start + 1.25,
        "time_start": start,
        "time_end": start + 2.5,
        "mode_ind": np.array(modes, "u1"),
        "nbins": np.array([SHAPE[mode][0] for mode in modes], "u1"),
        "nenergy": np.array([SHAPE[mode][1] for mode in modes], "u1"),
        "valid": np.ones(count, "i2"),
        "data_quality": np.zeros(count, "u1"),
        "time_integ": np.array([2.5 / SHAPE[mode][1] for mode in modes]),
        "geom_factor": np.array([mode_tables(mode).geom_factor for mode in modes], "f4"),
        "header_bytes": np.zeros((count, 44), "u1"),
        "bins_ind": np.zeros(count, "i2"),
        "gf_ind": np.zeros(count, "i2"),
        "data": np.zeros((count, BINS, CHANNELS), "u1"),
        "data_name": np.array("Eesa Survey"),
    }
    for name in ("eflux", "pitch_angle", "domega"):
        given[name] = np.full((count, BINS, CHANNELS), -1e31, "f4")
    for record, mode in enumerate(modes):
        bins, channels = SHAPE[mode]
        used = np.s_[record, :bins, :channels]
        # Without overflow and dead time, which are tested by themselves.
        given["data"][used] = rng.integers(0, 200, (bins, channels))
        given["eflux"][used] = rng.lognormal(15, 3, (bins, channels))
        given["pitch_angle"][used] = (mode_tables(mode).theta[:bins, :channels] + shift) % 360
        given["domega"][used] = mode_tables(mode).domega[:bins, :channels]
    for name in ("energy", "denergy", "dtheta", "eff"):
        given[name] = np.stack([getattr(mode_tables(mode), name) for mode in (0, 1, 2)])
    given["gf"] = mode_tables(0).gf.copy()
    given["bins"] = (mode_tables(0).gf[:32] > 0).astype("u1")
    given["bins"][:, 0] = 0
    return given


def write(path: Path, given: Mapping[str, NDArray[Any]]) -> Path:
    """Write all variables; a name is that of a FAST file if it begins as in NASA's archive."""
    path.unlink(missing_ok=True)
    cdf = cdfwrite.CDF(path, cdf_spec={"Majority": "row_major"})
    for name, values in given.items():
        varies = name not in STATIC
        text = values.dtype.kind == "U"
        cdf.write_var(
            {
                "Variable": name,
                "Data_Type": 51 if text else _TYPES[values.dtype.str[1:]],
                "Num_Elements": len(str(values)) if text else 1,
                "Rec_Vary": varies,
                "Dim_Sizes": list(values.shape[1:] if varies else values.shape),
            },
            var_data=[str(values)] if text else values,
        )
    cdf.close()
    return path
