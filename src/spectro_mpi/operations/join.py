"""Join run directories that hold disjoint shares of the items into one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.claim import claim_directory, open_for_writing, refuse_other_versions
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import DATA, next_shard_number, shard_path
from spectro_mpi.rundir.lock import RunLock, is_running
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.rundir.store import write_links
from spectro_mpi.rundir.tallies import drop_stale
from spectro_mpi.settings.loading import differing_keys
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import commit, part_path
from spectro_mpi.system.untrusted import UntrustedCalls

_MAY_DIFFER = (
    *("run_id", "output", "select.", "run.", "slurm.", "plot.", "axes.", "extrema."),
    *("phases", "phase.", "seed"),
)
"""Settings that do not affect reduced data."""


def join(config: Config, parts: Sequence[Path]) -> int:
    """Add the shards and recorded failures of `parts` to the run directory of `config`.

    Figures are not added, because their common axes depend on the items of all parts. Shards are
    hard-linked if possible, otherwise copied; `parts` do not change. Returns the number of items
    added. Raises `UserError` if another version made the run directory, or if a part is still
    running, has other settings, or holds an item that another part or the run directory has.
    """
    with UntrustedCalls() as untrusted:
        refuse_other_versions(config.run_dir, untrusted)
    runs = [open_run(part) for part in parts]
    claim_directory(config)
    lock = RunLock(config.run_dir)
    lock.acquire()
    try:
        open_for_writing(config, fresh=False)
        journal = Journal(config.run_dir, config.run_id, config.plot.scales)
        _check(config, runs, journal.state.settled["reduce"])
        with UntrustedCalls() as untrusted:
            drop_stale(config.run_dir, journal.state.stores, untrusted)
        for run in runs:
            _add(run, journal, config.run_dir)
        added = sum(len(run.progress.settled["reduce"]) for run in runs)
        journal.note(items_total=len(journal.state.settled["reduce"]))
        journal.close()
        write_links(config.run_dir, journal.state.shards)
    finally:
        lock.release()
    return added


def _check(config: Config, runs: Sequence[Run], present: set[str]) -> None:
    seen = {item: "the run directory itself" for item in present}
    for run in runs:
        if is_running(run.path):
            raise UserError(f"{run.path}: is still running; join it when it has finished")
        keys = [
            key for key in differing_keys(config, run.config) if not key.startswith(_MAY_DIFFER)
        ]
        if keys:
            raise UserError(
                f"{run.path}: was made with other settings of {', '.join(keys)}; "
                "join only runs with the same settings"
            )
        for item in run.progress.settled["reduce"]:
            if item in seen:
                raise UserError(
                    f"{run.path}: has item {item}, which {seen[item]} has, too; "
                    "join only runs with different items"
                )
            seen[item] = str(run.path)


def _add(run: Run, journal: Journal, run_dir: Path) -> None:
    """Add one part, shard by shard; each is on disk before it is recorded."""
    progress = run.progress
    of_shard: dict[str, list[str]] = {}
    for item in progress.settled["reduce"]:
        of_shard.setdefault(progress.shards.get(item, ""), []).append(item)
    for shard, items in sorted(of_shard.items()):
        name = ""
        if shard:
            path = shard_path(run_dir, next_shard_number(run_dir))
            path.parent.mkdir(exist_ok=True)
            _link_or_copy(run.path / DATA / shard, path)
            name = path.name
        failures = {
            item: tuple(f for f in progress.failures[item] if f.phase == "reduce")
            for item in items
            if item in progress.failures
        }
        held = tuple(items) if shard else ()
        journal.record(Batch("reduce", tuple(sorted(items)), failures, name, held))


def _link_or_copy(source: Path, target: Path) -> None:
    part = part_path(target)
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    commit(target)
