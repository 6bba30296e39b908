"""Hold what a run directory says against what is in it: every shard and every figure is read."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spectro_mpi.draw.names import KEYWORD, figure_names
from spectro_mpi.errors import DamagedStateError, RunError, writing
from spectro_mpi.model.items import item_order
from spectro_mpi.model.marks import Marks
from spectro_mpi.planning.events import marks_of
from spectro_mpi.planning.todo import digest
from spectro_mpi.rundir.journal import Journal, damaged_state, load_progress
from spectro_mpi.rundir.layout import DATA, EXTREMA, PLOTS, PROGRESS, files_root, item_folders
from spectro_mpi.rundir.lock import RunLock, is_running, read_owner
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_extrema, settings_of
from spectro_mpi.rundir.repair import (
    bad_links,
    lose_shard,
    orphans_of,
    repair_links,
    set_damaged_extrema_aside,
    set_damaged_state_aside,
    shard_problem,
    unheld,
)
from spectro_mpi.rundir.store import instruments_of
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import SUFFIX
from spectro_mpi.system.untrusted import UntrustedCalls
from spectro_mpi.system.words import count

_READERS = min(8, os.cpu_count() or 1)

Repair = Literal["state", "extrema", "shard", "reduce", "item", "remove", "links", "orphan"]
"""What `repair` does about a problem."""


@dataclass(frozen=True)
class Problem:
    """Something that is not as the progress says."""

    path: Path
    what: str
    repair: Repair
    items: tuple[str, ...] = ()
    """To be done again."""
    phase: str = "plot"
    """In which, where that is what repairs it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def verify(run_dir: Path, repair: bool) -> int:
    """Print what is wrong, a line each; with `repair` have it done again by the next run.

    Returns 0 if nothing is wrong, else 1. Raises `UserError` if `run_dir` is no run directory,
    `RunError` if a run is going on there or the repair cannot be written.
    """
    config = settings_of(run_dir)
    if is_running(run_dir):
        raise RunError(
            f"{run_dir}: a run is writing here ({read_owner(run_dir)}); verify it when it has ended"
        )
    problems = list(find_problems(run_dir, config))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{run_dir}: {_counted(run_dir, config)}; all as it should be")
        return 0
    again = sorted({item for one in problems for item in one.items}, key=item_order)
    if repair:
        lock = RunLock(run_dir)
        with writing(run_dir):
            lock.acquire()
            try:
                _repair(run_dir, config, problems)
            finally:
                lock.release()
        left = f", {count(len(again), 'item')} will be done again" if again else ""
        print(f"{len(problems)} problems repaired{left}: run again")
    else:
        print(f"{len(problems)} problems; --repair has what is concerned done again")
    return 1


def find_problems(run_dir: Path, config: Config) -> Iterator[Problem]:
    """Everything that is wrong; nothing is changed."""
    damaged = list(damaged_state(run_dir))
    for damage in damaged:
        yield Problem(damage.path, damage.what, "state")
    yield from _half_written(run_dir)
    if any(damage.path.name == PROGRESS for damage in damaged):
        return  # what should be there is known once the next run has rebuilt it
    progress = load_progress(run_dir, config.run_id)
    store = list(_problems_of_store(run_dir, progress))
    yield from store
    yield from _problems_of_extrema(run_dir, config, progress)
    told = {item for problem in store for item in problem.items}
    yield from _problems_of_figures(run_dir, config, progress, told)
    yield from _problems_of_files(run_dir, progress)


