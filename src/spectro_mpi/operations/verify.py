"""Check a run directory against its progress; this reads every data file and every figure.

On request, its input files are compared with those that its data were made from. The items are
dealt out to the ranks of a team, if several are there; the first one reports.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

from spectro_mpi.draw.names import expected_figures, figure_files, find_figures
from spectro_mpi.errors import DamagedStateError, RunError, writing
from spectro_mpi.inert import inert
from spectro_mpi.model.items import item_order
from spectro_mpi.operations.figure_files import problem_of_figure, problem_of_vector
from spectro_mpi.operations.inputs import changes, inputs_of
from spectro_mpi.operations.team import ALONE, Team, on_first
from spectro_mpi.planning.todo import digest, digest_in
from spectro_mpi.rundir.claim import refuse_other_versions
from spectro_mpi.rundir.data_files import (
    Listed,
    item_file_problems,
    list_item_files,
    orphans_of,
)
from spectro_mpi.rundir.digests import DigestLog, KnownDigests, load_digests
from spectro_mpi.rundir.journal import Journal, damaged_state, load_progress
from spectro_mpi.rundir.layout import (
    DATA,
    EXTREMA,
    PLOTS,
    PROGRESS,
    TALLIES,
    data_path,
    files_root,
    item_folders,
    month_of,
    result_path,
    run_wide_path,
)
from spectro_mpi.rundir.lock import RunLock, is_running, read_owner
from spectro_mpi.rundir.names import is_phase_name
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_extrema, read_run_wide, settings_of
from spectro_mpi.rundir.repair import (
    bad_links,
    items_by_shard,
    lose_data,
    repair_links,
    set_damaged_extrema_aside,
    set_damaged_state_aside,
    shard_problem,
    unheld,
)
from spectro_mpi.rundir.results import problem_of_result, stamps_in
from spectro_mpi.rundir.store import instruments_of
from spectro_mpi.rundir.tallies import read_tallies
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import SUFFIX, set_aside
from spectro_mpi.system.untrusted import UntrustedCalls
from spectro_mpi.system.words import count

_READERS = min(8, os.cpu_count() or 1)
_READERS_OF_RANK = 2
"""Items that a rank checks at the same time, where there are several: one is read meanwhile."""

Repair = Literal[
    "state",
    "extrema",
    "artifact",
    "tallies",
    "data",
    "reduce",
    "item",
    "remove",
    "links",
    "orphan",
    "",
]
"""How `verify --repair` repairs a problem; empty: it does not."""


@dataclass(frozen=True)
class Problem:
    """A file that is damaged, missing, or does not agree with the progress."""

    path: Path
    what: str
    """What is wrong, to follow the path in a sentence."""
    repair: Repair
    items: tuple[str, ...] = ()
    """Items to be redone."""
    phase: str = "plot"
    """Phase in which they are redone, if `repair` is "item"."""

    def __str__(self) -> str:
        return inert(f"{self.path}: {self.what}")


@dataclass(frozen=True)
class Thoroughness:
    """How much is read to find problems."""

    inputs: bool = False
    """Also the input files, to compare them with those that were reduced."""
    quick: bool = False
    """Of figures everything but the pixels."""


def verify(
    run_dir: Path, repair: bool, how: Thoroughness = Thoroughness(), team: Team = ALONE
) -> int:
    """Print a line for each problem; with `repair`, mark affected items to be redone.

    Returns 0 if there is no problem, else 1. Raises `UserError` if `run_dir` is not a run
    directory, or one to be repaired that another version made; `RunError` if a run is in progress
    there or the repair cannot be written. Every rank of the team calls this.
    """
    config = on_first(team, lambda: _checkable(run_dir, repair))
    problems = find_problems(run_dir, config, how, team)
    return on_first(team, lambda: _conclude(run_dir, config, problems, repair))


def _checkable(run_dir: Path, repair: bool) -> Config:
    """The settings of a run directory that may be checked, and repaired; raises as `verify`."""
    config = settings_of(run_dir)
    if repair:
        with UntrustedCalls() as untrusted:
            refuse_other_versions(run_dir, untrusted)
    if is_running(run_dir):
        raise RunError(
            f"{run_dir}: a run is writing here ({read_owner(run_dir)}); verify when it has ended"
        )
    return config


def _conclude(run_dir: Path, config: Config, problems: Sequence[Problem], repair: bool) -> int:
    """Print the problems, and repair them on request; returns the exit code."""
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{run_dir}: {_counted(run_dir, config)}; no problems found")
        return 0
    again = sorted({item for problem in problems for item in problem.items}, key=item_order)
    lasting = [problem for problem in problems if not problem.repair]
    if repair and len(lasting) < len(problems):
        lock = RunLock(run_dir)
        with writing(run_dir):
            lock.acquire()
            try:
                _repair(run_dir, config, problems)
            finally:
                lock.release()
        redone = f" to redo {count(len(again), 'item')}" if again else ""
        print(f"{count(len(problems) - len(lasting), 'problem')} repaired; run again{redone}")
    elif len(lasting) == len(problems):
        print(f"{count(len(problems), 'problem')}; the results in {run_dir} are kept")
    else:
        print(
            f"{count(len(problems), 'problem')}; run verify --repair to mark affected items to be "
            "redone by the next run"
        )
    return 1


def find_problems(
    run_dir: Path, config: Config, how: Thoroughness = Thoroughness(), team: Team = ALONE
) -> list[Problem]:
    """Find all problems; changes nothing. Of a team, the first rank returns them."""
    state = on_first(team, lambda: _state_of(run_dir, config))
    if state.progress is None:
        return state.problems if team.rank == 0 else []
    progress = state.progress
    items = sorted({item for held in progress.stores.values() for item in held}, key=item_order)
    share = items[team.rank :: team.size]
    data = team.gather(_problems_of_data(run_dir, progress, state.listed, share))
    store = on_first(team, lambda: _problems_of_store(run_dir, progress, state.listed, data))
    reported = {item for problem in store for item in problem.items}
    check = _FigureCheck(run_dir, config, state, how.quick)
    drawn = [item for item in share if item in state.folders and item not in reported]
    readers = _READERS if team.size == 1 else _READERS_OF_RANK
    with ThreadPoolExecutor(readers) as pool:
        figures = team.gather([each for found in pool.map(check, drawn) for each in found])
    if team.rank:
        return []
    return [
        *state.problems,
        *store,
        *_problems_of_extrema(run_dir, config, progress),
        *_problems_of_tallies(run_dir),
        *_problems_of_results(run_dir, progress),
        *_in_order(figures),
        *_problems_of_files(run_dir, progress),
        *(_problems_of_inputs(run_dir, config) if how.inputs else ()),
    ]


def _in_order(parts: Iterable[Iterable[Problem]]) -> list[Problem]:
    """What all ranks have found, in the order of the items, whoever has found it."""
    found = (problem for part in parts for problem in part)
    return sorted(found, key=lambda problem: item_order(problem.items[0]))


@dataclass(frozen=True)
class _State:
    """What the state of a run says, and which files there are: looked up once for all ranks."""

    problems: list[Problem]
    """What is wrong with the state itself, and what was left half-written."""
    progress: Progress | None = None
    """None: it is damaged, so nothing says which files should exist; the next run rebuilds it."""
    listed: Listed = field(default_factory=dict)
    """The files of items."""
    folders: dict[str, str] = field(default_factory=dict)
    """Drawn item → its folder of figures, relative to plots/; empty: it has none."""
    instruments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Item → the instruments that it has data of, where this is on record."""


