"""Items of a directory and stacks of them, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from spectro_mpi.api.arguments import count_of
from spectro_mpi.api.runs import config_of
from spectro_mpi.model.items import Item
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.stacks import Stacks, snake


def collect_items(
    directory: Path | str,
    *,
    orbits: str = "",
    skip: Iterable[int] = (),
    instruments: Sequence[str] | None = None,
    settings: Path | str | Mapping[str, Any] | None = None,
) -> tuple[Item, ...]:
    """Find the items of a directory, with their files and sizes, without opening any file.

    Parameters
    ----------
    directory : path
        Directory to search for input files, recursively.
    orbits : str
        Orbits to select, as in "13312-13400,13500"; empty: all.
    skip : iterable of int
        Orbits to leave out.
    instruments : sequence of str, optional
        Instruments whose files to include. None: as in the settings (for FAST ees, eeb, ies, ieb).
    settings : path or mapping, optional
        A settings file, or settings as a mapping, for instance for another mission.

    Returns
    -------
    tuple of Item
        Sorted; each has an `id`, a `size` in bytes and its `files`.

    Raises
    ------
    UserError
        If the directory does not exist, a selection is invalid, or no file is selected.
    """
    given = {"orbits": orbits, "skip": list(skip), "instruments": list(instruments or ())}
    select = {name: value for name, value in given.items() if value}
    config = config_of(settings, directory, "runs/fast", None, None, {}, {"select": select})
    return take_inventory(config).items


def create_stacks(
    items: Sequence[Item], workers: int, *, skip: Iterable[str | int] = ()
) -> Stacks[Item]:
    """Deal items to workers as a run does: largest first, in alternating order (snake).

    Parameters
    ----------
    items : sequence of Item
        Items to deal, as from `collect_items`.
    workers : int
        Number of stacks.
    skip : iterable
        Ids of items to leave out.

    Returns
    -------
    Stacks
        A list of `Stack`:
        One per worker that gets items, with its `items`, their `size` in bytes and their `percent`
        of all bytes. With fewer items than workers there are fewer stacks: none is empty.

    Raises
    ------
    UserError
        If `workers` is not a whole number of at least 1.
    """
    stacks = count_of("workers", workers)
    left_out = {str(item_id) for item_id in skip}
    dealt = snake([item for item in items if item.id not in left_out], stacks)
    return Stacks(stack for stack in dealt if stack.items)
