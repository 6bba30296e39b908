"""Names that files and items cannot have: decided item by item, so that the others are done.

Files of an item are named for it, the store names its input files, and the state lists both as
text. An item for which that is impossible is recorded as failed, under a name that can be written.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace

from spectro_mpi.draw.names import LONGEST_LABEL, expected_figures
from spectro_mpi.inert import inert, is_inert
from spectro_mpi.model.items import Item
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import SUFFIX

_MOST_BYTES = 255
"""Longest file name of nearly all file systems, bytes."""
_SHOWN = 60
"""Characters shown of a name that is too long."""


def room_for_names(config: Config) -> int:
    """The longest name of an item with which its files can be written, bytes."""
    tails = [len(figure.tail.encode()) for figure in expected_figures(config, config.instruments)]
    return _MOST_BYTES - max(tails, default=0) - len(f"_{LONGEST_LABEL}_{SUFFIX}") - 1


def problem_of_name(item_id: str, room: int) -> str:
    """Why files cannot be named for an item, or empty; `room`: the most bytes of its name."""
    if not is_inert(item_id):
        return "its name has characters or bytes that are no text"
    if not item_id or item_id[0] == "." or "/" in item_id:
        return "its name is empty, begins with a dot or has a slash"
    size = len(item_id.encode())
    if size > room:
        return f"its name has {size} bytes, and files named for it have room for {room}"
    return ""


def with_problems(items: Iterable[Item], config: Config) -> Iterator[Item]:
    """The items; those that cannot be done have a `problem`, and a name that can be written."""
    room = room_for_names(config)
    taken: dict[str, str] = {}
    for item in items:
        problem = problem_of_name(item.id, room) or _problem_of_files(item)
        # Many file systems, to which a run may be copied, do not tell these apart.
        first = taken.setdefault(unicodedata.normalize("NFC", item.id).casefold(), item.id)
        if first != item.id:
            problem = problem or f"its name differs from that of item {first} only in letter case"
        if problem:
            item = replace(item, id=_writable(item.id, room), problem=f"{problem}; rename the file")
        yield item


def _problem_of_files(item: Item) -> str:
    names = [os.path.basename(file.path) for file in item.files]  # noqa: PTH119 - 200,000 of them
    bad = [name for name in names if not is_inert(name)]
    return f"the file name {bad[0]} has characters or bytes that are no text" if bad else ""


def _writable(item_id: str, room: int) -> str:
    """The name of an item as text; if it cannot be written as it is, with a digest."""
    if not problem_of_name(item_id, room):
        return item_id
    digest = hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{inert(item_id).replace('/', '_').lstrip('.')[:_SHOWN]}~{digest}"
