"""Create a run directory, refuse changed settings, start over."""

from __future__ import annotations

import shutil
from pathlib import Path

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import CONFIG, JOBS, LIVE, PRODUCED, STOP, shards_of
from spectro_mpi.rundir.progress import PHASES, Progress
from spectro_mpi.settings.loading import differing_keys, load_config
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import DAMAGED, SUFFIX, sync_directory, write_atomic

_FREE_TO_CHANGE = (
    "run.",
    "select.orbits",
    "select.skip",
    "select.share",
    "data.chunk_records",
    "report.",
    "slurm.",
    "output",
    "run_id",
    "phases",
    "plot.event",  # events, event_label: items whose events differ are drawn again
)
"""Settings that do not affect existing output, or whose changes are noticed item by item."""


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
        _refuse_changes(config, load_config(frozen))
    content = config.to_toml().encode()
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
    known = {*PRODUCED, STOP, JOBS, LIVE}
    if CONFIG not in names and any(
        name not in known and not name.startswith("run.lock") and not name.endswith(SUFFIX)
        for name in names
    ):
        raise UserError(
            f"{run_dir} exists and is not a run directory; choose another run_id or output"
        )


def _refuse_changes(config: Config, frozen: Config) -> None:
    free: tuple[str, ...] = _FREE_TO_CHANGE
    try:
        progress = load_progress(config.run_dir, config.run_id)
    except RunError:
        pass  # it will be rebuilt from existing output, which was made with the frozen settings
    else:
        if not progress.settled["plot"]:
            free += ("plot.", "axes.", "extrema.")
        if not _begun(progress) - set(PHASES):
            free += ("seed",)
        free += tuple(
            f"phase.{name}." for name in {*frozen.phase, *config.phase} - _begun(progress)
        )
        if not any(progress.settled.values()) and not shards_of(config.run_dir):
            return
    keys = [key for key in differing_keys(frozen, config) if not key.startswith(free)]
    if keys:
        raise UserError(
            f"{config.run_dir}: was made with other settings of {', '.join(keys)}; "
            "restore them, choose another run_id, or start over with --fresh"
        )


def _begun(progress: Progress) -> set[str]:
    """The phases in which an item is settled."""
    return {phase for phase, items in progress.settled.items() if items}


def _clear(run_dir: Path) -> None:
    """Remove the output of earlier executions, and nothing else."""
    for path in (*run_dir.glob(f"*{DAMAGED}*"), *(run_dir / name for name in PRODUCED)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    sync_directory(run_dir)
