"""Names in a run directory, checked when they are read: it may come from somebody else.

A name becomes a part of a path or of a group. One that this program would not have written could
lead out of the directory, whose files are then read, renamed or deleted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from annotated_types import Interval, Predicate

from spectro_mpi.inert import is_inert

_MOST_BYTES = 255
_SHARD = re.compile(r"shard-\d{5,9}\.h5", re.ASCII)
_MONTH = re.compile(r"(\d{4}/\d{2})|(undated/00)", re.ASCII)
_USUAL = re.compile(r"\d{4}/\d{2}/[0-9A-Za-z]{1,200}\.h5#[0-9a-f]{16}", re.ASCII)
"""The data file of most items; what else is one follows from the parts of its name."""
_STAMP = re.compile(r"[0-9a-f]{16}", re.ASCII)
_JOB = re.compile(r"([^\W_][\w.:+\[\]-]*)?", re.ASCII)
_PHASE = re.compile(r"\w[\w-]*", re.ASCII)


def is_item_id(name: str) -> bool:
    """Whether a name can be that of an item: a folder and a group are called so."""
    if name.isalnum() and name.isascii() and len(name) <= _MOST_BYTES:
        return True  # as nearly all are; a state has hundreds of thousands
    return (
        0 < len(name.encode("utf-8", "replace")) <= _MOST_BYTES
        and name not in (".", "..")
        and "/" not in name
        and is_inert(name)
    )


def is_data_file(name: str) -> bool:
    """Whether a name is that of a file of the store (`DataFile`)."""
    if _USUAL.fullmatch(name) or is_shard(name):
        return True
    path, _, stamp = name.rpartition("#")
    *folders, item = path.split("/")
    return (
        _STAMP.fullmatch(stamp) is not None
        and len(folders) in (2, 3)
        and all(map(is_phase_name, folders[:-2]))
        and _MONTH.fullmatch("/".join(folders[-2:])) is not None
        and item.endswith(".h5")
        and is_item_id(item)
        and is_item_id(item.removesuffix(".h5"))
    )


def is_shard(name: str) -> bool:
    """Whether a file of the store is a shard, which earlier versions wrote: it has many items."""
    return _SHARD.fullmatch(name) is not None


def stamp_of(name: str) -> str:
    """The stamp in the name of a data file: the digest of its content; empty for a shard."""
    return name.rpartition("#")[2] if "#" in name else ""


def is_phase_name(name: str) -> bool:
    """Whether a name can be that of a phase: its files and its links are called so."""
    return len(name) <= _MOST_BYTES and _PHASE.fullmatch(name) is not None


def refuse_link_out(path: Path) -> None:
    """Raise `ValueError` if a path of a run directory is a link that leads out of its folder."""
    if path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve()):
        raise ValueError(f"{path.name} is a link that leads out of its folder")


def is_job_id(name: str) -> bool:
    """Whether a text can be the id of a job, or is empty: commands get it as an argument."""
    return _JOB.fullmatch(name) is not None


ItemId = Annotated[str, Predicate(is_item_id)]
DataFile = Annotated[str, Predicate(is_data_file)]
"""Which file of the store has the data of an item, and which content: "2000/01/13312.h5#STAMP", a
path in data/ and the first 16 hexadecimal digits of the file's SHA-256. For phases other than
reduce the path begins with the phase. Earlier versions wrote shards: "shard-00000.h5"."""
JobId = Annotated[str, Predicate(is_job_id)]
PhaseName = Annotated[str, Predicate(is_phase_name)]
Count = Annotated[int, Interval(ge=0, le=1 << 53)]
