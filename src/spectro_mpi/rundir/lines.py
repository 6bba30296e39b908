"""Files to which lines are appended, each durable before the next step."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from spectro_mpi.system.atomic import sync_directory


class DurableLines:
    """Appends lines to a file and syncs each; the file is created by the first one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None

    def append(self, *lines: bytes) -> None:
        """Append lines. Durable on return. Raises `OSError`, also if the file was removed."""
        if self._file is None:
            self._file = self._path.open("ab")
            sync_directory(self._path.parent)
        self._file.write(b"".join(line + b"\n" for line in lines))
        self._file.flush()
        os.fsync(self._file.fileno())
        if not os.fstat(self._file.fileno()).st_nlink:
            # Removed while open: writing raises no error, but the data is lost.
            missing = errno.ENOENT
            raise FileNotFoundError(missing, os.strerror(missing), str(self._path))

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
