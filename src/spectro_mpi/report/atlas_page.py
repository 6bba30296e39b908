"""The page of the atlas, `report/atlas.html`: maps to look into, complete in one file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.palette import palette_of
from spectro_mpi.instruments.units import readable, without_slashes
from spectro_mpi.model.artifacts import BOUNDS, Group
from spectro_mpi.model.atlas_groups import ALTITUDES, COUNT, FILL, ITEM, MEAN, PERCENTILE
from spectro_mpi.report.folder import PageFolder
from spectro_mpi.rundir.array_file import read_array_file
from spectro_mpi.rundir.layout import ATLAS, ATLAS_FILE, result_path, run_wide_path
from spectro_mpi.rundir.reader import Run, read_run_wide
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.system.atomic import write_atomic

PAGE = "atlas.html"
_DIGITS = 4
_COLORMAPS = ("inferno", "viridis", "cividis", "magma")
_MEDIAN = 50.0
_USED = "records used"
Render = Callable[[str, dict[str, Any]], bytes]


def write_atlas_page(
    folder: PageFolder, run: Run, figures: list[dict[str, Any]], render: Render
) -> str:
    """Write the page, if the run has an atlas; return its address, or "".

    `figures`: those of the whole run; `render`: fills a template of the page. A page of an atlas
    that is gone is removed. Raises `OSError` if it cannot be written.
    """
    page, path = folder.path / PAGE, result_path(run.path, ATLAS_FILE)
    try:
        groups, attributes = read_array_file(path)
        atlas = _data_of(groups, attributes, run.config.select.instruments)
    except (OSError, ValueError, KeyError, IndexError, StopIteration):
        # It is not there, or damaged, which `verify` reports.
        with contextlib.suppress(FileNotFoundError):
            page.unlink()
        return ""
    word = run.config.item_word
    style, script = _resource("atlas.css"), _resource("atlas.js")
    facts = {
        "run_id": run.config.run_id,
        "items": int(attributes["items"]),
        "item_word": word,
        "notes": list(read_run_wide(run_wide_path(run.path, ATLAS)).get("notes", ())),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "figures": [each for each in figures if each["phase"] == ATLAS],
        "data_address": folder.to(path),
        "atlas": {**atlas, "itemWord": word},
    }
    write_atomic(page, render(PAGE, facts))
    return PAGE


def _resource(name: str) -> str:
    return (files("spectro_mpi.report") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How the page's policy names a script or style in it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _data_of(
    groups: Mapping[str, Group], attributes: Mapping[str, Any], order: Sequence[str]
) -> dict[str, Any]:
    """What the script of the page draws; `order`: of the instruments."""
    titles = dict(parsed_json(attributes.get("titles", "{}")))
    names = [name for name in order if name in groups]
    data: dict[str, Any] = {
        "instruments": [
            _instrument(titles.get(name, name), groups[name], groups.get(f"{name}/{ALTITUDES}"))
            for name in names
        ],
        "grid": {},
        "colors": {
            name: [
                f"#{red:02x}{green:02x}{blue:02x}"
                for red, green, blue in palette.rgb[palette.index[::4]].tolist()
            ]
            for name, palette in ((name, palette_of(name)) for name in _COLORMAPS)
        },
    }
    for name in names[:1]:
        for axis in ("ilat", "mlt"):
            pairs = groups[name].datasets[f"{axis}{BOUNDS}"].values
            data["grid"][axis] = [*pairs[:, 0].tolist(), float(pairs[-1, 1])]
    return data


def _instrument(title: str, pooled: Group, by_altitude: Group | None) -> dict[str, Any]:
    maps = list(_maps(pooled))
    levels = [_level("all altitudes", pooled, maps, "all", None)]
    if by_altitude is not None:
        ranges = by_altitude.datasets[f"altitude{BOUNDS}"].values.tolist()
        levels += [
            _level(f"{low:g} to {high:g} km", by_altitude, maps, "few", place)
            for place, (low, high) in enumerate(ranges)
        ]
    kept = ("label", "units", "log", "low", "high", "colors", "all", "few")
    return {
        "title": title,
        "maps": [{key: each[key] for key in kept if key in each} for each in maps],
        "levels": levels,
    }


def _maps(group: Group) -> Iterator[dict[str, Any]]:
    """The maps of an instrument: label, units, colour scale, statistics."""
    datasets = group.datasets
    percents = datasets["percentile"].values.tolist()
    for name in datasets:
        if not name.endswith(MEAN):
            continue
        base, dim = name.removesuffix(MEAN), datasets[name].dims[0]
        what = datasets[name].long_name.partition(",")[0].partition(":")[0]
        units = datasets[name].units
        is_fill = base == FILL
        known = datasets[name].values[np.isfinite(datasets[name].values)]
        is_log = not is_fill and bool((known >= 0).all()) and bool((known > 0).any())
        for row, category in enumerate(datasets[dim].values.tolist()):
            for place, band in enumerate(datasets["band"].values.tolist()):
                key = f"{base}/{row}/{place}"
                every: list[dict[str, Any]] = [
                    {"key": f"{key}/mean", "name": "mean", "of": (name, (row, place))}
                ]
                every += [
                    {
                        "key": f"{key}/{percent:g}",
                        "name": "median" if percent == _MEDIAN else f"{percent:g}th percentile",
                        "of": (f"{base}{PERCENTILE}", (number, row, place)),
                    }
                    for number, percent in enumerate(percents)
                ]
                every.append(_counted(f"{base}{COUNT}", (row, place), f"{key}/n"))
                few = [each for each in every if each["name"] in ("mean", "median", _USED)]
                yield {
                    "label": f"{what}, {category}, {band} {datasets[f'band{BOUNDS}'].units}",
                    "units": "" if units == "1" else without_slashes(readable(units)),
                    "log": is_log,
                    **({"low": 0, "high": 1.2} if is_fill else {}),
                    "colors": "viridis" if is_fill or not is_log else "inferno",
                    "all": every,
                    "few": few,
                }
    yield from _beams(group)
    for name, label in (("records", "Records"), ("items", "Items with a record")):
        one = [{"key": name, "name": "number", "of": (name, ())}]
        shared = {"units": "", "log": True, "low": 1, "colors": "cividis"}
        yield {"label": label, **shared, "all": one, "few": one}


def _beams(group: Group) -> Iterator[dict[str, Any]]:
    datasets = group.datasets
    if "beam_occurrence" not in datasets:
        return
    for row, beam in enumerate(datasets["beam"].values.tolist()):
        for place, band in enumerate(datasets["band"].values.tolist()):
            key = f"beam/{row}/{place}"
            share = {
                "key": key,
                "name": "share of records",
                "of": ("beam_occurrence", (row, place)),
            }
            every = [share, _counted("beam_count", (row, place), f"{key}/n")]
            label = f"Occurrence of beams, {beam}, {band} {datasets[f'band{BOUNDS}'].units}"
            shared = {"units": "", "log": False, "low": 0, "colors": "magma"}
            yield {"label": label, **shared, "all": every, "few": every}


def _counted(dataset: str, place: tuple[int, ...], key: str) -> dict[str, Any]:
    return {"key": key, "name": _USED, "of": (dataset, place)}


def _level(
    name: str, group: Group, maps: list[dict[str, Any]], which: str, altitude: int | None
) -> dict[str, Any]:
    """The cells that have a record, in all altitudes or one range of them, and their values."""

    def flat(dataset: str, place: tuple[int, ...] = (), rest: int = 0) -> NDArray[Any]:
        values = np.asarray(group.datasets[dataset].values[place])
        if altitude is not None:  # (hemisphere, altitude, ilat, mlt, …)
            values = values[:, altitude]
        return values.reshape(-1, *values.shape[values.ndim - rest :])

    records = flat("records")
    cells = np.flatnonzero(records)
    items = np.append(group.datasets[ITEM].values, "").tolist()
    top, counts = (flat(each, rest=1)[cells].tolist() for each in ("top_item", "top_records"))
    return {
        "name": name,
        "cells": cells.tolist(),
        "records": records[cells].tolist(),
        "items": flat("items")[cells].tolist(),
        "top": [
            [[items[item], number] for item, number in zip(*both, strict=True) if item >= 0]
            for both in zip(top, counts, strict=True)
        ],
        "values": {
            each["key"]: [_number(value) for value in flat(*each["of"])[cells].tolist()]
            for shown in maps
            for each in shown[which]
        },
    }


def _number(value: float) -> float | int | None:
    """A number of four digits, for JSON."""
    if isinstance(value, int):
        return value
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