def problem_of_figure(path: Path, item: str) -> str:
    """What is wrong with a PNG; empty if all of it reads and its text chunk is of the item."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.verify()  # every chunk's checksum
        with Image.open(path) as picture:
            picture.load()
            if picture.format != "PNG":
                return f"is {picture.format} and not PNG"
            described = json.loads(picture.info[KEYWORD])["item"]
    except FileNotFoundError:
        return "is missing"
    except KeyError as error:
        return f"has no text chunk that tells of {error}"
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        EOFError,
        AttributeError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        return f"does not read ({type(error).__name__}: {error})"
    return "" if described == item else f"is of item {described}"


def _half_written(run_dir: Path) -> Iterator[Problem]:
    for left in sorted(run_dir.rglob(f"*{SUFFIX}")):
        yield Problem(left, "was left half-written", "remove")


def _problems_of_store(run_dir: Path, progress: Progress) -> Iterator[Problem]:
    items_of: dict[str, list[str]] = {}
    for held in progress.stores.values():
        for item, name in held.items():
            items_of.setdefault(name, []).append(item)
    with UntrustedCalls() as untrusted:
        for name, items in sorted(items_of.items()):
            shard = run_dir / DATA / name
            problems = (shard_problem(untrusted, shard, [item]) for item in items)
            problem = next(filter(None, problems), "") if shard.exists() else "is missing"
            if problem:
                yield Problem(shard, problem, "shard", tuple(items))
        for _, path in bad_links(run_dir, progress, untrusted):
            yield Problem(path, "does not lead to what is in the shards", "links")
    for orphan in orphans_of(run_dir, progress):
        yield Problem(orphan, "is not named in the progress", "orphan")
    for item in unheld(progress):
        yield Problem(run_dir / DATA, f"holds no item {item}, which is complete", "reduce", (item,))


def _problems_of_extrema(run_dir: Path, config: Config, progress: Progress) -> Iterator[Problem]:
    path = run_dir / EXTREMA
    if not progress.made_from.get("extrema"):
        return  # it is made when all items are reduced
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
        yield Problem(path, "is not what the figures were drawn with", "extrema")


def _problems_of_figures(
    run_dir: Path, config: Config, progress: Progress, told: Container[str]
) -> Iterator[Problem]:
    """Of items whose shard was not told of already: that one may not be opened again."""
    marks = marks_of(config)
    folders = item_folders(run_dir, "plot")
    drawn = [i for i in progress.shards if i in progress.settled["plot"] and i not in told]

    def check(item: str) -> list[Problem]:
        folder = folders.get(item, run_dir / PLOTS)
        return list(_problems_of_item(run_dir, config, progress, marks, item, folder))

    with ThreadPoolExecutor(_READERS) as pool:
        for problems in pool.map(check, sorted(drawn, key=item_order)):
            yield from problems


def _problems_of_item(
    run_dir: Path, config: Config, progress: Progress, marks: Marks, item: str, folder: Path
) -> Iterator[Problem]:
    try:
        instruments = instruments_of(run_dir / DATA / progress.shards[item], item)
    except (OSError, RuntimeError, KeyError):
        return  # has become unreadable since
    failed = any(one.phase == "plot" for one in progress.failures.get(item, ()))
    for name in figure_names(config, item, instruments, item in marks):
        problem = problem_of_figure(folder / name, item)
        # Of an item that failed in this phase, what is there is whole, and some is not there.
        if problem and not (failed and problem == "is missing"):
            yield Problem(folder / name, problem, "item", (item,))


def _problems_of_files(run_dir: Path, progress: Progress) -> Iterator[Problem]:
    """Of phases other than plot, whose figures are known by name: files of nothing."""
    for phase in progress.phases:
        root = files_root(run_dir, phase)
        if phase == "plot" or not root.is_dir():
            continue
        for path in sorted(root.glob("*/*/*/*")):
            if not path.stat().st_size and not path.name.endswith(SUFFIX):
                yield Problem(path, "is empty", "item", (path.parent.name,), phase)
        there = {item for item, path in item_folders(run_dir, phase).items() if any(path.iterdir())}
        for item in progress.completed(phase):
            # Some phases write no files of some items: those of all gone are missed.
            if item not in there and not progress.stores[phase].get(item):
                yield Problem(root, f"has no files of item {item}", "item", (item,), phase)


def _repair(run_dir: Path, config: Config, problems: Iterable[Problem]) -> None:
    """Set aside what does not read and have its items done again. The lock is held."""
    list(set_damaged_state_aside(run_dir))
    keeper = Journal(run_dir, config.run_id, config.plot.scales)
    for problem in problems:
        match problem.repair:
            case "extrema":
                list(set_damaged_extrema_aside(run_dir))
                keeper.note_made_from("extrema", "")
            case "shard":
                lose_shard(keeper, problem.path, problem.what)
            case "reduce":
                keeper.lose(problem.items)
            case "item":
                keeper.forget(problem.items, (problem.phase,))
                if problem.path.is_file():
                    problem.path.unlink()
            case "remove":
                problem.path.unlink(missing_ok=True)
            case _:
                pass  # set aside above; or taken in or removed when the next run starts
    with UntrustedCalls() as untrusted:
        repair_links(run_dir, keeper.state, untrusted)
    keeper.close()


def _counted(run_dir: Path, config: Config) -> str:
    progress = load_progress(run_dir, config.run_id)
    failed = f", {len(progress.failures)} with recorded failures" if progress.failures else ""
    done = len(progress.completed("plot"))
    return f"{done} of {progress.items_total} items done{failed}"
