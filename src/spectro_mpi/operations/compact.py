"""Copy the reduced data of a run into one HDF5 file, for those who prefer one."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.compact import copy_item
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.rundir.store import UNREADABLE, first_line, new_file
from spectro_mpi.system.untrusted import UntrustedCalls


def compact(run_dir: Path, output: Path) -> int:
    """Write all spectrograms of a run into `output`, in groups `/{item}/{instrument}`.

    The run is not changed. Only what is on disk when this begins is copied. Returns the number of
    items. Raises `UserError` if `run_dir` is not a run directory, if `output` exists or lies in the
    run directory, or if data of an item cannot be read; `OSError` if the file cannot be written.
    """
    run = open_run(run_dir)
    if output.exists():
        raise UserError(f"{output}: exists; give a name of a new file")
    if run_dir.resolve() in output.resolve().parents:
        raise UserError(f"{output}: lies in the run directory; give a name elsewhere")
    if not run.items:
        raise UserError(f"{run_dir}: has no reduced data")
    data_files = {item: run.progress.data_files[item] for item in run.items}
    with UntrustedCalls(cpu_seconds=_CPU_SECONDS) as untrusted:
        untrusted(_write, run_dir, data_files, output)
    return len(data_files)


_CPU_SECONDS = 86_400
"""Far more than the largest run takes: only a crash of HDF5 must not be ours."""


def _write(run_dir: Path, data_files: dict[str, str], output: Path) -> None:
    with new_file(output) as (file, part):
        file.attrs["phase"] = "reduce"
        for item, data_file in data_files.items():
            path = data_path(run_dir, data_file)
            try:
                copy_item(path, item, file)
            except UNREADABLE as error:
                part.check()
                raise UserError(
                    f"{path}: cannot be read ({first_line(error)}); `spectro-mpi verify "
                    f"{run_dir} --repair` marks what is to be made again"
                ) from None
            part.check()
