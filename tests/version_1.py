"""A run directory as version 0.1 wrote it (commit 0676178), made without the program: one orbit.

Version 0.1 wrote no `settings_version`; its progress.json had `schema_version` 1.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, PngImagePlugin

CODES = np.arange(3 * 5 * 4, dtype=np.float32).reshape(3, 5, 4)
"""Sums of telemetry codes: category, record, channel."""
CATEGORIES = ("all", "downgoing", "upgoing")
_SETTINGS = """
run_id = "{run_id}"
input = "{input}"
output = "{output}"
phases = ["reduce", "plot"]
seed = 0
{no_instrument}
[select]
orbits = ""
skip = []
instruments = ["ees"]
share = ""

[data]
preset = "{preset}"
quantity = "{quantity}"
chunk_records = 4096

[pitch_angles]
all = [[0.0, 360.0]]
downgoing = [[0.0, 30.0], [330.0, 360.0]]
upgoing = [[150.0, 210.0]]
perpendicular = []

[extrema]
max_percentile = 95.0
energy_coverage = 0.99

[plot]
scales = [["linear", "log"]]
limits = ["given_extrema", "raw"]
kinds = ["pitch-angle", "instrument-grid"]
category_limits = "own"
dpi = 40
panel_size = [4.0, 1.5]
colormap = ""
y_label = "Energy (eV)"
z_label = "Counts"
events = ""
zoom_minutes = 6.25

[run]
flush_batch_size = 10

[axes]

[phase]
{instrument}
"""
_INSTRUMENT = """
[[instrument]]
name = "ees"
file = "m_{date}.cdf"
value = "FLUX"
pitch_angle = "ALPHA"
"""
_LEGEND = {
    "mission": "FAST ESA",
    "title": "FAST ESA electron survey (ees)",
    "name": "electron survey",
    "long_name": "Raw Counts (telemetry codes), sum over the category's angle bins",
    "units": "counts",
    "z_label": "Counts",
    "axis": "energy",
    "axis_units": "eV",
    "y_label": "Energy (eV)",
    "rows": "",
    "is_whole": True,
}
EXTREMA = {
    f"{name}_linear_log_{end}": limit
    for name in ("ees", *(f"ees-{category}" for category in CATEGORIES))
    for end, limit in (("y_min", 0.0), ("y_max", 400.0), ("z_min", 1.0), ("z_max", 50.0))
}


def write_version_1(run_dir: Path, quantity: str = "counts", preset: str = "fast-esa") -> None:
    """Write a finished run; `preset` "istp" changes only its settings."""
    (run_dir / "data").mkdir(parents=True)
    is_istp = preset == "istp"
    (run_dir / "config.toml").write_text(
        _SETTINGS.format(
            run_id=run_dir.name,
            input=run_dir.parent / "input",
            output=run_dir.parent,
            preset=preset,
            quantity=quantity,
            no_instrument="" if is_istp else "instrument = []",
            instrument=_INSTRUMENT if is_istp else "",
        )
    )
    _write_progress(run_dir)
    (run_dir / "extrema.json").write_text(json.dumps(EXTREMA, indent=1, sort_keys=True) + "\n")
    with h5py.File(run_dir / "data" / "shard-00000.h5", "w") as file:
        file.attrs["phase"] = "reduce"
        _write_group(file.create_group("13312/ees"), quantity)
    with h5py.File(run_dir / "spectrograms.h5", "w") as file:
        file["13312"] = h5py.ExternalLink("data/shard-00000.h5", "/13312")
    for kind, stem in (("pitch-angle", "pitch-angle_ESA_ees"), ("grid", "instrument-grid_ESA")):
        for limits in ("given_extrema", "raw"):
            name = f"13312_{stem}_y-linear_z-log_{limits}-cividis.png"
            _write_figure(run_dir / "plots" / "2000" / "01" / "13312" / name, kind, limits)
    (run_dir / "logs").mkdir()
    (run_dir / "logs" / "rank-0000.log").write_text("rank 0 of 1\n")


def _write_progress(run_dir: Path) -> None:
    table = {
        "schema_version": 1,
        "run_id": run_dir.name,
        "items_total": 1,
        "completed": {"reduce": ["13312"], "plot": ["13312"]},
        "errors": {},
        "shards": {"13312": "shard-00000.h5"},
        "other_shards": {},
        "fingerprints": {"reduce": {"13312": "bf118ec3:6589195"}, "plot": {}},
        "totals": {"reduce": 1, "plot": 1},
        "fruitless_stops": 0,
        "made_from": {},
        "linear_log_last_orbit": "13312",
    }
    (run_dir / "progress.json").write_text(json.dumps(table, indent=1) + "\n")


def _write_group(group: h5py.Group, quantity: str) -> None:
    _, records, channels = CODES.shape
    for name, size in (("record", records), ("channel", channels), ("table", 1)):
        group.create_dataset(name, (size,), "f4").make_scale(
            f"This is a netCDF dimension but not a netCDF variable. {size:10d}"
        )
    group.create_dataset("category", data=CATEGORIES, dtype=h5py.string_dtype())
    group["category"].make_scale("category")
    time = 946686843.0 + 5 * np.arange(records)
    for name, dims, data in (
        ("time", "record", time),
        ("time_start", "record", time - 2.5),
        ("time_end", "record", time + 2.5),
        ("mode", "record", np.zeros(records, np.uint8)),
        ("energy", "table channel", np.array([[400, 200, 100, 50]], np.float32)),
        (quantity, "category record channel", CODES),
    ):
        dataset = group.create_dataset(name, data=data)
        for axis, dim in enumerate(dims.split()):
            dataset.dims[axis].label = dim
            dataset.dims[axis].attach_scale(group[dim])
    group[quantity].attrs.update(long_name=_LEGEND["long_name"], units="counts")
    group.attrs.update(
        coordinates="energy time_start time_end",
        quantity=quantity,
        legend=json.dumps(_LEGEND),
        source="fa_esa_l2_ees_20000101003403_13312_v01.cdf",
        source_size=6589195,
    )


def _write_figure(path: Path, kind: str, limits: str) -> None:
    panel = {
        "label": "all",
        "box": [20, 10, 100, 40],
        "time": [946686840.5, 946686865.5],
        "energy": [0.0, 400.0],
        "y_scale": "linear",
        "y_label": "Energy (eV)",
        "z": [1.0, 50.0],
        "z_scale": "log",
        "z_label": "Counts",
        "colormap": "cividis",
        "instrument": "ees",
        "category": "all",
        "y_units": "eV",
    }
    shown = {"item": "13312", "kind": kind, "limits": limits, "sources": [], "panels": [panel]}
    text = PngImagePlugin.PngInfo()
    text.add_text("spectro-mpi", json.dumps({**shown, "version": "0.1.0"}))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("P", (120, 50))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(path, pnginfo=text)
