"""tallies.h5: what finished items contribute to the artifacts of the run, merged in groups.

Merged contributions cannot be taken apart: a smallest value, once merged, does not say what it
would be without one of the items. So they are kept in groups of items. A group is good for as long
as each of its items has the data that it had when it was merged, which the stamp of its data file
tells; the items of any other group are restored from the store.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.rundir.bounds import Scalars
from spectro_mpi.rundir.layout import TALLIES
from spectro_mpi.rundir.store import UNREADABLE, first_line, new_file, opened
from spectro_mpi.system.atomic import set_aside
from spectro_mpi.system.untrusted import UntrustedCalls

log = logging.getLogger(__name__)

_DIGEST = "sha256"
_VERSION = "version"


@dataclass(frozen=True)
class KeptGroup:
    """What some items contribute together."""

    data_files: Mapping[str, str]
    """Item → the file with its data (`rundir.names.DataFile`)."""
    arrays: Mapping[str, NDArray[Any]]
    """The contribution, as the phase gives it (`MergingPhase.arrays_of`)."""

    def fits(self, data_files: Mapping[str, str]) -> bool:
        """Whether the data of all its items is still that in the store; as `data_files` above."""
        return all(data_files.get(item) == name for item, name in self.data_files.items())


@dataclass(frozen=True)
class KeptPhase:
    """The contributions to the artifact of one phase."""

    version: int
    """`MergingPhase.kept_version` of the phase that gave them."""
    groups: tuple[KeptGroup, ...] = field(default_factory=tuple)


Kept = Mapping[str, KeptPhase]
"""Phase → the contributions to its artifact."""


def write_tallies(run_dir: Path, kept: Kept) -> None:
    """Write tallies.h5; equal contents are equal bytes. Durable on return; raises `OSError`."""
    with new_file(run_dir / TALLIES) as (file, part):
        for name, phase in sorted(kept.items()):
            if not phase.groups:
                continue
            of_phase = file.create_group(name)
            of_phase.attrs[_VERSION] = phase.version
            for number, group in enumerate(phase.groups):
                written = of_phase.create_group(f"{number:04d}")
                written.attrs[_DIGEST] = _digest(name, phase.version, group)
                items = sorted(group.data_files)
                _write(written, "item", np.array(items, np.str_))
                names = [group.data_files[item] for item in items]
                _write(written, "shard", np.array(names, np.str_))  # as earlier versions call it
                arrays = written.create_group("arrays")
                for array_name, array in sorted(group.arrays.items()):
                    _write(arrays, array_name, array)
                part.check()


def read_tallies(run_dir: Path) -> dict[str, KeptPhase]:
    """Read tallies.h5; empty if it does not exist.

    Raises `OSError` if it is damaged, `NewerVersionError` if a newer version wrote it.
    """
    path = run_dir / TALLIES
    if not path.exists():
        return {}
    try:
        with opened(path) as file:
            return {name: _read_phase(name, phase) for name, phase in file.items()}
    except (*UNREADABLE, AttributeError, IndexError) as error:
        raise OSError(f"{type(error).__name__}: {first_line(error)}") from error


def drop_stale(
    run_dir: Path, stores: Mapping[str, Mapping[str, str]], untrusted: UntrustedCalls
) -> tuple[Kept, list[str]]:
    """Read what is kept, and remove from the file what does not agree with the store.

    `stores`: phase → item → its data file. A damaged file is set aside, with a sentence. The
    caller holds the lock. Raises `OSError` or `NewerVersionError`.
    """
    path = run_dir / TALLIES
    if not path.exists():
        return {}, []
    try:
        kept = untrusted(read_tallies, run_dir)
    except OSError as error:
        aside = set_aside(path)
        sentence = (
            f"{path}: is damaged ({error}); set aside as {aside.name}, "
            "will be restored from the store"
        )
        log.warning(sentence)
        return {}, [sentence]
    good = {
        name: KeptPhase(
            phase.version,
            tuple(group for group in phase.groups if group.fits(stores.get(name, {}))),
        )
        for name, phase in kept.items()
    }
    if any(len(good[name].groups) < len(kept[name].groups) for name in kept):
        untrusted(write_tallies, run_dir, good)
    return good, []


def _read_phase(name: str, stored: Any) -> KeptPhase:
    version = int(Scalars(stored)[_VERSION])
    return KeptPhase(
        version, tuple(_read_group(name, version, stored[number]) for number in sorted(stored))
    )


def _read_group(phase: str, version: int, stored: Any) -> KeptGroup:
    from spectro_mpi.rundir.datasets import members, refuse_foreign

    refuse_foreign(stored)
    items, names = (_read(stored[name]).tolist() for name in ("item", "shard"))
    refuse_foreign(stored["arrays"])
    arrays = {name: _read(dataset) for name, dataset in members(stored["arrays"])}
    group = KeptGroup(dict(zip(items, names, strict=True)), arrays)
    if Scalars(stored)[_DIGEST] != _digest(phase, version, group):
        raise ValueError(f"group {stored.name} differs from its digest")
    return group


def _digest(phase: str, version: int, group: KeptGroup) -> str:
    """Digest of all that a group holds: HDF5 does not notice every flipped bit."""
    head = json.dumps([phase, version, sorted(group.data_files.items())])
    digest = hashlib.sha256(head.encode())
    for name, array in sorted(group.arrays.items()):
        is_text = array.dtype.kind == "U"
        kind = "text" if is_text else array.dtype.str
        digest.update(json.dumps([name, kind, array.shape]).encode())
        digest.update(
            json.dumps(array.tolist()).encode() if is_text else np.ascontiguousarray(array).data
        )
    return digest.hexdigest()


def _write(group: Any, name: str, array: NDArray[Any]) -> None:
    content = np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array
    filters = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    group.create_dataset(
        name, data=content, track_times=False, **(filters if content.size and content.ndim else {})
    )


def _read(dataset: Any) -> NDArray[Any]:
    content: NDArray[Any] = dataset[()]
    return np.char.decode(content, "utf-8") if content.dtype.kind == "S" else content
