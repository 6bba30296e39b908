"""The names of all files in a run directory, and functions that build their paths.

No other module contains these names. A new output is named here and, if a run writes it, listed in
`PRODUCED`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spectro_mpi.model.items import Item
from spectro_mpi.rundir.names import is_shard
from spectro_mpi.system.atomic import sweep

CONFIG = "config.toml"
PROGRESS = "progress.json"
JOURNAL = "progress.journal"
EXTREMA = "extrema.json"
TALLIES = "tallies.h5"
"""Merged contributions of finished items to the extrema, and to other artifacts of the run."""
DIGESTS = "figures.digests"
"""What each figure was drawn from."""
SOURCES = "sources.lines"
"""Which input files the reduced data of each item were made from."""
LEFT_OUT = "left-out.json"
"""Files of the input that the last execution does not use, and why."""
EVENTS = "events.csv"
"""A copy of the table of events that the last execution used."""
DATA = "data"
LINKS = "spectrograms.h5"
PLOTS = "plots"
FILES = "files"
"""Files that phases other than plot write."""
RESULTS = "results"
"""Files and figures of the whole run that phases give: `results/atlas.h5`, `results/atlas/*.png`.
"""
ATLAS = "atlas"
"""The phase, its artifact, and in `results/` the folder of its figures."""
ATLAS_FILE = f"{ATLAS}.h5"
SUPERPOSED_FILE = "superpose.h5"
"""In `results/`: the maps of the phase, and the superposed epochs."""
LOGS = "logs"
ASSETS = "assets"
"""Data that is prepared before the first item."""
INVENTORY = f"{ASSETS}/inventory.json"
FRAMES = f"{ASSETS}/frames"
MADE_WITH = "made-with.json"
"""In the assets folder of a phase: the settings that the assets were made with."""
REPORT = "report"
PAGE = f"{REPORT}/index.html"
PREVIEWS = f"{REPORT}/items"
"""Previews of items, in a folder per month like the figures."""
RUN_FIGURES = f"{REPORT}/part"
"""Figures of a part of the run, written by `report --between`."""
PACKS = "packs"
"""In the folder of a month: its previews in a few files."""
SHEET, SCRIPT = ".jpg", ".js"
"""Suffixes of the files of a preview: its thumbnails, its values."""
RESOURCES = "resources.h5"
RESOURCE_LINES = "resources"

EXPORT = "export"
"""Files of `export`, unless it is given a folder. They are the user's: `--fresh` keeps them."""

LOCK = "run.lock"
TAKEOVER = f"{LOCK}.takeover"
LIVE = "live.json"
STOP = "STOP"
JOBS = "jobs"
"""Job scripts and a record of what was submitted. `--fresh` keeps it: a job may be using it."""
JOB_RECORD = f"{JOBS}/jobs.json"
JOB_SETTINGS = f"{JOBS}/settings.toml"
JOB_NEXT = ".next"
"""Suffix of a file in `jobs/`, named for a job, with the id of the job that continues it."""
LOCAL_LOG = f"{LOGS}/local.log"
"""Output of an mpirun that `submit --local` started."""

_RANK = re.compile(r"\d{4,9}", re.ASCII)

PRODUCED = (
    PROGRESS,
    JOURNAL,
    EXTREMA,
    TALLIES,
    DIGESTS,
    SOURCES,
    DATA,
    LINKS,
    PLOTS,
    FILES,
    RESULTS,
    LOGS,
    ASSETS,
    REPORT,
    RESOURCES,
    RESOURCE_LINES,
    LEFT_OUT,
    EVENTS,
    CONFIG,
)
"""What a run writes into its directory and `--fresh` removes; the settings are removed last."""


def run_wide_path(run_dir: Path, artifact: str) -> Path:
    """The file of an artifact of the whole run, such as `extrema.json`."""
    return run_dir / f"{artifact}.json"


def result_path(run_dir: Path, name: str) -> Path:
    """A file that a phase gives of the whole run, such as `results/atlas.h5`."""
    return run_dir / RESULTS / name


def results_folder(run_dir: Path, phase: str) -> Path:
    """The folder of the figures that a phase draws of the whole run."""
    return run_dir / RESULTS / phase


def figures_of_run(run_dir: Path) -> list[Path]:
    """The PNG files of figures of the whole run, sorted by phase and name."""
    return sorted((run_dir / RESULTS).glob("*/*.png"))


def data_path(run_dir: Path, data_file: str) -> Path:
    """The path of a file of the store (`rundir.names.DataFile`)."""
    return run_dir / DATA / path_in_data(data_file)


def path_in_data(data_file: str) -> str:
    """The path of a file of the store, relative to data/."""
    return data_file if is_shard(data_file) else data_file.rpartition("#")[0]


def data_file_of(phase: str, item: Item, stamp: str) -> str:
    """The file of the store with the data that a phase gives of an item (`rundir.names.DataFile`).

    `stamp`: digest of its content.
    """
    folder = "" if phase == "reduce" else f"{phase}/"
    return f"{folder}{_month(item)}/{item.id}.h5#{stamp}"


def shard_path(run_dir: Path, number: int) -> Path:
    """The path of a shard of an earlier version, such as `data/shard-00003.h5` for number 3."""
    return run_dir / DATA / f"shard-{number:05d}.h5"


