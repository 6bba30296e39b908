"""Copy the reduced data of a run into one HDF5 file, for those who prefer one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.model.items import item_order
from spectro_mpi.rundir.compact import copy_item
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.rundir.store import UNREADABLE, first_line, new_file
from spectro_mpi.system.untrusted import UntrustedCalls


def compact(run_dir: Path, output: Path) -> int:
    """Write all reduced data of a run into `output`, in groups `/{item}/{instrument}`.

    The datasets of a phase other than reduce are in groups `/{item}/{phase}/{name}`. The run is
    not changed. Only what is on disk when this begins is copied. Returns the number of
    items. Raises `UserError` if `run_dir` is not a run directory, if `output` exists or lies in the
    run directory, or if data of an item cannot be read; `OSError` if the file cannot be written.
    """
    run = open_run(run_dir)
    if output.exists():
        raise UserError(f"{output}: exists; give a name of a new file")
    if run_dir.resolve() in output.resolve().parents:
        raise UserError(f"{output}: lies in the run directory; give a name elsewhere")
    stores = dict(run.progress.stores)
    items = sorted({item for held in stores.values() for item in held}, key=item_order)
    if not items:
        raise UserError(f"{run_dir}: has no reduced data")
    with UntrustedCalls(cpu_seconds=_CPU_SECONDS) as untrusted:
        untrusted(_write, run_dir, items, stores, output)
    return len(items)


_CPU_SECONDS = 86_400
"""Far more than the largest run takes: only a crash of HDF5 must not be ours."""


def _write(
    run_dir: Path,
    items: Sequence[str],
    stores: Mapping[str, Mapping[str, str]],
    output: Path,
) -> None:
    with new_file(output) as (file, part):
        file.attrs["phase"] = "reduce"
        for item, (phase, data_files) in product(items, stores.items()):
            if item not in data_files:
                continue
            path = data_path(run_dir, data_files[item])
            to = file.require_group(item if phase == "reduce" else f"{item}/{phase}")
            try:
                copy_item(path, item, to)
            except UNREADABLE as error:
                part.check()
                raise UserError(
                    f"{path}: cannot be read ({first_line(error)}); `spectro-mpi verify "
                    f"{run_dir} --repair` marks what is to be made again"
                ) from None
            part.check()
