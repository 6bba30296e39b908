"""Create a run directory, refuse changed settings, start over."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.rundir.data_files import has_data
from spectro_mpi.rundir.digests import refuse_newer_digests
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import (
    CONFIG,
    EVENTS,
    JOB_RECORD,
    JOBS,
    LEFT_OUT,
    LIVE,
    LOCK,
    PRODUCED,
    RESOURCES,
    STOP,
    TALLIES,
    data_path,
    links_path,
    shards_of,
)
from spectro_mpi.rundir.progress import PHASES, Progress
from spectro_mpi.rundir.store import check_versions
from spectro_mpi.settings.digests import NOT_OF_INSTRUMENT
from spectro_mpi.settings.loading import differing_keys, frozen_version, load_frozen
from spectro_mpi.settings.paths import stored_settings
from spectro_mpi.settings.schema import Config, SettingsError
from spectro_mpi.settings.versions import difference_of_version_1, read_table
from spectro_mpi.system.atomic import DAMAGED, SUFFIX, sync_directory, write_atomic
from spectro_mpi.system.untrusted import UntrustedCalls

_FREE_TO_CHANGE = (
    "input",  # a new file of an item is noticed by its name and size, wherever it is
    "run.",
    "select.orbits",
    "select.skip",
    "select.start",
    "select.stop",
    "select.share",
    "data.chunk_records",
    "input",
    "report.",
    "slurm.",
    "pbs.",
    "fetch.",
    "output",
    "run_id",
    "phases",
    "superpose.",  # it is computed again from the store
    "plot.",  # figures that they change are drawn again
    "atlas.",  # its maps are computed again, from the store
    "axes.",
    "extrema.",
)
"""Settings that do not affect existing output, or whose changes are noticed item by item."""


_LAST_FILES = 100
"""Data files whose version is checked: of shards those with the highest numbers, of items those
that are listed last."""


def refuse_other_versions(run_dir: Path, untrusted: UntrustedCalls, fresh: bool = False) -> None:
    """Refuse to continue what another version of the program made; this changes nothing.

    Raises `NewerVersionError` if a newer version wrote a file, and `UserError` if version 0.1 made
    the directory and its output is not to be removed first (`fresh`).
    """
    frozen, version, progress = run_dir / CONFIG, 0, Progress("")
    with contextlib.suppress(OSError):  # reported by the steps that follow, which need the files
        if frozen.exists():
            version = _frozen_version(frozen, fresh)
        with contextlib.suppress(RunError):  # it is damaged, and will be repaired or removed
            progress = load_progress(run_dir, "")
        _refuse_newer_files(run_dir, progress, untrusted)
    if (version or progress.version) == 1 and not fresh:
        what = _what_differs(load_frozen(frozen) if version else None, progress)
        raise UserError(f"{run_dir} was made by 0.1, {what}; use --fresh or another run_id")


def _frozen_version(frozen: Path, fresh: bool) -> int:
    """The version of the settings of a run directory; 0 if `fresh` replaces damaged ones."""
    try:
        return frozen_version(frozen)
    except SettingsError:
        if fresh:
            return 0
        raise


def _refuse_newer_files(run_dir: Path, progress: Progress, untrusted: UntrustedCalls) -> None:
    """Raise `NewerVersionError` if a newer version wrote a file besides settings and progress."""
    for name in (JOB_RECORD, LIVE, LOCK, LEFT_OUT):
        with contextlib.suppress(OSError, ValueError, TypeError):
            read_table(run_dir / name)
    with contextlib.suppress(OSError):
        refuse_newer_digests(run_dir)
    links = [links_path(run_dir, phase) for phase in progress.stores]
    latest = list(progress.data_files.values())[-_LAST_FILES:]
    data = [*shards_of(run_dir)[-_LAST_FILES:], *(data_path(run_dir, name) for name in latest)]
    files = [*dict.fromkeys(data), *links, run_dir / TALLIES, run_dir / RESOURCES]
    if any(path.exists() for path in files):
        with contextlib.suppress(ChildProcessError):  # a damaged file, which will be repaired
            untrusted(check_versions, files)


def _what_differs(config: Config | None, progress: Progress) -> str:
    """Why this version cannot continue a run of version 0.1; None: its settings are lost."""
    if config is None or "reduce" not in progress.phases:
        return "which this version does not continue"
    return difference_of_version_1(config.data.preset, config.data.quantity)


def open_for_writing(config: Config, fresh: bool) -> None:
    """Write the settings into the run directory, or check that they fit its output.

    The caller holds the lock. With `fresh`, earlier output is removed first. Raises `UserError`
    with the name of every setting that differs from that of the existing output.
    """
    run_dir = config.run_dir
    frozen = run_dir / CONFIG
    if fresh:
        _clear(run_dir)
    if frozen.exists():
        refuse_changes(config, load_frozen(frozen))
    content = stored_settings(config, str(run_dir / EVENTS) if config.plot.events else "")
    if not frozen.exists() or frozen.read_bytes() != content:
        write_atomic(frozen, content)


def claim_directory(config: Config) -> None:
    """Make sure that the run directory exists and can be written.

    Raises `UserError` if it cannot be written, or holds files but is not a run directory.
    """
    run_dir = config.run_dir
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in run_dir.iterdir()}
    except OSError as error:
        raise UserError(
            f'output = "{config.output}" cannot be written: {error.strerror or error}; '
            "set `output` to a directory that you can write"
        ) from None
    if (run_dir / STOP).is_dir():
        raise UserError(f"{run_dir / STOP}: is a directory, which would stop every run; remove it")
    known = {*PRODUCED, STOP, JOBS, LIVE}
    if CONFIG not in names and any(
        name not in known and not name.startswith("run.lock") and not name.endswith(SUFFIX)
        for name in names
    ):
        raise UserError(
            f"{run_dir} exists and is not a run directory; choose another run_id or output"
        )


def refuse_changes(config: Config, frozen: Config) -> None:
    """Raise `UserError` naming settings that differ from those that existing data was made with."""
    free: tuple[str, ...] = _FREE_TO_CHANGE
    if set(frozen.select.instruments) <= set(config.select.instruments):
        # Files of added instruments are new files of their items; figures follow the order.
        free += ("select.instruments",)
    try:
        progress = load_progress(config.run_dir, config.run_id)
    except RunError:
        pass  # it will be rebuilt from existing output, which was made with the frozen settings
    else:
        if not _begun(progress) - set(PHASES):
            free += ("seed",)
        free += tuple(
            f"phase.{name}." for name in {*frozen.phase, *config.phase} - _begun(progress)
        )
        if not any(progress.settled.values()) and not has_data(config.run_dir):
            return
    if not frozen.has_angles:
        free += ("angles.",)
    free += ("moments.compute",) if frozen.has_moments else ("moments.",)
    keys = [
        key
        for key in differing_keys(frozen, config)
        if not key.startswith(free) and not only_changes_figures(key)
    ]
    if config.has_angles and not frozen.has_angles:
        kinds = " and ".join(kind for kind in ("angle", "summary") if kind in config.plot.kinds)
        keys.append(f"plot.kinds ({kinds}: pitch angles are not in the data)")
    if config.has_moments and not frozen.has_moments:
        keys.append("moments (they are not in the data)")
    if keys:
        raise UserError(
            f"{config.run_dir}: was made with other settings of {', '.join(keys)}; restore them, "
            "choose another run_id, or start over with --fresh (from Python: another `output`, or "
            "ignore_progress=True)"
        )


def only_changes_figures(key: str) -> bool:
    """Whether a key is of an `[[instrument]]` table, and of what does not change reduced data."""
    table, _, name = key.rpartition(".")
    return table.startswith("instrument.") and name in NOT_OF_INSTRUMENT


def _begun(progress: Progress) -> set[str]:
    """The phases in which an item is settled."""
    return {phase for phase, items in progress.settled.items() if items}


def _clear(run_dir: Path) -> None:
    """Remove the output of earlier executions, and nothing else."""
    for path in (*run_dir.glob(f"*{DAMAGED}*"), *(run_dir / name for name in PRODUCED)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    sync_directory(run_dir)
