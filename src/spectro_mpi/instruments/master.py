"""Supply the attributes and variables that a CDF file lacks from a master CDF.

A master has the variables, attributes and tables of a data set, and no records
(https://spdf.gsfc.nasa.gov/pub/software/cdawlib/0MASTERS).
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import Attribute, CdflibReader, CdfReader
from spectro_mpi.system.digests import sha256_of


class WithMaster:
    """An open file, completed by its master; a `CdfReader`.

    The file has the say: of an attribute, the master's value is used where the file has none, or an
    empty text. A variable is that of the master where the file has none of this name, or where the
    file's has no records and the master's does not vary by record.
    """

    def __init__(self, reader: CdfReader, master: CdfReader) -> None:
        self._reader, self._master = reader, master
        self.path = reader.path
        self.names = reader.names | master.names

    def records(self, name: str) -> int:
        return self._holder(name).records(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._holder(name).shape(name)

    def kind(self, name: str) -> str:
        return self._holder(name).kind(name)

    def attributes(self, name: str) -> dict[str, Attribute]:
        of_file, of_master = (
            reader.attributes(name) if name in reader.names else {}
            for reader in (self._reader, self._master)
        )
        return of_master | {key: value for key, value in of_file.items() if value != ""}

    def global_attributes(self) -> dict[str, str]:
        of_file = self._reader.global_attributes()
        return self._master.global_attributes() | {
            key: value for key, value in of_file.items() if value
        }

    def static(self, name: str) -> NDArray[Any]:
        return self._holder(name).static(name)

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        return self._holder(name).range(name, first, last)

    def _holder(self, name: str) -> CdfReader:
        """The reader that has the variable."""
        file, master = self._reader, self._master
        if name not in file.names:
            return master
        if name in master.names and file.records(name) == 0 and master.records(name) == 1:
            return master
        return file


class Remembering:
    """An open file whose description and tables are read once; a `CdfReader`."""

    def __init__(self, reader: CdfReader) -> None:
        self.path, self.names = reader.path, reader.names
        self.records, self.shape = cache(reader.records), cache(reader.shape)
        self.kind, self.static = cache(reader.kind), cache(reader.static)
        self.attributes = cache(reader.attributes)
        self.global_attributes = cache(reader.global_attributes)
        self.range = reader.range


def with_master(reader: CdfReader, path: str, sha256: str) -> CdfReader:
    """Complete an open file by the master at `path`, whose content should have this digest.

    Raises `InvalidCdfError` if the master cannot be read or has other content; an empty digest fits
    any.
    """
    return WithMaster(reader, _master(path, sha256))


@lru_cache(maxsize=16)
def _master(path: str, sha256: str) -> CdfReader:
    try:
        if sha256 and sha256_of(Path(path)) != sha256:
            raise InvalidCdfError(f"{path}: this master was changed since the run began")
        return Remembering(CdflibReader(Path(path)))
    except OSError as error:
        raise InvalidCdfError(
            f"{path}: this master cannot be read: {error.strerror or error}"
        ) from None
