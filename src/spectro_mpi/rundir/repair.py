"""Repair a run directory, before a run starts, after a killed run or a disk error.

Damaged files get a name that says so, and their items are redone. This checks the state, opens
each shard and removes half-written files; `verify` reads everything.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import InputPath, Item, item_order, source_of
from spectro_mpi.rundir.journal import Journal, damaged_state
from spectro_mpi.rundir.layout import (
    ASSETS,
    DATA,
    EXTREMA,
    JOBS,
    REPORT,
    RESOURCE_LINES,
    links_path,
    shards_of,
    sweep_files,
)
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_extrema
from spectro_mpi.rundir.store import (
    Source,
    links_are,
    phase_of,
    problem_of_shard,
    sources_of,
    write_links,
)
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import set_aside, sweep, sweep_all, write_atomic
from spectro_mpi.system.digests import sha256_of
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

_Inputs = Mapping[str, Mapping[str, Sequence[InputPath]]]
"""Item → instrument → its files."""


def repair(config: Config, items: Sequence[Item], untrusted: UntrustedCalls) -> list[str]:
    """Repair the run directory; returns a sentence for each repair. The caller holds the lock.

    Raises `OSError` if the directory cannot be written.
    """
    sentences = []
    for sentence in _repair(config, items, untrusted):
        log.warning(sentence)
        sentences.append(sentence)
    return sentences


def _repair(config: Config, items: Sequence[Item], untrusted: UntrustedCalls) -> Iterator[str]:
    run_dir = config.run_dir
    yield from set_damaged_state_aside(run_dir)
    journal = Journal(run_dir, config.run_id, config.plot.scales)
    for name in ("", DATA, JOBS, RESOURCE_LINES, REPORT):
        sweep(run_dir / name)
    sweep_all(run_dir / ASSETS)
    for item in items:
        for phase in journal.state.phases:
            if item.id not in journal.state.settled[phase]:
                sweep_files(run_dir, phase, item)
    yield from _lose_damaged_shards(run_dir, journal, untrusted)
    yield from _adopt_orphans(
        run_dir, journal, {item.id: item.by_instrument for item in items}, untrusted
    )
    journal.close()
    yield from set_damaged_extrema_aside(run_dir)
    repair_links(run_dir, journal.state, untrusted)


def set_damaged_state_aside(run_dir: Path) -> Iterator[str]:
    """Set aside a damaged progress.json or journal; the good lines of a journal are kept."""
    for damage in list(damaged_state(run_dir)):
        good = b""
        if damage.good_lines:
            # What the other lines recorded is recovered from the store, or redone.
            lines = read_regular(damage.path).split(b"\n")
            good = b"\n".join([*lines[: damage.good_lines], b""])
        aside = set_aside(damage.path)
        if good:
            write_atomic(damage.path, good)
        yield f"{damage.path}: {damage.what}; set aside as {aside.name} and rebuilt from the store"


def set_damaged_extrema_aside(run_dir: Path) -> Iterator[str]:
    """Set aside extrema.json if it is damaged; the next run recreates it."""
    try:
        read_extrema(run_dir)
    except RunError:
        aside = set_aside(run_dir / EXTREMA)
        yield f"{run_dir / EXTREMA}: is damaged; set aside as {aside.name}, will be recreated"


def lose_shard(journal: Journal, shard: Path, problem: str) -> str:
    """Set a shard aside, if it exists, and mark its items to be redone; returns a sentence."""
    items = [
        item
        for held in journal.state.stores.values()
        for item, name in held.items()
        if name == shard.name
    ]
    aside = f"set aside as {set_aside(shard).name}, " if shard.exists() else ""
    if items:
        journal.lose(items)
    return f"{shard}: {problem}; {aside}{count(len(items), 'item')} will be redone"


def repair_links(run_dir: Path, state: Progress, untrusted: UntrustedCalls) -> None:
    """Recreate spectrograms.h5 and other links files where they differ from the progress."""
    for phase, path in bad_links(run_dir, state, untrusted):
        if state.stores[phase]:
            write_links(run_dir, state.stores[phase], phase)
        else:
            path.unlink()


def bad_links(
    run_dir: Path, state: Progress, untrusted: UntrustedCalls
) -> Iterator[tuple[str, Path]]:
    """Phases whose links file differs from the progress, each with the path of the file."""
    for phase, shards in state.stores.items():
        path = links_path(run_dir, phase)
        if not shards and not path.exists():
            continue
        try:
            good = untrusted(links_are, run_dir, shards, phase)
        except ChildProcessError:
            good = False
        if not good:
            yield phase, path


def shard_problem(untrusted: UntrustedCalls, shard: Path, items: Sequence[str] = ()) -> str:
    """What is wrong with a shard, or empty; also if HDF5 hangs or crashes on it."""
    with contextlib.suppress(OSError):
        untrusted.memory_mb = 2 * memory_for(shard.stat().st_size)
    try:
        return untrusted(problem_of_shard, shard, items)
    except ChildProcessError as error:
        return f"cannot be read ({error})"


def named_shards(state: Progress) -> set[str]:
    """Names of the shards that the progress refers to."""
    return {name for held in state.stores.values() for name in held.values()}


def orphans_of(run_dir: Path, state: Progress) -> list[Path]:
    """Finished shards that the progress does not refer to, the latest first."""
    named = named_shards(state)
    return [path for path in reversed(shards_of(run_dir)) if path.name not in named]


def unheld(progress: Progress) -> list[str]:
    """Items recorded as complete that no shard holds, sorted."""
    complete = {*progress.completed("reduce"), *progress.completed("plot")}
    return sorted(complete - progress.shards.keys(), key=item_order)


def _lose_damaged_shards(
    run_dir: Path, journal: Journal, untrusted: UntrustedCalls
) -> Iterator[str]:
    if items := unheld(journal.state):
        journal.lose(items)
        yield f"{run_dir / DATA}: no shard holds item {', '.join(items)}; will be redone"
    on_disk = {path.name for path in shards_of(run_dir)}
    for name in sorted(named_shards(journal.state)):
        shard = run_dir / DATA / name
        problem = shard_problem(untrusted, shard) if name in on_disk else "is missing"
        if problem:
            yield lose_shard(journal, shard, problem)


def _adopt_orphans(
    run_dir: Path, journal: Journal, inputs: _Inputs, untrusted: UntrustedCalls
) -> Iterator[str]:
    """Adopt the items of finished shards that are not in the journal, or remove the shards."""
    state = journal.state
    for shard in orphans_of(run_dir, state):
        try:
            phase = untrusted(phase_of, shard)
            if phase != "reduce":
                # Which items failed is unknown, and the input of the phase may have changed.
                shard.unlink()
                redone = f"its items will be redone in phase {phase}"
                yield f"{shard}: complete but not in the journal; removed, {redone}"
                continue
            held = untrusted(sources_of, shard)
        except OSError as error:
            yield f"{shard}: cannot be read ({error}); set aside as {set_aside(shard).name}"
            continue
        # An item without one of its instruments may have failed; nothing records whether it did.
        whole = [
            item
            for item, sources in held.items()
            if item not in state.settled["reduce"]
            and _are_reduced(inputs.get(item, {}), sources)
            and not shard_problem(untrusted, shard, [item])
        ]
        if whole:
            journal.adopt(shard.name, whole)
            yield f"{shard}: complete but not in the journal; {count(len(whole), 'item')} adopted"
        elif all(item in state.shards or item in inputs for item in held):
            shard.unlink()
            yield f"{shard}: complete but not in the journal; removed, its items will be redone"


def _are_reduced(inputs: Mapping[str, Sequence[InputPath]], sources: Mapping[str, Source]) -> bool:
    """Whether data of `sources` were made from the files that an item has today.

    They are read: a corrected file may have the same name and size.
    """
    return inputs.keys() == sources.keys() and all(
        source_of(files) == sources[name][:2] and _have_digests(files, sources[name])
        for name, files in inputs.items()
    )


def _have_digests(files: Sequence[InputPath], source: Source) -> bool:
    if not source.sha256:
        return True  # an earlier version kept none
    digests = [one.sha256 for one in source.files]
    try:
        return [sha256_of(Path(file.path)) for file in files] == digests
    except OSError:
        return False
