"""Repair a run directory, before a run starts, after a killed run or a disk error.

Damaged files get a name that says so, and their items are redone. This checks the state, reads the
data files that have changed since the state was last folded, opens each shard of an earlier version
and removes half-written files; `verify` reads everything.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import EPHEMERIS, InputPath, Item, item_order, source_of
from spectro_mpi.rundir.data_files import (
    Listed,
    item_file_problems,
    list_item_files,
    orphans_of,
)
from spectro_mpi.rundir.journal import Journal, damaged_state
from spectro_mpi.rundir.layout import (
    ASSETS,
    DATA,
    EXTREMA,
    JOBS,
    REPORT,
    RESOURCE_LINES,
    RESULTS,
    data_path,
    links_path,
    path_in_data,
    run_wide_path,
    shards_of,
    sweep_files_of,
)
from spectro_mpi.rundir.names import is_data_file, is_phase_name, is_shard
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_extrema, read_run_wide
from spectro_mpi.rundir.sources import Source, Sources
from spectro_mpi.rundir.store import (
    ephemeris_in,
    links_are,
    phase_of,
    problem_of_shard,
    sources_of,
    stamp_of_file,
    write_links,
)
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import set_aside, sweep, sweep_all, write_atomic
from spectro_mpi.system.digests import sha256_of
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

_LISTED = 20
"""Damaged files of items that are each named in a sentence."""
_Inputs = Mapping[str, Mapping[str, Sequence[InputPath]]]
"""Item → instrument → its files; with them `EPHEMERIS` → those of its ephemeris."""


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
    for name in (ASSETS, RESULTS):
        sweep_all(run_dir / name)
    for phase in journal.state.phases:
        settled = journal.state.settled[phase]
        sweep_files_of(run_dir, phase, (item for item in items if item.id not in settled))
    listed = list_item_files(run_dir, sweeps=True)
    yield from _lose_damaged_data(run_dir, journal, listed, untrusted)
    inputs = {item.id: {**item.by_instrument, EPHEMERIS: item.ephemeris} for item in items}
    yield from _adopt_orphans(run_dir, journal, listed, inputs, untrusted)
    journal.close()
    yield from set_damaged_extrema_aside(run_dir)
    yield from _set_damaged_artifacts_aside(run_dir, journal.state)
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


def _set_damaged_artifacts_aside(run_dir: Path, state: Progress) -> Iterator[str]:
    """Set other artifacts of the run aside if they are damaged; the next run recreates them."""
    for path in (run_wide_path(run_dir, name) for name in filter(is_phase_name, state.made_from)):
        try:
            read_run_wide(path)
        except RunError:
            yield f"{path}: is damaged; set aside as {set_aside(path).name}, will be recreated"


def lose_data(journal: Journal, path: Path, problem: str, items: Sequence[str]) -> str:
    """Set a data file aside, if it exists, and mark its items to be redone; returns a sentence."""
    aside = f"set aside as {set_aside(path).name}, " if path.exists() else ""
    if items:
        journal.lose(items)
    return f"{path}: {problem}; {aside}{count(len(items), 'item')} will be redone"


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
    for phase, data_files in state.stores.items():
        path = links_path(run_dir, phase)
        if not data_files and not path.exists():
            continue
        try:
            good = untrusted(links_are, run_dir, data_files, phase)
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


def items_by_shard(state: Progress) -> dict[str, list[str]]:
    """Shard that the state refers to → its items, sorted; earlier versions wrote shards."""
    items_of: dict[str, list[str]] = {}
    for held in state.stores.values():
        for item, name in held.items():
            if is_shard(name):
                items_of.setdefault(name, []).append(item)
    return dict(sorted(items_of.items()))


def unheld(progress: Progress) -> list[str]:
    """Items recorded as complete that no shard holds, sorted."""
    complete = progress.complete("reduce") | progress.complete("plot")
    return sorted(complete - progress.data_files.keys(), key=item_order)


def _lose_damaged_data(
    run_dir: Path, journal: Journal, listed: Listed, untrusted: UntrustedCalls
) -> Iterator[str]:
    if items := unheld(journal.state):
        journal.lose(items)
        yield f"{run_dir / DATA}: has no data of item {', '.join(items)}; will be redone"
    on_disk = {path.name for path in shards_of(run_dir)}
    for name, items in items_by_shard(journal.state).items():
        shard = run_dir / DATA / name
        problem = shard_problem(untrusted, shard) if name in on_disk else "is missing"
        if problem:
            yield lose_data(journal, shard, problem, items)
    yield from _lose_item_files(run_dir, journal, listed)


def _lose_item_files(run_dir: Path, journal: Journal, listed: Listed) -> Iterator[str]:
    """Set aside files of items that are damaged, and have their items, and of lost ones, redone."""
    lost: list[str] = []
    problems = item_file_problems(run_dir, journal.state, listed, everything=False)
    for name, problem, items in problems:
        lost += items
        path = data_path(run_dir, name)
        aside = f"set aside as {set_aside(path).name}, " if path.exists() else ""
        listed.pop(path_in_data(name), None)
        if len(lost) <= _LISTED:
            yield f"{path}: {problem}; {aside}{count(len(items), 'item')} will be redone"
    if lost:
        journal.lose(lost)
    if len(lost) > _LISTED:
        more = count(len(lost) - _LISTED, "more item")
        yield f"{run_dir / DATA}: has no whole file of {more}; will be redone"


def _adopt_orphans(
    run_dir: Path,
    journal: Journal,
    listed: Listed,
    inputs: _Inputs,
    untrusted: UntrustedCalls,
) -> Iterator[str]:
    """Adopt the items of finished files that are not in the journal, or remove the files."""
    adopted: dict[str, str] = {}
    removed: list[str] = []
    for path in orphans_of(run_dir, journal.state, listed):
        if path.parent != run_dir / DATA:
            orphan = _Orphan(run_dir, path, inputs, untrusted)
            match orphan.judge(journal.state):
                case "adopt":
                    adopted[orphan.item] = orphan.data_file
                case "remove":
                    path.unlink(missing_ok=True)
                    removed.append(orphan.item)
                case "keep":
                    pass
                case problem:
                    aside = set_aside(path).name
                    yield f"{path}: cannot be read ({problem}); set aside as {aside}"
        else:
            yield from _adopt_shard(journal, path, inputs, untrusted)
    if adopted:
        journal.adopt(adopted)
        whole = count(len(adopted), "item")
        yield f"{run_dir / DATA}: complete but not in the journal: {whole} adopted"
    if removed:
        lost = count(len(removed), "item")
        yield f"{run_dir / DATA}: complete but not in the journal: files of {lost} removed"


def _adopt_shard(
    journal: Journal, shard: Path, inputs: _Inputs, untrusted: UntrustedCalls
) -> Iterator[str]:
    """As `_adopt_orphans`, for one shard of an earlier version."""
    state = journal.state
    try:
        phase = untrusted(phase_of, shard)
        if phase != "reduce":
            # Which items failed is unknown, and the input of the phase may have changed.
            shard.unlink()
            redone = f"its items will be redone in phase {phase}"
            yield f"{shard}: complete but not in the journal; removed, {redone}"
            return
        held = untrusted(sources_of, shard)
    except OSError as error:
        yield f"{shard}: cannot be read ({error}); set aside as {set_aside(shard).name}"
        return
    # An item without one of its instruments may have failed; nothing records whether it did.
    whole = [
        item
        for item, sources in held.items()
        if item not in state.settled["reduce"]
        and _are_reduced(inputs.get(item, {}), sources)
        and not shard_problem(untrusted, shard, [item])
    ]
    if whole:
        journal.adopt(dict.fromkeys(whole, shard.name))
        yield f"{shard}: complete but not in the journal; {count(len(whole), 'item')} adopted"
    elif all(item in state.data_files or item in inputs for item in held):
        shard.unlink()
        yield f"{shard}: complete but not in the journal; removed, its items will be redone"


class _Orphan:
    """A finished file of one item that the state does not refer to."""

    def __init__(
        self, run_dir: Path, path: Path, inputs: _Inputs, untrusted: UntrustedCalls
    ) -> None:
        self.item = path.stem
        self._run_dir, self._path = run_dir, path
        self._inputs, self._untrusted = inputs, untrusted

    @property
    def data_file(self) -> str:
        """Its name, with the stamp of its content. Raises `OSError` or `ValueError`."""
        name = self._path.relative_to(self._run_dir / DATA).as_posix()
        return f"{name}#{stamp_of_file(self._path)}"

    def judge(self, state: Progress) -> str:
        """What to do with it: "adopt", "remove" or "keep"; otherwise why it cannot be read."""
        if self.item in state.data_files:
            return "remove"  # its data is elsewhere, since its month has changed
        try:
            phase = self._untrusted(phase_of, self._path)
            sources = self._untrusted(sources_of, self._path) if phase == "reduce" else {}
            located = self._untrusted(ephemeris_in, self._path) if phase == "reduce" else {}
            problem = shard_problem(self._untrusted, self._path, [self.item])
            if problem or not is_data_file(self.data_file):
                return problem or "has no name of a data file"
        except (OSError, ValueError) as error:
            return str(error)
        if phase != "reduce":
            return "remove"  # which items failed is unknown, and its input may have changed
        # An item without one of its instruments may have failed; nothing records whether it did.
        if self.item not in state.settled["reduce"] and _are_reduced(
            self._inputs.get(self.item, {}),
            sources.get(self.item, {}),
            located.get(self.item, ()),
        ):
            return "adopt"
        return "remove" if self.item in self._inputs else "keep"


def _are_reduced(
    inputs: Mapping[str, Sequence[InputPath]], sources: Sources, located: Sequence[Source] = ()
) -> bool:
    """Whether data of `sources` were made from the files that an item has today.

    They are read: a corrected file may have the same name and size. `located`: ephemeris files that
    the data were made with, as far as the data say.
    """
    by_instrument = {name: files for name, files in inputs.items() if name != EPHEMERIS}
    return (
        by_instrument.keys() == sources.keys()
        and all(
            source_of(files) == sources[name][:2] and _have_digests(files, sources[name])
            for name, files in by_instrument.items()
        )
        and all(_is_there(one, inputs.get(EPHEMERIS, ())) for one in located)
    )


def _is_there(source: Source, files: Sequence[InputPath]) -> bool:
    """Whether one of the files, or of their versions, is the source."""
    versions = (version for file in files for version in (file, *file.older))
    named = [version for version in versions if Path(version.path).name == source.name]
    return any(_have_digests([version], source) for version in named)


def _have_digests(files: Sequence[InputPath], source: Source) -> bool:
    if not source.sha256:
        return True  # an earlier version kept none
    digests = [one.sha256 for one in source.files]
    try:
        return [sha256_of(Path(file.path)) for file in files] == digests
    except OSError:
        return False
