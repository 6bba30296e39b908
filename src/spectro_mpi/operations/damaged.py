"""Find input files that a run could not use, to download them again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.errors import InvalidCdfError, UserError
from spectro_mpi.instruments.cdf import CdflibReader, check_whole
from spectro_mpi.model.items import InputPath
from spectro_mpi.phases.reduce import reduce_file
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for, side_by_side

_CHILDREN = min(8, os.cpu_count() or 1)
_SILENT_SECONDS = 60.0
"""Longest wait for a file server that does not answer."""


@dataclass(frozen=True)
class DamagedFile:
    """An input file that cannot be used."""

    path: str
    why: str
    """A sentence without the path."""


def input_files(inventory: Inventory) -> list[str]:
    """The paths of the files that a run reads, each once, in the order of the items."""
    return list(dict.fromkeys(file.path for item in inventory.items for file in item.files))


def damaged_files(inventory: Inventory, config: Config) -> Iterator[DamagedFile]:
    """Read each file of an inventory as a run does, and yield those that fail, in its order.

    Lower versions and duplicates are not read. A file is read by each instrument that it is of, in
    a child process, because damaged files make readers hang, crash and take all memory. Raises
    `UserError` if the file system does not answer.
    """
    files: dict[str, list[InputPath]] = {}
    for item in inventory.items:
        for file in item.files:
            files.setdefault(file.path, []).append(file)

    def child() -> UntrustedCalls:
        seconds = int(config.run.instrument_timeout_seconds) + 1
        return UntrustedCalls(seconds, silent_seconds=_SILENT_SECONDS)

    def why(untrusted: UntrustedCalls, of_path: list[InputPath]) -> str:
        try:
            check_whole(Path(of_path[0].path))
        except InvalidCdfError as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"
        untrusted.memory_mb = config.run.memory_limit_mb or memory_for(of_path[0].size)
        try:
            return next(filter(None, (untrusted(_why, file, config) for file in of_path)), "")
        except ChildProcessError as error:
            return str(error)
        except TimeoutError as error:  # which says nothing of this file, nor of the next ones
            raise UserError(f"{of_path[0].path}: cannot be read: {error.strerror}") from None

    reasons = side_by_side(why, files.values(), _CHILDREN, child)
    with closing(reasons):
        for path, reason in zip(files, reasons, strict=True):
            if reason:
                yield DamagedFile(path, reason.removeprefix(f"{path}: "))


def _why(file: InputPath, config: Config) -> str:
    """Why a file cannot be reduced; empty: it can."""
    try:
        reduce_file(file, CdflibReader(Path(file.path)), config)
    except InvalidCdfError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except MemoryError:
        return "it has a variable that is larger than the memory"
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its numbers
        return f"cannot be used: {type(error).__name__}: {error}"
    return ""
