"""Versions of settings and of other files in a run directory: which are written, which are read.

The settings of a run directory carry `settings_version`, its other files `schema_version`; a file
without one is of version 1, that of program version 0.1. A setting that gets another default or
meaning makes a new version: its earlier default goes into `_DEFAULTS`.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.settings.parsing import read_json

SETTINGS = "settings_version"
SCHEMA = "schema_version"
SETTINGS_VERSION = 2
SCHEMA_VERSION = 3
"""Raised when a file gets a form that earlier programs would read wrongly."""
_KNOWN = {SETTINGS: SETTINGS_VERSION, SCHEMA: SCHEMA_VERSION}


class NewerVersionError(UserError):
    """A file that a newer version of this program wrote; this one must leave it alone."""


def version_of(table: Mapping[str, Any], path: Path | str, key: str = SCHEMA) -> int:
    """The version of a file, given its content or attributes; 1 if it names none.

    `path` names the file in messages. Raises `NewerVersionError` for a version newer than this
    program's, `ValueError` or `TypeError` for a value that is no version.
    """
    if not isinstance(table, Mapping):
        raise TypeError("not a table")
    version = operator.index(table.get(key, 1))
    if version < 1:
        raise ValueError(f"{key} is {version}; expected 1 to {_KNOWN[key]}")
    if version > _KNOWN[key]:
        raise NewerVersionError(
            f"{path}: has {key} {version}, and this program reads up to {_KNOWN[key]}; "
            "use the newer spectro-mpi that wrote it"
        )
    return version


def read_table(path: Path) -> dict[str, Any]:
    """The content of a JSON file, without its version.

    Raises `NewerVersionError`, `OSError`, or `ValueError` or `TypeError` if it is damaged.
    """
    table = read_json(path)
    version_of(table, path)
    return {key: value for key, value in table.items() if key != SCHEMA}


def as_json(table: Mapping[str, Any]) -> bytes:
    """The content of a JSON file with today's version, as `read_table` reads it."""
    return json.dumps({SCHEMA: SCHEMA_VERSION, **table}).encode()


def in_terms_of_today(settings: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Settings of a version, with its defaults and today's meaning, without their version."""
    given = {key: value for key, value in settings.items() if key != SETTINGS}
    completed = _with_defaults(given, _DEFAULTS.get(version, {}))
    return _from_version_1(completed) if version == 1 else completed


def difference_of_version_1(preset: str, quantity: str) -> str:
    """How values of version 1 differ from today's, to follow "was made by 0.1, " in a sentence."""
    if preset != "fast-esa":
        return "which reduced data by other rules"
    if quantity == "eflux":
        return "whose energy flux is averaged over other cells, with other weights"
    return "whose counts are sums of telemetry codes"


_DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    1: {
        "data": {
            "quantity": "counts",
            "retrace": True,
            "quality": "ignore",
            "errors": False,
            "angle_borders": "centre",
            "angle_weight": "domega",
        },
        "pitch_angles": {
            "all": [[0.0, 360.0]],
            "downgoing": [[0.0, 30.0], [330.0, 360.0]],
            "upgoing": [[150.0, 210.0]],
            "perpendicular": [[40.0, 140.0], [210.0, 330.0]],
        },
        "extrema": {"min_percentile": 0.0},
        "moments": {"compute": False},
        "plot": {"scales": [["linear", "log"]], "z_label": "Counts", "event_label": "cusp"},
    },
}
"""Version → its defaults, as far as they differ from those of today."""


def _with_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, with the settings of each table that it lacks. Categories are not merged."""
    completed = dict(given)
    for name, table in defaults.items():
        present = given.get(name, {})
        if name not in given:
            completed[name] = dict(table)
        elif name != "pitch_angles" and isinstance(present, dict):
            completed[name] = {**table, **present}
    return completed


def _from_version_1(settings: dict[str, Any]) -> dict[str, Any]:
    """Replace what has another meaning, in complete settings of version 1."""
    data, plot = settings["data"], settings["plot"]
    if not isinstance(data, dict) or not isinstance(plot, dict):
        return settings  # a mistake, which the check of the settings reports
    # The default labels stood for those of the data, whatever they were, as today's empty ones do.
    meant = {"y_label": "Energy (eV)"}
    if data["quantity"] == "counts" and data.get("preset", "fast-esa") == "fast-esa":
        settings = settings | {"data": data | {"quantity": "codes"}}
    else:
        meant["z_label"] = "Counts"
    kept = {key: value for key, value in plot.items() if meant.get(key) != value}
    return settings | {"plot": kept}
