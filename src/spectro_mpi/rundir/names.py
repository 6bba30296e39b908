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
_DATA_FILE = re.compile(r"shard-\d{5,9}\.h5", re.ASCII)
_JOB = re.compile(r"([^\W_][\w.:+\[\]-]*)?", re.ASCII)
_PHASE = re.compile(r"\w[\w-]*", re.ASCII)


def is_item_id(name: str) -> bool:
    """Whether a name can be that of an item: a folder and a group are called so."""
    return (
        0 < len(name.encode("utf-8", "replace")) <= _MOST_BYTES
        and name not in (".", "..")
        and "/" not in name
        and is_inert(name)
    )


def is_data_file(name: str) -> bool:
    """Whether a name is that of a file of the store, without a folder."""
    return _DATA_FILE.fullmatch(name) is not None


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
JobId = Annotated[str, Predicate(is_job_id)]
PhaseName = Annotated[str, Predicate(is_phase_name)]
Count = Annotated[int, Interval(ge=0, le=1 << 53)]