def _state_of(run_dir: Path, config: Config) -> _State:
    damaged = list(damaged_state(run_dir))
    problems = [Problem(damage.path, damage.what, "state") for damage in damaged]
    problems += _half_written(run_dir)
    if any(damage.path.name == PROGRESS for damage in damaged):
        return _State(problems)
    progress = load_progress(run_dir, config.run_id)
    found = item_folders(run_dir, "plot")
    known = KnownDigests()
    with contextlib.suppress(OSError):
        known = load_digests(run_dir)
    held = progress.data_files.items()
    digests = {item: known.data_of(item, data_file) for item, data_file in held}
    return _State(
        problems,
        progress,
        list_item_files(run_dir),
        {
            item: f"{month_of(found[item])}/{item}" if item in found else ""
            for item in progress.data_files.keys() & progress.settled["plot"]
        },
        {item: tuple(sorted(each)) for item, each in digests.items() if each},
    )


def _half_written(run_dir: Path) -> Iterator[Problem]:
    for left in sorted(run_dir.rglob(f"*{SUFFIX}")):
        if left.is_dir():
            continue  # an item may be called so
        yield Problem(left, "is half-written", "remove")


def _problems_of_data(
    run_dir: Path, progress: Progress, listed: Listed, items: Iterable[str]
) -> list[Problem]:
    """Read the data files of `items`, and compare them with the digests on record."""
    found = item_file_problems(run_dir, progress, listed, everything=True, only=set(items))
    return [Problem(data_path(run_dir, name), what, "data", of) for name, what, of in found]


