"""Check a run directory against its progress; this reads every data file and every figure.

On request, its input files are compared with those that its data were made from.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from spectro_mpi.draw.checksum import problem_of_checksum
from spectro_mpi.draw.names import KEYWORD, expected_figures, figure_files, find_figures
from spectro_mpi.errors import DamagedStateError, RunError, writing
from spectro_mpi.inert import inert
from spectro_mpi.model.items import item_order
from spectro_mpi.operations.inputs import changes, inputs_of
from spectro_mpi.planning.todo import digest
from spectro_mpi.rundir.claim import refuse_other_versions
from spectro_mpi.rundir.data_files import item_file_problems, list_item_files, orphans_of
from spectro_mpi.rundir.digests import DigestLog
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
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import SUFFIX, set_aside
from spectro_mpi.system.regular import opened_regular, read_regular
from spectro_mpi.system.untrusted import UntrustedCalls
from spectro_mpi.system.words import count

_READERS = min(8, os.cpu_count() or 1)
_TAIL_BYTES = 64
_STREAM = re.compile(rb">>\s*stream\r?\n")
_PIECE_BYTES = 1 << 20

Repair = Literal[
    "state", "extrema", "tallies", "data", "reduce", "item", "remove", "links", "orphan", ""
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


def verify(run_dir: Path, repair: bool, inputs: bool = False) -> int:
    """Print a line for each problem; with `repair`, mark affected items to be redone.

    With `inputs`, read the input files as well, and compare them with those that were reduced.

    Returns 0 if there is no problem, else 1. Raises `UserError` if `run_dir` is not a run
    directory, or one to be repaired that another version made; `RunError` if a run is in progress
    there or the repair cannot be written.
    """
    config = settings_of(run_dir)
    if repair:
        with UntrustedCalls() as untrusted:
            refuse_other_versions(run_dir, untrusted)
    if is_running(run_dir):
        raise RunError(
            f"{run_dir}: a run is writing here ({read_owner(run_dir)}); verify when it has ended"
        )
    problems = list(find_problems(run_dir, config))
    if inputs:
        problems += _problems_of_inputs(run_dir, config)
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


def find_problems(run_dir: Path, config: Config) -> Iterator[Problem]:
    """Find all problems; changes nothing."""
    damaged = list(damaged_state(run_dir))
    for damage in damaged:
        yield Problem(damage.path, damage.what, "state")
    yield from _half_written(run_dir)
    if any(damage.path.name == PROGRESS for damage in damaged):
        return  # without it nothing says which files should exist; the next run rebuilds it
    progress = load_progress(run_dir, config.run_id)
    store = list(_problems_of_store(run_dir, progress))
    yield from store
    yield from _problems_of_extrema(run_dir, config, progress)
    yield from _problems_of_tallies(run_dir)
    yield from _problems_of_results(run_dir, progress)
    reported = {item for problem in store for item in problem.items}
    yield from _problems_of_figures(run_dir, config, progress, reported)
    yield from _problems_of_files(run_dir, progress)


def problem_of_vector(path: Path) -> str:
    """Why a PDF or SVG file is not whole, or empty.

    Streams of a PDF file are decompressed, which checks their Adler-32 sums.
    """
    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    if path.suffix == ".svg":
        return problem_of_checksum(data)
    if not data[-_TAIL_BYTES:].rstrip().endswith(b"%%EOF"):
        return "is damaged (it is cut off)"
    at = 0
    while found := _STREAM.search(data, at):
        at = found.end()
        stream, rest = zlib.decompressobj(), data[at:]
        try:
            while rest and not stream.eof:
                stream.decompress(rest, _PIECE_BYTES)
                rest = stream.unconsumed_tail
        except zlib.error:
            return "is damaged (a part of it cannot be decompressed)"
        if not stream.eof:
            return "is damaged (a part of it is cut off)"
        at = len(data) - len(stream.unused_data)
    return ""


def problem_of_figure(path: Path, item: str) -> str:
    """What is wrong with a figure, or empty if all of the PNG can be read and is of the item."""
    from PIL import Image

    try:
        with opened_regular(path) as file, Image.open(file) as picture:
            picture.verify()  # checksum of every chunk
        with opened_regular(path) as file, Image.open(file) as picture:
            picture.load()
            if picture.format != "PNG":
                return f"is a {picture.format} file, not PNG"
            described = parsed_json(picture.info[KEYWORD])["item"]
    except FileNotFoundError:
        return "is missing"
    except KeyError as error:
        return f"has no text chunk with {error}"
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
        return f"cannot be read ({type(error).__name__}: {error})"
    return "" if described == item else f"is of item {described}"


def _half_written(run_dir: Path) -> Iterator[Problem]:
    for left in sorted(run_dir.rglob(f"*{SUFFIX}")):
        if left.is_dir():
            continue  # an item may be called so
        yield Problem(left, "is half-written", "remove")


def _problems_of_store(run_dir: Path, progress: Progress) -> Iterator[Problem]:
    listed = list_item_files(run_dir)
    for name, problem, items in item_file_problems(run_dir, progress, listed, everything=True):
        yield Problem(data_path(run_dir, name), problem, "data", items)
    with UntrustedCalls() as untrusted:
        for name, held in items_by_shard(progress).items():
            shard = run_dir / DATA / name
            problems = (shard_problem(untrusted, shard, [item]) for item in held)
            problem = next(filter(None, problems), "") if shard.exists() else "is missing"
            if problem:
                yield Problem(shard, problem, "data", tuple(held))
        for _, path in bad_links(run_dir, progress, untrusted):
            yield Problem(path, "does not link to the data of the items", "links")
    for orphan in orphans_of(run_dir, progress, listed):
        yield Problem(orphan, "is not recorded in progress.json", "orphan")
    for item in unheld(progress):
        yield Problem(
            run_dir / DATA,
            f"has no data of item {item}, which is recorded as complete",
            "reduce",
            (item,),
        )


def _problems_of_inputs(run_dir: Path, config: Config) -> Iterator[Problem]:
    """Compare the input files; prints first how much is to be read."""
    try:
        progress = load_progress(run_dir, config.run_id)
    except DamagedStateError:
        return  # nothing says which items are in the store; the damage is a problem by itself
    inputs = inputs_of(run_dir, config, progress)
    read = [each.size or 0 for each in inputs if each.is_digested]
    print(f"reading {count(len(read), 'input file')}, {sum(read) / 1e6:.0f} MB", flush=True)
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
    """Check the files of the whole run that belong to artifacts. The next run writes them again."""
    for artifact in filter(is_phase_name, progress.made_from):
        path = run_wide_path(run_dir, artifact)
        try:
            stamps = stamps_in(read_run_wide(path))
        except RunError:
            continue  # of extrema.json this is reported; others the next run recreates
        for name, stamp in stamps.items():
            problem = problem_of_result(run_dir, name, stamp)
            if problem:
                yield Problem(result_path(run_dir, name), problem, "remove")


def _problems_of_figures(
    run_dir: Path, config: Config, progress: Progress, reported: Container[str]
) -> Iterator[Problem]:
    """Check figures of items without a `reported` problem: bad data must not be opened again."""
    folders = item_folders(run_dir, "plot")
    settled = progress.settled["plot"]
    drawn = [item for item in progress.data_files if item in settled and item not in reported]

    def check(item: str) -> list[Problem]:
        folder = folders.get(item, run_dir / PLOTS)
        return list(_problems_of_item(run_dir, config, progress, item, folder))

    with ThreadPoolExecutor(_READERS) as pool:
        for problems in pool.map(check, sorted(drawn, key=item_order)):
            yield from problems


def _problems_of_item(
    run_dir: Path, config: Config, progress: Progress, item: str, folder: Path
) -> Iterator[Problem]:
    try:
        instruments = instruments_of(data_path(run_dir, progress.data_files[item]), item)
    except (OSError, RuntimeError, KeyError):
        return  # the file has become unreadable since it was checked
    failed = any(failure.phase == "plot" for failure in progress.failures.get(item, ()))
    figures = expected_figures(config, instruments)
    names_on_disk = figure_files(folder)
    on_disk = find_figures(item, figures, names_on_disk)
    for figure in figures:
        names = list(on_disk.get(figure.tail, {}).values())
        # An item that failed in this phase lacks some figures; those that exist are complete.
        if not names and not failed:
            yield Problem(folder / figure.name(item), "is missing", "item", (item,))
        for name in names:
            problem = problem_of_figure(folder / name, item)
            if not problem and name != names[0]:
                problem = f"is figure {names[0]} under another name"
            if problem:
                yield Problem(folder / name, problem, "item", (item,))
    drawn = [name for names in on_disk.values() for name in names.values()]
    for name, file_format in product(drawn, config.plot.formats):
        path = (folder / name).with_suffix(f".{file_format}")
        if file_format != "png":
            problem = "is missing" if path.name not in names_on_disk else problem_of_vector(path)
            if problem:
                yield Problem(path, problem, "item", (item,))


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
