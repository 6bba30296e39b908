"""The preset of a run, and which presets know a file by its name."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from spectro_mpi.instruments.preset import Preset
from spectro_mpi.settings.presets import PresetEntry, built_in_presets
from spectro_mpi.settings.schema import Config


def preset_of(config: Config) -> Preset:
    """The preset that the settings name."""
    return _made(config.preset, config)


def presets_knowing(file: str) -> Iterator[tuple[str, Preset]]:
    """(name, preset) of the built-in presets that know a file by its name, without any tables."""
    for entry in built_in_presets():
        preset = _made(entry, Config())
        if any(preset.names(file)):
            yield entry.name, preset


def _made(entry: PresetEntry, config: Config) -> Preset:
    module, _, name = entry.reader.partition(":")
    preset: Preset = getattr(import_module(module), name)(config)
    return preset
