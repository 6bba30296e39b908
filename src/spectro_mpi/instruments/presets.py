"""Load the preset of a run, and find presets by the name of a file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from spectro_mpi.instruments.preset import Preset
from spectro_mpi.settings.presets import PresetEntry, built_in_presets
from spectro_mpi.settings.schema import Config


def preset_of(config: Config) -> Preset:
    """The preset in the setting `data.preset`."""
    return _load(config.preset, config)


def presets_knowing(file: str) -> Iterator[tuple[str, Preset]]:
    """(name, preset) of the built-in presets that read a file called `file` without tables."""
    for entry in built_in_presets():
        preset = _load(entry, Config())
        if any(preset.names(file)):
            yield entry.name, preset


def _load(entry: PresetEntry, config: Config) -> Preset:
    module, _, name = entry.reader.partition(":")
    preset: Preset = getattr(import_module(module), name)(config)
    return preset
