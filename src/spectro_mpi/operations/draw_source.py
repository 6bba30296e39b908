"""What `draw` draws: the spectrograms of an item of a run, or of a CDF file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spectro_mpi.draw.notes import in_order
from spectro_mpi.errors import Failure, InvalidCdfError, UserError
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.instruments.cdf import loads_fast_reader
from spectro_mpi.instruments.inspection import inspect_file
from spectro_mpi.instruments.inspection_text import as_toml
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.instruments.presets import preset_of, presets_knowing
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.model.marks import Mark
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.operations.runs import run_directory
from spectro_mpi.phases.item_ephemeris import ephemeris_of, with_ephemeris
from spectro_mpi.phases.reduce import reduce_with
from spectro_mpi.planning.ephemeris_files import EphemerisFiles
from spectro_mpi.planning.events import marks_of
from spectro_mpi.rundir.claim import only_changes_figures
from spectro_mpi.rundir.layout import CONFIG, data_path
from spectro_mpi.rundir.reader import Run, kept_marks, open_run
from spectro_mpi.rundir.store import UNREADABLE, first_line, instruments_of, read_spectrogram
from spectro_mpi.settings.loading import (
    differing_keys,
    load_frozen,
    load_table,
    parse_toml,
    read_toml,
)
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for

_LEAST_CPU_SECONDS, _CPU_SECONDS_PER_MB = 60.0, 1.0
"""CPU time that reading and reducing a CDF file may take."""
_SILENT_SECONDS = 30.0
"""Longest wait for a file server that does not answer."""
_DAMAGED = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors, besides `InvalidCdfError`, that reading a damaged file raises."""


_Spectrograms = tuple[tuple[str, ...], dict[str, Spectrogram]]
"""Instruments that there are, in the order of figures, and spectrograms of some of them."""


@dataclass(frozen=True)
class Subject:
    """Spectrograms to draw, and what a figure of them depends on."""

    config: Config
    item: str
    available: tuple[str, ...]
    """The instruments that there are, in the order of figures."""
    spectrograms: Mapping[str, Spectrogram]
    """By instrument: all, or the one that is asked for."""
    extrema: Mapping[str, float] | None = None
    """The common ones; None: a CDF file has none."""
    marks: tuple[Mark, ...] = ()
    failures: tuple[Failure, ...] = field(default=())


def is_cdf(source: str) -> bool:
    """Whether a source is a CDF file, by its name."""
    return Path(source).suffix.lower() == ".cdf"


def items_of(source: str) -> list[str]:
    """The items of a run that have data. Raises `UserError` if it is not a run."""
    return open_run(run_directory(source)).items


def subjects_of_run(
    source: str, items: Sequence[str], instrument: str, settings: Sequence[str] = ()
) -> Iterator[Subject]:
    """Read items of a run, in one child process, one after the other.

    Only `instrument` of each, if that is not empty and there are no events. `settings` are
    overrides of settings that only change figures. Raises `UserError`; for an item that there is
    not, before the first one is read.
    """
    run_dir = run_directory(source)
    run = open_run(run_dir)
    config = load_frozen(run_dir / CONFIG, tuple(settings))
    free = ("plot.", "axes.", "extrema.")
    keys = [
        key
        for key in differing_keys(run.config, config)
        if not key.startswith(free) and not only_changes_figures(key)
    ]
    if keys:
        raise UserError(
            f"-s {keys[0]}: the data of {run_dir} were made with another setting; draw the CDF "
            "file, or run again under another run_id"
        )
    for item in items:
        if item not in run.progress.data_files:
            raise UserError(f"{run_dir}: has no data of item {item}; it has {listed(run.items)}")
    # The settings may be from somebody else: only a table named here is read outside the run.
    is_named = any(setting.startswith("plot.events") for setting in settings)
    table = marks_of(config) if is_named else kept_marks(run_dir, config)
    with UntrustedCalls(_LEAST_CPU_SECONDS, silent_seconds=_SILENT_SECONDS) as untrusted:
        for item in items:
            marks = tuple(table.get(item, ()))
            name = "" if marks else instrument
            available, spectrograms = _stored(untrusted, run, item, name, config)
            failures = tuple(f for f in run.progress.failures.get(item, ()) if f.phase != "plot")
            yield Subject(config, item, available, spectrograms, run.extrema, marks, failures)


def subject_of_cdf(
    source: str, instrument: str, settings: Sequence[str] = (), file: str = ""
) -> Subject:
    """Read and reduce a CDF file in a child process, which may hang or crash.

    `file`: a settings file; empty: the defaults of the preset that knows the name of the CDF file,
    or else what `inspect` proposes. `settings` override them. Raises `UserError`.
    """
    path = Path(source)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror or error}") from None
    config = _config_of(path.absolute(), instrument, tuple(settings), file)
    seconds = _LEAST_CPU_SECONDS + _CPU_SECONDS_PER_MB * size / 1e6
    memory_mb = config.run.memory_limit_mb or memory_for(size)
    with UntrustedCalls(seconds, memory_mb, _SILENT_SECONDS) as untrusted:
        arguments = (path.absolute(), instrument, config, file)
        try:
            # pycdfpp may crash, and reads whole variables; then cdflib reads it.
            with contextlib.suppress(ChildProcessError, MemoryError):
                return untrusted(_reduced, *arguments, fast=True)
            return untrusted(_reduced, *arguments, fast=False)
        except ChildProcessError:
            raise UserError(
                f"{source}: is damaged: reading it crashes, or takes more than {seconds:.0f} s"
            ) from None
        except MemoryError:
            raise UserError(
                f"{source}: is damaged, or too large: reading it takes more than {memory_mb} MB; "
                "-s run.memory_limit_mb=… allows more"
            ) from None
        except OSError as error:
            raise UserError(f"{source}: cannot be read: {error.strerror or error}") from None