def _problems_of_store(
    run_dir: Path, progress: Progress, listed: Listed, data: Iterable[Iterable[Problem]]
) -> list[Problem]:
    """Add what is wrong with the store as a whole to what is wrong with the `data` of items."""
    problems = _in_order(data)
    with UntrustedCalls() as untrusted:
        for name, held in items_by_shard(progress).items():
            shard = run_dir / DATA / name
            found = (shard_problem(untrusted, shard, [item]) for item in held)
            problem = next(filter(None, found), "") if shard.exists() else "is missing"
            if problem:
                problems.append(Problem(shard, problem, "data", tuple(held)))
        for _, path in bad_links(run_dir, progress, untrusted):
            problems.append(Problem(path, "does not link to the data of the items", "links"))
    for orphan in orphans_of(run_dir, progress, listed):
        problems.append(Problem(orphan, "is not recorded in progress.json", "orphan"))
    for item in unheld(progress):
        what = f"has no data of item {item}, which is recorded as complete"
        problems.append(Problem(run_dir / DATA, what, "reduce", (item,)))
    return problems


def _problems_of_inputs(run_dir: Path, config: Config) -> Iterator[Problem]:
    """Compare the input files; prints first how much is to be read."""
    try:
        progress = load_progress(run_dir, config.run_id)
    except DamagedStateError:
        return  # nothing says which items are in the store; the damage is a problem by itself
    inputs = inputs_of(run_dir, config, progress)
    read = {each.path: each.size or 0 for each in inputs if each.is_digested}
    print(
        f"reading {count(len(read), 'input file')}, {sum(read.values()) / 1e6:.0f} MB", flush=True
    )
    unknown = sum(not each.reduced.sha256 for each in inputs)
    if unknown:
        files = count(unknown, "input file")
        print(f"{files} compared by name and size only: an earlier version kept no digest")
    for each, change in changes(inputs):
        if each.is_usable:
            yield Problem(each.path, change, "reduce", (each.item,))
        else:  # what was made from it is kept
            yield Problem(each.path, change, "")


def _problems_of_extrema(run_dir: Path, config: Config, progress: Progress) -> Iterator[Problem]:
    path = run_dir / EXTREMA
    if not progress.made_from.get("extrema"):
        return  # it is written when all items are reduced
    try:
        extrema = read_extrema(run_dir)
    except DamagedStateError as error:
        yield Problem(path, f"is damaged ({error.why})", "extrema")
        return
    if not path.exists():
        yield Problem(path, "is missing", "extrema")
    elif (
        progress.settled["plot"]
        and "given_extrema" in config.plot.limits
        and progress.made_from.get("plot") != digest(extrema)
    ):
        yield Problem(path, "differs from the extrema that the figures were drawn with", "extrema")


def _problems_of_tallies(run_dir: Path) -> Iterator[Problem]:
    """Check tallies.h5. What it lacks, or holds of items made again since, is no problem."""
    if (run_dir / TALLIES).exists():
        with UntrustedCalls() as untrusted:
            try:
                untrusted(read_tallies, run_dir)
            except OSError as error:
                yield Problem(run_dir / TALLIES, f"is damaged ({error})", "tallies")


def _problems_of_results(run_dir: Path, progress: Progress) -> Iterator[Problem]:
    """Check the artifacts of the run and their files. The next run writes them again."""
    for artifact, basis in progress.made_from.items():
        if not is_phase_name(artifact) or not digest_in(basis):
            continue
        path = run_wide_path(run_dir, artifact)
        if path == run_dir / EXTREMA:
            continue
        try:
            content = read_run_wide(path)
        except DamagedStateError as error:
            yield Problem(path, f"is damaged ({error.why})", "artifact")
            continue
        if digest(content) != digest_in(basis):
            what = "differs from what is recorded" if path.exists() else "is missing"
            yield Problem(path, what, "artifact")
            continue
        for name, stamp in stamps_in(content).items():
            problem = problem_of_result(run_dir, name, stamp)
            if problem:
                yield Problem(result_path(run_dir, name), problem, "remove")


