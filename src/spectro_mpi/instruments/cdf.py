"""CDF files through the libraries that read them; every way of failing is `InvalidCdfError`.

cdflib (pure Python) is always there and reads ranges of records. pycdfpp is several times faster,
reads whole variables, and dies of a segfault on some damaged files: it is for a process that may
die, and for files small enough to hold.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError

T = TypeVar("T")

_MAGIC_V3_UNCOMPRESSED = bytes.fromhex("CDF300010000FFFF")
_GDR_OFFSET_AT = 20
_EOF_WITHIN_GDR = 36


class CdfReader(Protocol):
    """An open CDF file. All methods raise `InvalidCdfError`."""

    path: Path
    names: frozenset[str]
    """Names of its variables."""

    def records(self, name: str) -> int:
        """Number of records written of a variable (1 if it does not vary by record)."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one record of a variable."""
        ...

    def static(self, name: str) -> NDArray[Any]:
        """The value of a variable that does not vary by record, in its `shape`."""
        ...

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Records `first` (inclusive) to `last` (exclusive): (record, …)."""
        ...


def has_fast_reader() -> bool:
    """Whether pycdfpp is installed."""
    return importlib.util.find_spec("pycdfpp") is not None


def check_whole(path: Path) -> None:
    """Raise `InvalidCdfError` for a file that is empty or shorter than its header says.

    What is missing at the end pycdfpp does not always notice. Raises `OSError` where the file
    cannot be opened, which is not the CDF's fault. The end of file is a field of the global
    descriptor record (CDF Internal Format Description, version 3, section 2.2).
    """
    size = path.stat().st_size
    if size == 0:
        raise InvalidCdfError(f"{path}: the file is empty (0 bytes)")
    with path.open("rb") as file:
        if file.read(8) != _MAGIC_V3_UNCOMPRESSED:
            return
        file.seek(_GDR_OFFSET_AT)
        gdr = int.from_bytes(file.read(8), "big")
        file.seek(min(gdr + _EOF_WITHIN_GDR, size))
        end = int.from_bytes(file.read(8), "big")
    if end > size:
        raise InvalidCdfError(f"{path}: the file is truncated: {size} of {end} bytes are there")


class CdflibReader:
    """Through cdflib."""

    def __init__(self, path: Path) -> None:
        check_whole(path)
        import cdflib

        self.path = path
        self._cdf: Any = _guarded(path, "its header", lambda: cdflib.CDF(path))
        info = _guarded(path, "its header", self._cdf.cdf_info)
        self.names = frozenset([*info.zVariables, *info.rVariables])
        self._inquiries: dict[str, Any] = {}

    def records(self, name: str) -> int:
        return int(self._inquire(name).Last_Rec) + 1

    def shape(self, name: str) -> tuple[int, ...]:
        facts = self._inquire(name)
        if facts.Var_Type == "rVariable":
            return tuple(
                int(n)
                for n, vary in zip(facts.Dim_Sizes, facts.Dim_Vary, strict=False)
                if vary and n > 1
            )
        return tuple(int(size) for size in facts.Dim_Sizes)

    def static(self, name: str) -> NDArray[Any]:
        value = _guarded(self.path, name, lambda: np.asarray(self._cdf.varget(name)))
        return _reshaped(self.path, name, value, self.shape(name))

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        value = _guarded(
            self.path,
            name,
            lambda: np.asarray(self._cdf.varget(name, startrec=first, endrec=last - 1)),
        )
        return _reshaped(self.path, name, value, (last - first, *self.shape(name)))

    def _inquire(self, name: str) -> Any:
        if name not in self._inquiries:
            self._inquiries[name] = _guarded(self.path, name, lambda: self._cdf.varinq(name))
        return self._inquiries[name]


class PycdfppReader:
    """Through pycdfpp."""

    def __init__(self, path: Path) -> None:
        check_whole(path)
        import pycdfpp

        self.path = path
        self._cdf: Any = _guarded(path, "its header", lambda: pycdfpp.load(str(path)))
        if self._cdf is None:
            raise InvalidCdfError(f"{path}: its header cannot be read")
        self.names = frozenset(name for name, _ in self._cdf.items())

    def records(self, name: str) -> int:
        variable = self._cdf[name]
        return 1 if variable.is_nrv else int(variable.shape[0])

    def shape(self, name: str) -> tuple[int, ...]:
        variable = self._cdf[name]
        sizes = tuple(int(size) for size in variable.shape[1:])
        # All r-variables have the file's dimensions; those that do not vary have size 1.
        return sizes if variable.is_zvariable else tuple(size for size in sizes if size > 1)

    def static(self, name: str) -> NDArray[Any]:
        return _reshaped(self.path, name, self._values(name), self.shape(name))

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        value = self._values(name)[first:last]
        return _reshaped(self.path, name, value, (last - first, *self.shape(name)))

    def _values(self, name: str) -> NDArray[Any]:
        values = _guarded(self.path, name, lambda: np.asarray(self._cdf[name].values))
        # Epochs come as structures of one field.
        return values.view(values.dtype[0]) if values.dtype.names else values


def _guarded(path: Path, what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (MemoryError, TimeoutError):
        raise
    except Exception as error:  # on damaged files cdflib raises nine kinds
        raise InvalidCdfError(
            f"{path}: {what} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _reshaped(path: Path, name: str, value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if value.size != np.prod(shape):
        raise InvalidCdfError(
            f"{path}: {name} holds {value.size} values where {np.prod(shape)} are expected"
        )
    return value.reshape(shape)
