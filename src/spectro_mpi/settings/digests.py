"""The digest of the settings that reduced data depend on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.ephemeris import EphemerisSettings
from spectro_mpi.settings.schema import Config

NOT_OF_DATA = frozenset({"chunk_records"})
"""Settings of `[data]` that do not change what is reduced."""
NOT_OF_INSTRUMENT = frozenset({"title", "label", "y_scale", "z_scale", "panel", "master"})
"""Settings of `[[instrument]]` that only change figures; and `master`, because the content of that
file counts (`master_sha256`), not its place."""


def reduction_digest(config: Config) -> str:
    """Digest of the settings of the reduction: 16 hexadecimal digits.

    It is the start of the SHA-256 of the settings as JSON with sorted keys and without spaces:
    `data` without `chunk_records`, `instrument` without NOT_OF_INSTRUMENT,
    `pitch_angles` as a list of pairs, because the order of the categories is that of the store, and
    `ephemeris` if it is not the default; if moments are computed, `moments` without `compute`; if
    figures show pitch angles, `bands` as a list of pairs of instrument and bands.
    """
    settings: dict[str, Any] = {
        "data": _without(asdict(config.data), NOT_OF_DATA),
        "instrument": [_without(asdict(table), NOT_OF_INSTRUMENT) for table in config.instrument],
        "pitch_angles": [
            (name, asdict(given) if isinstance(given, Direction) else given)
            for name, given in config.pitch_angles.items()
        ],
    }
    if config.has_angles:
        settings["bands"] = [(name, config.bands(name)) for name in config.instruments]
    if config.ephemeris != EphemerisSettings():
        settings["ephemeris"] = asdict(config.ephemeris)
    if config.has_moments:
        settings["moments"] = _without(asdict(config.moments), frozenset({"compute"}))
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without(settings: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}