class _FigureCheck:
    """Checks the figures of one item after the other."""

    def __init__(self, run_dir: Path, config: Config, state: _State, quick: bool) -> None:
        assert state.progress is not None
        self._run_dir = run_dir
        self._config = config
        self._progress = state.progress
        self._state = state
        self._quick = quick

    def __call__(self, item: str) -> list[Problem]:
        """What is wrong with the figures of an item whose data has no problem.

        Bad data must not be opened again.
        """
        try:
            instruments = self._instruments_of(item)
        except (OSError, RuntimeError, KeyError):
            return []  # the file has become unreadable since it was checked
        folder = self._run_dir / PLOTS / self._state.folders[item]
        failed = any(failure.phase == "plot" for failure in self._progress.failures.get(item, ()))
        figures = expected_figures(self._config, instruments)
        names_on_disk = figure_files(folder)
        on_disk = find_figures(item, figures, names_on_disk)
        problems: list[tuple[Path, str]] = []
        for figure in figures:
            names = list(on_disk.get(figure.tail, {}).values())
            # An item that failed in this phase lacks some figures; those that exist are complete.
            if not names and not failed:
                problems.append((folder / figure.name(item), "is missing"))
            for name in names:
                problem = problem_of_figure(folder / name, item, figure, self._quick)
                if not problem and name != names[0]:
                    problem = f"is figure {names[0]} under another name"
                problems.append((folder / name, problem))
        drawn = [name for names in on_disk.values() for name in names.values()]
        for name, file_format in product(drawn, self._config.plot.formats):
            path = (folder / name).with_suffix(f".{file_format}")
            if file_format != "png":
                is_there = path.name in names_on_disk
                problems.append((path, problem_of_vector(path) if is_there else "is missing"))
        return [Problem(path, what, "item", (item,)) for path, what in problems if what]

    def _instruments_of(self, item: str) -> Sequence[str]:
        """The instruments that an item has data of; its file is opened if that is not on record."""
        known = self._state.instruments.get(item)
        data_file = self._progress.data_files[item]
        return known or instruments_of(data_path(self._run_dir, data_file), item)


def _problems_of_files(run_dir: Path, progress: Progress) -> Iterator[Problem]:
    """Find empty and missing files of phases other than plot, whose file names are not known."""
    for phase in progress.phases:
        root = files_root(run_dir, phase)
        if phase == "plot" or not root.is_dir():
            continue
        with_files = set()
        for item, folder in sorted(item_folders(run_dir, phase).items()):
            for path in sorted(folder.iterdir()):
                with_files.add(item)
                if not path.lstat().st_size and not path.name.endswith(SUFFIX):
                    yield Problem(path, "is empty", "item", (item,), phase)
        for item in progress.completed(phase):
            # A phase may write no files of an item: only a loss of all its files is noticed.
            if item not in with_files and not progress.stores[phase].get(item):
                yield Problem(root, f"has no files of item {item}", "item", (item,), phase)


def _repair(run_dir: Path, config: Config, problems: Iterable[Problem]) -> None:
    """Set damaged files aside and mark their items to be redone. The caller holds the lock."""
    list(set_damaged_state_aside(run_dir))
    journal = Journal(run_dir, config.run_id, config.plot.scales)
    digests = DigestLog(run_dir)
    for problem in problems:
        match problem.repair:
            case "extrema":
                list(set_damaged_extrema_aside(run_dir))
                journal.note_made_from("extrema", "")
            case "artifact":
                journal.note_made_from(problem.path.stem, "")
                problem.path.unlink(missing_ok=True)
            case "tallies":
                set_aside(problem.path)
            case "data":
                lose_data(journal, problem.path, problem.what, problem.items)
            case "reduce":
                journal.lose(problem.items)
            case "item":
                journal.forget(problem.items, (problem.phase,))
                digests.drop_items(problem.items)  # whichever of two files of a figure is right
                if problem.path.is_file():
                    problem.path.unlink()
            case "remove":
                problem.path.unlink(missing_ok=True)
            case _:
                pass  # "state" is repaired above, "links" below, "orphan" by the next run
    with UntrustedCalls() as untrusted:
        repair_links(run_dir, journal.state, untrusted)
    journal.close()
    digests.close()


def _counted(run_dir: Path, config: Config) -> str:
    progress = load_progress(run_dir, config.run_id)
    failed = f", {len(progress.failures)} with recorded failures" if progress.failures else ""
    done = len(progress.completed("plot"))
    return f"{done} of {progress.items_total} items done{failed}"