def listed(names: Sequence[str]) -> str:
    """Names in a message, at most eight of them."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "none") + more


def _stored(
    untrusted: UntrustedCalls, run: Run, item: str, instrument: str, config: Config
) -> _Spectrograms:
    """Read an item of a run; only `instrument`, if there are data of it."""
    path = data_path(run.path, run.progress.data_files[item])
    try:
        untrusted.memory_mb = 2 * memory_for(path.stat().st_size)
        return untrusted(_in_file, path, item, instrument, config)
    except MemoryError:
        what = f"reading it takes more than {untrusted.memory_mb} MB"
    except OSError as error:
        what = error.strerror or str(error)
    raise UserError(
        f"{path}: cannot be read ({what}); `spectro-mpi verify {run.path} --repair` marks what is "
        "to be made again"
    )


def _in_file(path: Path, item: str, instrument: str, config: Config) -> _Spectrograms:
    """As `_stored`, in the child. Raises `OSError` if the file is damaged."""
    try:
        available = in_order(config, instruments_of(path, item))
        names = (instrument,) if instrument in available else available
        read = {name: read_spectrogram(path, item, name) for name in names}
        return available, {
            name: shown_as_set(each, config.instrument) for name, each in read.items()
        }
    except UNREADABLE as error:
        raise OSError(first_line(error)) from None


def _reduced(path: Path, instrument: str, config: Config, file: str, fast: bool) -> Subject:
    """The reduced spectrograms of a CDF file, in the child. Raises `UserError`, `OSError`."""
    names = list(preset_of(config).names(path.name))
    if not names:
        where = file or "-s data.preset"
        raise UserError(
            f"{path}: its name is none of a {preset_of(config).files}, by {where}; "
            f"`spectro-mpi inspect {path}` prints settings that draw it"
        )
    available = in_order(config, {name.instrument for name in names})
    chosen = [name for name in names if not instrument or name.instrument == instrument]
    spectrograms: dict[str, Spectrogram] = {}
    ephemeris, _ = ephemeris_of(
        _beside(path, names[0], config), config, fast and loads_fast_reader()
    )
    for name in chosen:
        entry = InputPath(name.instrument, str(path), path.stat().st_size, 0)
        try:
            reduced = reduce_with(entry, config, fast and loads_fast_reader(), ephemeris)
        except InvalidCdfError as error:
            raise UserError(str(error)) from None
        except _DAMAGED as error:
            raise UserError(f"{path}: is damaged: {error or type(error).__name__}") from None
        located = with_ephemeris(reduced, ephemeris)
        spectrograms[name.instrument] = shown_as_set(located, config.instrument)
    ordered = {name: spectrograms[name] for name in available if name in spectrograms}
    item = names[0].item
    marks = tuple(marks_of(config).get(item, ()))
    return Subject(config, item, available, ordered, None, marks)


def _beside(path: Path, name: NamedFile, config: Config) -> tuple[InputPath, ...]:
    """The ephemeris files of an item that lie in the folder of its CDF file."""
    found = EphemerisFiles(config)
    for file in sorted(path.parent.glob("*.cdf")):
        found.take(str(file), 0)
    (item,) = found.of_items([Item(name.item, name.start, ())])
    return item.ephemeris


def _config_of(path: Path, instrument: str, settings: tuple[str, ...], file: str) -> Config:
    table: dict[str, Any] = read_toml(Path(file)) if file else {}
    base = Path(file).absolute().parent if file else Path.cwd()
    has_preset = any(setting.startswith("data.preset") for setting in settings)
    if not file and not has_preset and not any(presets_knowing(path.name)):
        inspection = inspect_file(path)
        wanted = tuple(
            variable for variable in inspection.drawable if instrument in ("", variable.table.name)
        )
        if not wanted:
            there = [variable.table.name for variable in inspection.drawable]
            if not there:
                raise UserError(f"{path}: nothing in it can be drawn (`inspect` says why)")
            raise UserError(
                f"{path}: has no variable {instrument} that can be drawn; it has {listed(there)}"
            )
        named = replace(inspection, path=Path(path.root, path.name), drawable=wanted)
        table = parse_toml(as_toml([named]), str(path))
    if not file:  # what is drawn does not depend on these, and folders may have any name
        table |= {"input": path.root, "output": path.root}
    return load_table(table, settings, base, file or str(path))
