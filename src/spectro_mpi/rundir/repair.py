"""Put right, before a run starts, what a killed run or a torn disk left in its directory.

What does not read is set aside under a name that says so, and what it held is done again. This
looks at the state, at each shard's head and at what is half-written; `verify` reads everything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import Item, item_order
from spectro_mpi.rundir.journal import Journal, damaged_state
from spectro_mpi.rundir.layout import DATA, EXTREMA, links_path, shards_of, sweep_files
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_extrema
from spectro_mpi.rundir.store import links_are, phase_of, problem_of_shard, sources_of, write_links
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import set_aside, sweep
from spectro_mpi.system.untrusted import UntrustedCalls
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

Sources = Mapping[str, Mapping[str, tuple[str, int]]]
"""Item → instrument → (name, bytes) of its file."""


def repair(config: Config, items: Sequence[Item]) -> list[str]:
    """Make the run directory whole; what was done, a sentence each. Its lock is held.

    Raises `OSError` where it cannot be written.
    """
    told = []
    for sentence in _repair(config, items):
        log.warning(sentence)
        told.append(sentence)
    return told


def _repair(config: Config, items: Sequence[Item]) -> Iterator[str]:
    run_dir = config.run_dir
    yield from set_damaged_state_aside(run_dir)
    keeper = Journal(run_dir, config.run_id, config.plot.scales)
    for folder in (run_dir, run_dir / DATA):
        sweep(folder)
    for item in items:
        for phase in keeper.state.phases:
            if item.id not in keeper.state.settled[phase]:
                sweep_files(run_dir, phase, item)
    with UntrustedCalls() as untrusted:
        yield from _lose_damaged_shards(run_dir, keeper, untrusted)
        yield from _take_in_orphans(run_dir, keeper, _sources(items), untrusted)
        keeper.close()
        yield from set_damaged_extrema_aside(run_dir)
        repair_links(run_dir, keeper.state, untrusted)


def set_damaged_state_aside(run_dir: Path) -> Iterator[str]:
    """Set aside progress.json or a journal that does not read; a journal keeps its good lines."""
    for damage in list(damaged_state(run_dir)):
        lines = damage.path.read_bytes().split(b"\n")
        aside = set_aside(damage.path)
        if damage.good_lines:
            # What the others said is found in the store, or done again.
            damage.path.write_bytes(b"\n".join([*lines[: damage.good_lines], b""]))
        yield f"{damage.path}: {damage.what}; set aside as {aside.name}, rebuilt from the store"


def set_damaged_extrema_aside(run_dir: Path) -> Iterator[str]:
    """Set aside extrema.json if it does not read; the next run makes it again."""
    try:
        read_extrema(run_dir)
    except RunError:
        aside = set_aside(run_dir / EXTREMA)
        yield f"{run_dir / EXTREMA}: does not read; set aside as {aside.name}, made again"


def lose_shard(keeper: Journal, shard: Path, problem: str) -> str:
    """Set a shard aside, if it is there, and have its items done again; the sentence for it."""
    items = [
        item
        for held in keeper.state.stores.values()
        for item, name in held.items()
        if name == shard.name
    ]
    aside = f"set aside as {set_aside(shard).name}, " if shard.exists() else ""
    if items:
        keeper.lose(items)
    return f"{shard}: {problem}; {aside}{count(len(items), 'item')} will be done again"


def repair_links(run_dir: Path, state: Progress, untrusted: UntrustedCalls) -> None:
    """Make spectrograms.h5 and its like again where they are not as the progress says."""
    for phase, path in bad_links(run_dir, state, untrusted):
        if state.stores[phase]:
            write_links(run_dir, state.stores[phase], phase)
        else:
            path.unlink()


def bad_links(
    run_dir: Path, state: Progress, untrusted: UntrustedCalls
) -> Iterator[tuple[str, Path]]:
    """Phases whose file of links is not as the progress says, and the file."""
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
    """`problem_of_shard`, also where HDF5 does not come back from it."""
    try:
        return untrusted(problem_of_shard, shard, items)
    except ChildProcessError as error:
        return f"does not read ({error})"


def named_shards(state: Progress) -> set[str]:
    """Names of the shards that hold anything."""
    return {name for held in state.stores.values() for name in held.values()}


def orphans_of(run_dir: Path, state: Progress) -> list[Path]:
    """Finished shards that the progress does not name, the latest first."""
    named = named_shards(state)
    return [path for path in reversed(shards_of(run_dir)) if path.name not in named]


def unheld(progress: Progress) -> list[str]:
    """Items that are called complete and that no shard holds."""
    complete = {*progress.completed("reduce"), *progress.completed("plot")}
    return sorted(complete - progress.shards.keys(), key=item_order)


def _lose_damaged_shards(
    run_dir: Path, keeper: Journal, untrusted: UntrustedCalls
) -> Iterator[str]:
    if items := unheld(keeper.state):
        keeper.lose(items)
        yield f"{run_dir / DATA}: holds no item {', '.join(items)}: done again"
    found = {path.name for path in shards_of(run_dir)}
    for name in sorted(named_shards(keeper.state)):
        shard = run_dir / DATA / name
        problem = shard_problem(untrusted, shard) if name in found else "is missing"
        if problem:
            yield lose_shard(keeper, shard, problem)


def _take_in_orphans(
    run_dir: Path, keeper: Journal, expected: Sources, untrusted: UntrustedCalls
) -> Iterator[str]:
    """Adopt what shards hold that were finished when the journal was not; remove the others."""
    state = keeper.state
    for shard in orphans_of(run_dir, state):
        try:
            phase = untrusted(phase_of, shard)
            if phase != "reduce":
                # What of its items failed is lost, and what the phase needs may have changed.
                shard.unlink()
                again = f"its items in {phase} will be done again"
                yield f"{shard}: finished but not in the journal; {again}"
                continue
            held = untrusted(sources_of, shard)
        except OSError as error:
            yield f"{shard}: does not read ({error}); set aside as {set_aside(shard).name}"
            continue
        # An item of which an instrument is missing may have failed: whether it did is lost.
        whole = [
            item
            for item, sources in held.items()
            if item not in state.settled["reduce"]
            and sources == expected.get(item)
            and not shard_problem(untrusted, shard, [item])
        ]
        if whole:
            keeper.adopt(shard.name, whole)
            yield f"{shard}: finished but not in the journal; its {len(whole)} items are taken in"
        elif all(item in state.shards or item in expected for item in held):
            shard.unlink()
            yield f"{shard}: finished but not in the journal; removed, its items will be done again"


def _sources(items: Sequence[Item]) -> Sources:
    return {
        item.id: {file.instrument: (Path(file.path).name, file.size) for file in item.files}
        for item in items
    }
