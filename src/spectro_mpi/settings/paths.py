"""Paths in settings: absolute in a `Config`, and so that they can be moved in a run directory."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from pathlib import Path

from spectro_mpi.settings.schema import Config

RUNS = ".."
"""`output` in the settings of a run directory: wherever it has been moved to, it is in there."""


def movable(config: Config, folder: Path, events: str) -> Config:
    """The settings as they are stored in `folder`, the run directory or a folder in it.

    `output` is relative to `folder`; so are `input`, `phases`, masters and `events`, the table of
    events to name, if they are in the folder that holds `output`. What is elsewhere keeps its
    absolute path, and so does everything if the run directory is elsewhere, by a symbolic link in
    `output`.
    """
    project = Path(config.output).parent
    is_linked = not config.run_dir.resolve().is_relative_to(project)
    if is_linked or project == project.parent:  # the root of the file system is nobody's project
        project = config.run_dir

    def relative(path: str) -> str:
        return os.path.relpath(path, folder) if Path(path).is_relative_to(project) else path

    def relative_phase(entry: str) -> str:
        path, colon, name = entry.rpartition(":")
        return f"{relative(path)}{colon}{name}" if path.endswith(".py") else entry

    inputs = tuple(map(relative, config.inputs))
    return replace(
        config,
        input=inputs[0] if isinstance(config.input, str) else inputs,
        output=os.path.relpath(config.output, folder),
        phases=tuple(map(relative_phase, config.phases)),
        instrument=tuple(
            replace(table, master=relative(table.master)) if table.master else table
            for table in config.instrument
        ),
        plot=replace(config.plot, events=relative(events) if events else ""),
    )


def stored_settings(config: Config, events: str) -> bytes:
    """The content of `config.toml` in a run directory.

    `events`: path of the table of events. A comment records where the input was.
    """
    stored = movable(config, config.run_dir, events)
    version, rest = stored.to_toml().split("\n", 1)
    places = [f"# input was {path!r}" for path in config.inputs]
    return "\n".join([version, *places, rest]).encode()


def input_root(config: Config) -> str:
    """The deepest folder that holds all of `input`: files in it are named relative to it."""
    return os.path.commonpath([_fixed(entry) for entry in config.inputs])


def input_name(path: str, root: str) -> str:
    """The path of an input file relative to `root`."""
    below = root.rstrip(os.sep) + os.sep
    return path.removeprefix(below) if root else path


def _fixed(entry: str) -> str:
    """The part of an entry of `input` before the first component with a wildcard."""
    path = Path(entry)
    while glob.has_magic(str(path)):
        path = path.parent
    return str(path)
