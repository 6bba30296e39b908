"""Every name in a run directory, and the paths made of them.

Nothing else knows them: who adds an output, names it here and, where a run makes it, in `PRODUCED`.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

from spectro_mpi.model.items import Item
from spectro_mpi.system.atomic import sweep

CONFIG = "config.toml"
PROGRESS = "progress.json"
JOURNAL = "progress.journal"
EXTREMA = "extrema.json"
DATA = "data"
LINKS = "spectrograms.h5"
PLOTS = "plots"
FILES = "files"
"""What phases other than plot write."""
LOGS = "logs"
ASSETS = "assets"
"""What is made ahead of the items."""
INVENTORY = f"{ASSETS}/inventory.json"
FRAMES = f"{ASSETS}/frames"
MADE_WITH = "made-with.json"
"""In a phase's folder of assets: the settings they were made with."""
REPORT = "report"
PAGE = f"{REPORT}/index.html"
PREVIEWS = f"{REPORT}/items"
"""Previews of items, by month as the figures are."""
RUN_FIGURES = f"{REPORT}/part"
"""Figures of a part of the run (`report --between`)."""
SHEET, SCRIPT = ".jpg", ".js"
"""Ends of the names of a preview's thumbnails and of its values."""
RESOURCES = "resources.h5"
RESOURCE_LINES = "resources"

LOCK = "run.lock"
TAKEOVER = f"{LOCK}.takeover"
LIVE = "live.json"
STOP = "STOP"
JOBS = "jobs"
"""Job scripts and what was submitted; `--fresh` leaves it, for a job may be running from it."""
JOB_RECORD = f"{JOBS}/jobs.json"
JOB_SETTINGS = f"{JOBS}/settings.toml"
LOCAL_LOG = f"{LOGS}/local.log"
"""Output of an mpirun that `submit --local` started."""

PRODUCED = (
    PROGRESS,
    JOURNAL,
    EXTREMA,
    DATA,
    LINKS,
    PLOTS,
    FILES,
    LOGS,
    ASSETS,
    REPORT,
    RESOURCES,
    RESOURCE_LINES,
    CONFIG,
)
"""What a run makes in its directory, and `--fresh` takes away; the settings last."""


def run_wide_path(run_dir: Path, artifact: str) -> Path:
    """The file of an artifact of the whole run, as `extrema.json`."""
    return run_dir / f"{artifact}.json"


def shard_path(run_dir: Path, number: int) -> Path:
    """`data/shard-00000.h5` and so on."""
    return run_dir / DATA / f"shard-{number:05d}.h5"


def next_shard_number(run_dir: Path) -> int:
    """One more than the highest number any shard, finished or not, has had."""
    names = [path.name for path in (run_dir / DATA).glob("shard-[0-9]*.h5*")]
    numbers = [int(name.removeprefix("shard-").partition(".")[0]) for name in names]
    return max(numbers, default=-1) + 1


def shards_of(run_dir: Path) -> list[Path]:
    """The finished shards on disk, by number."""
    paths = (run_dir / DATA).glob("shard-[0-9]*.h5")
    return sorted(paths, key=lambda path: (len(path.name), path.name))


def links_path(run_dir: Path, phase: str) -> Path:
    """`spectrograms.h5`, or `data/PHASE.h5` of a phase other than reduce."""
    return run_dir / LINKS if phase == "reduce" else run_dir / DATA / f"{phase}.h5"


def files_root(run_dir: Path, phase: str) -> Path:
    """`plots`, or `files/PHASE` of a phase other than plot."""
    return run_dir / PLOTS if phase == "plot" else run_dir / FILES / phase


def item_folder(run_dir: Path, phase: str, item: Item) -> Path:
    """`YYYY/MM/{item}` below that, by the start of the item's data; without one, `undated/00`."""
    year, month = (f"{item.start:%Y}", f"{item.start:%m}") if item.start else ("undated", "00")
    return files_root(run_dir, phase) / year / month / item.id


def item_folders(run_dir: Path, phase: str) -> dict[str, Path]:
    """Item → its folder, of those on disk."""
    return {path.name: path for path in files_root(run_dir, phase).glob("*/*/*")}


def figures_of(run_dir: Path, item_id: str) -> list[Path]:
    """The figures of an item that are on disk, sorted by name."""
    return sorted((run_dir / PLOTS).glob(f"*/*/{glob.escape(item_id)}/*.png"))


def without_folder(run_dir: Path, phase: str, items: Iterable[Item]) -> Iterator[Item]:
    """The items without a folder; lists each month's folder once."""
    months: dict[Path, set[str]] = {}
    for item in items:
        folder = item_folder(run_dir, phase, item)
        if folder.parent not in months:
            try:
                months[folder.parent] = {path.name for path in folder.parent.iterdir()}
            except FileNotFoundError:
                months[folder.parent] = set()
        if item.id not in months[folder.parent]:
            yield item


def sweep_files(run_dir: Path, phase: str, item: Item) -> list[Path]:
    """Remove half-written files of an item; returns what they were. Raises `OSError`."""
    return sweep(item_folder(run_dir, phase, item))


def month_of(folder: Path) -> str:
    """The month of an item's folder of figures, as in "2000/01"."""
    return f"{folder.parent.parent.name}/{folder.parent.name}"


def preview_path(run_dir: Path, month: str, item_id: str, suffix: str) -> Path:
    """A file of an item's preview; `month` as in "2000/01"."""
    return run_dir / PREVIEWS / month / f"{item_id}{suffix}"


def asset_path(run_dir: Path, phase: str, name: str) -> Path:
    """An array that a phase has made ahead of the items."""
    return run_dir / ASSETS / phase / f"{name}.npy"


def rank_log(run_dir: Path, rank: int) -> Path:
    """The log of a rank."""
    return run_dir / LOGS / f"rank-{rank:04d}.log"


def rank_logs(run_dir: Path) -> list[Path]:
    """The logs of all ranks, by rank."""
    return sorted((run_dir / LOGS).glob("rank-*.log"))


def job_logs(run_dir: Path) -> list[Path]:
    """What jobs, or an mpirun started here, have printed."""
    return [*sorted((run_dir / JOBS).glob("*.log")), run_dir / LOCAL_LOG]


def rank_lines(run_dir: Path, rank: int) -> Path:
    """The file of a rank's samples in an execution that has not ended."""
    return run_dir / RESOURCE_LINES / f"rank-{rank:04d}.lines"


def all_rank_lines(run_dir: Path) -> dict[int, Path]:
    """Rank → that file, of those on disk."""
    paths = sorted((run_dir / RESOURCE_LINES).glob("rank-*.lines"))
    return {int(path.stem.removeprefix("rank-")): path for path in paths}
