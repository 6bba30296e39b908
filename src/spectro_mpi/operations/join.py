"""Join run directories that hold disjoint shares of the items into one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from spectro_mpi.errors import Failure, UserError, writing
from spectro_mpi.planning.stored import stored_sources
from spectro_mpi.rundir.claim import claim_directory, open_for_writing, refuse_other_versions
from spectro_mpi.rundir.data_files import list_item_files, orphans_of
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import DATA, data_path, next_shard_number, shard_path
from spectro_mpi.rundir.lock import RunLock, is_running
from spectro_mpi.rundir.names import is_shard
from spectro_mpi.rundir.progress import Batch, Progress
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.rundir.sources import SourceLog, Sources, read_coverage
from spectro_mpi.rundir.store import sources_of, write_links
from spectro_mpi.rundir.tallies import drop_stale
from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.loading import differing_keys
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import commit, make_below, part_path, sweep
from spectro_mpi.system.untrusted import UntrustedCalls

_AT_ONCE = 100
"""Items that share a line of the journal."""
_REDUCTION = ("data.", "instrument", "pitch_angles.")
"""Settings that reduced data depend on, as `reduction_digest` counts them."""

_Origin: TypeAlias = "tuple[Sources, frozenset[tuple[str, str]]]"
"""What an item was made from: its sources, and (instrument, reason) of what failed."""


def join(config: Config, parts: Sequence[Path]) -> int:
    """Add the data files and recorded failures of `parts` to the run directory of `config`.

    Figures are not added, because their common axes depend on the items of all parts. Files are
    hard-linked if possible, otherwise copied; `parts` do not change. An item that is there already,
    made from the same files, is passed over, so that a join that was killed can be repeated.
    Returns the number of items of all parts. Raises `UserError` if another version made the run
    directory, or if a part is still running, was reduced with other settings, or has an item that
    another part or the run directory has, made from other files.
    """
    with UntrustedCalls() as untrusted:
        refuse_other_versions(config.run_dir, untrusted)
    runs = [open_run(part) for part in parts]
    claim_directory(config)
    lock = RunLock(config.run_dir)
    with writing(config.run_dir):
        lock.acquire()
        try:
            joined = _join(config, runs)
        finally:
            lock.release()
    return len(joined)


def _join(config: Config, runs: Sequence[Run]) -> set[str]:
    """Add the items of `runs`; returns those of all of them. The caller holds the lock."""
    open_for_writing(config, fresh=False)
    journal = Journal(config.run_dir, config.run_id, config.plot.scales)
    present = dict.fromkeys(journal.state.settled["reduce"], "the run directory itself")
    origins = _origins(config.run_dir, journal.state, present)
    new = [_new_items(config, run, present, origins) for run in runs]
    _remove_left_over(config.run_dir, journal.state, origins)
    with UntrustedCalls() as untrusted:
        drop_stale(config.run_dir, journal.state.stores, untrusted)
    sources = {item: origin[0] for item, origin in origins.items()}
    for run, items in zip(runs, new, strict=True):
        _add(run, items, journal, config.run_dir, sources)
    journal.note(items_total=len(journal.state.settled["reduce"]))
    journal.close()
    write_links(config.run_dir, journal.state.data_files)
    return {item for run in runs for item in run.progress.settled["reduce"]}


def _new_items(
    config: Config, run: Run, present: dict[str, str], origins: dict[str, _Origin]
) -> list[str]:
    """The items of a part that are not `present` (item → where it is) yet; they are added to it."""
    if is_running(run.path):
        raise UserError(f"{run.path}: is still running; join it when it has finished")
    if reduction_digest(config) != reduction_digest(run.config):
        keys = [key for key in differing_keys(config, run.config) if key.startswith(_REDUCTION)]
        keys = [key for key in keys if key != "data.chunk_records"]
        raise UserError(
            f"{run.path}: was made with other settings of "
            f"{', '.join(keys) or 'pitch_angles (their order)'}; "
            "join only runs with the same settings"
        )
    settled = run.progress.settled["reduce"]
    new = []
    for item, origin in _origins(run.path, run.progress, settled).items():
        if item not in present:
            new.append(item)
            present[item], origins[item] = str(run.path), origin
        elif origins[item] != origin:
            raise UserError(
                f"{run.path}: has item {item}, which {present[item]} has, too, made from other "
                "files; join only runs with different items"
            )
    return new


def _origins(run_dir: Path, progress: Progress, items: Iterable[str]) -> dict[str, _Origin]:
    """Item → what it was made from."""
    sources = stored_sources(run_dir, progress)
    return {
        item: (
            sources.get(item, {}),
            frozenset(
                (failure.instrument, failure.reason) for failure in _failures(progress, item)
            ),
        )
        for item in sorted(items)
    }


def _failures(progress: Progress, item: str) -> tuple[Failure, ...]:
    failures = progress.failures.get(item, ())
    return tuple(failure for failure in failures if failure.phase == "reduce")


def _remove_left_over(run_dir: Path, state: Progress, origins: Mapping[str, _Origin]) -> None:
    """Remove what a join that was killed has not recorded: it is about to be taken again."""
    sweep(run_dir / DATA)
    listed = list_item_files(run_dir, sweeps=True)
    with UntrustedCalls() as untrusted:
        for shard in orphans_of(run_dir, state, listed):
            try:
                held = untrusted(sources_of, shard)
            except OSError:
                continue  # the next run sets it aside
            if all(item in origins and origins[item][0] == held[item] for item in held):
                shard.unlink()


def _add(
    run: Run, items: Iterable[str], journal: Journal, run_dir: Path, sources: Mapping[str, Sources]
) -> None:
    """Add items of one part, some at a time; each is on disk before it is recorded."""
    of_file: dict[str, list[str]] = {}
    for item in items:
        data_file = run.progress.data_files.get(item, "")
        # A shard is added as a whole; files of single items share a line of the journal.
        of_file.setdefault(data_file if is_shard(data_file) else "", []).append(item)
    log = SourceLog(run_dir)
    coverage = read_coverage(run.path, run.progress.data_files)
    for shard, held in sorted(of_file.items()):
        for first in range(0, len(held), _AT_ONCE):
            some = held if shard else held[first : first + _AT_ONCE]
            data_files = _added(run, some, shard, run_dir)
            log.record(
                {item: (name, sources.get(item, {})) for item, name in data_files.items()},
                {
                    item: (name, coverage[item])
                    for item, name in data_files.items()
                    if item in coverage
                },
            )
            failures = {item: _failures(run.progress, item) for item in some}
            failures = {item: failed for item, failed in failures.items() if failed}
            known = run.progress.fingerprints["reduce"]
            prints = {item: known[item] for item in some if item in known}
            journal.record(Batch("reduce", tuple(some), failures, data_files, prints))
            if shard:
                break
    log.close()


def _added(run: Run, items: Sequence[str], shard: str, run_dir: Path) -> dict[str, str]:
    """Link or copy the data of items, which is durable on return; item → its data file here."""
    if shard:
        path = shard_path(run_dir, next_shard_number(run_dir))
        path.parent.mkdir(exist_ok=True)
        _link_or_copy({path: data_path(run.path, shard)})
        return dict.fromkeys(items, path.name)
    held = run.progress.data_files
    data_files = {item: held[item] for item in items if item in held}
    targets = {data_path(run_dir, name): data_path(run.path, name) for name in data_files.values()}
    for folder in {target.parent for target in targets}:
        make_below(run_dir, folder)
    if targets:
        _link_or_copy(targets)
    return data_files


def _link_or_copy(sources: Mapping[Path, Path]) -> None:
    """Have the content of files under other names: target → source."""
    for target, source in sources.items():
        part = part_path(target)
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
    commit(*sources)
