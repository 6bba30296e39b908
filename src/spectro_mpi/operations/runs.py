"""Find runs: by directory, settings file or run id; and all runs in a directory."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.inert import inert
from spectro_mpi.operations.status import Status, read_status
from spectro_mpi.rundir.layout import CONFIG, JOB_RECORD, PROGRESS
from spectro_mpi.settings.loading import DEFAULT_FILE, frozen_version, load_config
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count, listed, nearest, utc

_NAMED = 8
"""Runs that a message names."""


@dataclass(frozen=True)
class RunSummary:
    """One run in a directory of runs."""

    run_dir: Path
    status: Status | None
    """None: it cannot be read."""
    problem: str
    """Why it cannot be read; else empty."""
    size: int
    """Bytes of all files of the run."""
    changed: float
    """Time of the last change of a file, s since 1970."""

    @property
    def name(self) -> str:
        """Its run id."""
        return self.run_dir.absolute().name

    def __str__(self) -> str:
        size = f"{self.size / 1e6:,.1f} MB"
        if self.status is None:
            problem = f"{self.problem}; {size}; changed {utc(self.changed)}"
            return inert(f"{self.name}: {problem}")
        failed = len(self.status.errors)
        phases = (f"{phase.phase}: {phase.words}" for phase in self.status.phases)
        words = (
            self.status.state,
            *phases,
            f"{count(failed, 'item')} with failures" if failed else "",
            size,
            f"changed {utc(self.changed)}",
        )
        return inert(f"{self.name}: {'; '.join(filter(None, words))}")


def run_directory(word: str | Path) -> Path:
    """The run directory that a word of the command line means.

    A run directory; a settings file, whose run is meant; or a run id, in the `output` of the
    settings file `spectro-mpi.toml` in the current directory, else in `runs`. Raises `UserError` if
    it is none of these.
    """
    path, hint = Path(word), _hint_at(Path(word))
    if path.is_file() and not hint:
        # A run may have been moved since its settings were frozen.
        return path.parent if _is_frozen(path) else load_config(path).run_dir
    is_name = path.name == str(word)
    if is_name and not _is_run(path) and _is_run(run_dir := default_output() / path):
        return run_dir
    if hint:
        raise UserError(f"{word}: is not a run directory; {hint}")
    if path.is_dir():
        return path
    folder = default_output()
    if is_name:
        names = _run_ids(folder)
    else:
        names = [str(path.parent / run_id) for run_id in _run_ids(path.parent)]
    listing = f" (`spectro-mpi runs {shlex.quote(str(folder))}` lists them)"
    raise UserError(
        f"{word}: is neither a run directory nor a settings file, and {folder} has no run of that "
        f"name{listing if folder.is_dir() else ''}{nearest(str(word), names)}"
    )


def _hint_at(path: Path) -> str:
    """What may be meant by a path beside, above or inside run directories; empty: nothing is."""
    if path.is_dir() and not _is_run(path):
        if run_ids := _run_ids(path):
            return f"it has {listed(sorted(str(path / each) for each in run_ids), _NAMED)}"
        if (path / DEFAULT_FILE).is_file():
            return f"did you mean {path / DEFAULT_FILE}?"
    if _is_run(path) or not path.exists() or path.suffix == ".toml":
        return ""
    around = next(filter(_is_run, path.parents), None)
    return f"did you mean {around}?" if around else ""


def _run_ids(folder: Path) -> list[str]:
    """The run ids in a directory; empty if it cannot be listed."""
    try:
        return [path.name for path in folder.iterdir() if _is_run(path)]
    except OSError:
        return []


def default_output() -> Path:
    """`output` of `spectro-mpi.toml` in the current directory, else the default of the setting."""
    if Path(DEFAULT_FILE).is_file():
        return Path(load_config(DEFAULT_FILE).output)
    return Path(Config.output)


def output_of(place: Path | None) -> Path:
    """The directory of runs that is meant: itself, or `output` of a settings file.

    None: that of `default_output`. Raises `UserError` if the settings cannot be read.
    """
    if place is None:
        return default_output()
    if not place.is_file():
        return place
    return place.absolute().parent if _is_frozen(place) else Path(load_config(place).output)


def runs_in(folder: Path) -> Iterator[RunSummary]:
    """The runs in a directory, that with the latest change first; or that run, if it is one.

    Raises `UserError` if it cannot be listed.
    """
    try:
        run_dirs = [folder] if _is_run(folder) else list(filter(_is_run, folder.iterdir()))
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be listed: {error.strerror or error}; name a directory of run "
            "directories, or a settings file"
        ) from None
    measured = [(run_dir, *_size_and_change(run_dir)) for run_dir in run_dirs]
    for run_dir, size, changed in sorted(measured, key=lambda run: (-run[2], run[0])):
        status, problem = None, ""
        try:
            status = read_status(run_dir)
        except UserError as error:
            problem = str(error)
        yield RunSummary(run_dir, status, problem, size, changed)


def _is_run(path: Path) -> bool:
    """Whether a directory is that of a run, or of one that was submitted and has not started."""
    return (path / CONFIG).is_file() or (path / JOB_RECORD).is_file()


def _is_frozen(settings: Path) -> bool:
    """Whether a settings file is that in a run directory; version 0.1 put no version into it."""
    if settings.name != CONFIG:
        return False
    return frozen_version(settings) > 1 or (settings.parent / PROGRESS).exists()


def _size_and_change(run_dir: Path) -> tuple[int, float]:
    """Bytes of all files below a directory, and the time of the latest change."""
    size, changed = 0, run_dir.stat().st_mtime
    folders = [str(run_dir)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue  # removed meanwhile by the run
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    stat = entry.stat(follow_symlinks=False)
                    size, changed = size + stat.st_size, max(changed, stat.st_mtime)
            except OSError:
                continue
    return size, changed