def next_shard_number(run_dir: Path) -> int:
    """One more than the highest number of any shard on disk, finished or not."""
    names = [path.name for path in (run_dir / DATA).glob("shard-[0-9]*.h5*")]
    numbers = [int(name.removeprefix("shard-").partition(".")[0]) for name in names]
    return max(numbers, default=-1) + 1


def shards_of(run_dir: Path) -> list[Path]:
    """The finished shards on disk, sorted by number."""
    paths = (run_dir / DATA).glob("shard-[0-9]*.h5")
    return sorted(paths, key=lambda path: (len(path.name), path.name))


def links_path(run_dir: Path, phase: str) -> Path:
    """The links file of a phase: `spectrograms.h5` for reduce, `data/PHASE.h5` for any other."""
    return run_dir / LINKS if phase == "reduce" else run_dir / DATA / f"{phase}.h5"


def files_root(run_dir: Path, phase: str) -> Path:
    """The folder of a phase's files: `plots` for plot, `files/PHASE` for any other."""
    return run_dir / PLOTS if phase == "plot" else run_dir / FILES / phase


def item_folder(run_dir: Path, phase: str, item: Item) -> Path:
    """`YYYY/MM/{item}` in `files_root`, by the item's start; if unknown, `undated/00/{item}`."""
    return files_root(run_dir, phase) / item_place(item)


def item_place(item: Item) -> str:
    """The folder of an item relative to `files_root`."""
    return f"{_month(item)}/{item.id}"


def _month(item: Item) -> str:
    """The folders of an item: "2000/01" by its start; if unknown, "undated/00"."""
    start = item.start
    return f"{start.year:04d}/{start.month:02d}" if start else "undated/00"


def item_folders(run_dir: Path, phase: str) -> dict[str, Path]:
    """Item → its folder, for items that have a folder on disk. Links are left out."""
    folders = [files_root(run_dir, phase)]
    for _ in ("year", "month", "item"):
        folders = [path for folder in folders for path in _folders_in(folder)]
    return {path.name: path for path in folders}


def _folders_in(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (Path(each.path) for each in entries if each.is_dir(follow_symlinks=False))
    except OSError:
        return


def figures_of(run_dir: Path, item_id: str) -> list[Path]:
    """The figures of an item that are on disk, sorted by name."""
    return sorted((run_dir / PLOTS).glob(f"*/*/{glob.escape(item_id)}/*.png"))


def without_folder(run_dir: Path, phase: str, items: Iterable[Item]) -> Iterator[Item]:
    """The items without a folder; lists each month's folder once."""
    return (item for item, has_folder in _look_for_folders(run_dir, phase, items) if not has_folder)


def sweep_files_of(run_dir: Path, phase: str, items: Iterable[Item]) -> None:
    """Remove half-written files of many items; looks only into folders that exist.

    Raises `OSError`.
    """
    for item, has_folder in _look_for_folders(run_dir, phase, items):
        if has_folder:
            sweep_files(run_dir, phase, item)


def _look_for_folders(
    run_dir: Path, phase: str, items: Iterable[Item]
) -> Iterator[tuple[Item, bool]]:
    """Each item, and whether it has a folder."""
    root = files_root(run_dir, phase)
    months: dict[str, set[str]] = {}
    for item in items:
        month = _month(item)
        if month not in months:
            try:
                months[month] = {*os.listdir(root / month)}  # noqa: PTH208 - only the names
            except FileNotFoundError:
                months[month] = set()
        yield item, item.id in months[month]


def sweep_files(run_dir: Path, phase: str, item: Item) -> list[Path]:
    """Remove half-written files of an item; returns their paths. Raises `OSError`."""
    return sweep(item_folder(run_dir, phase, item))


def month_of(folder: Path) -> str:
    """The month of an item's folder of figures, such as "2000/01"."""
    return f"{folder.parent.parent.name}/{folder.parent.name}"


def preview_path(run_dir: Path, month: str, item_id: str, suffix: str) -> Path:
    """A file of an item's preview; `month` is such as "2000/01"."""
    return run_dir / PREVIEWS / month / f"{item_id}{suffix}"


def asset_path(run_dir: Path, phase: str, name: str) -> Path:
    """An array that a phase prepares before its first item."""
    return run_dir / ASSETS / phase / f"{name}.npy"


def rank_log(run_dir: Path, rank: int) -> Path:
    """The path of a rank's log, such as `logs/rank-0003.log`."""
    return run_dir / LOGS / f"rank-{rank:04d}.log"


def rank_logs(run_dir: Path) -> list[Path]:
    """The logs of all ranks, sorted by rank."""
    return sorted((run_dir / LOGS).glob("rank-*.log"))


def job_logs(run_dir: Path) -> list[Path]:
    """Files with the output of jobs, and of an mpirun that `submit --local` started."""
    return [*sorted((run_dir / JOBS).glob("*.log")), run_dir / LOCAL_LOG]


def rank_lines(run_dir: Path, rank: int) -> Path:
    """The file with the samples of a rank in the current execution."""
    return run_dir / RESOURCE_LINES / f"rank-{rank:04d}.lines"


def all_rank_lines(run_dir: Path) -> dict[int, Path]:
    """Rank → its `rank_lines`, for files on disk."""
    paths = sorted((run_dir / RESOURCE_LINES).glob("rank-*.lines"))
    ranks = ((path.stem.removeprefix("rank-"), path) for path in paths)
    return {int(rank): path for rank, path in ranks if _RANK.fullmatch(rank)}
