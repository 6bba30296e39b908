"""Read CDF files with cdflib or pycdfpp; all their errors become `InvalidCdfError`.

cdflib is written in Python, always installed, and reads ranges of records. pycdfpp is several
times faster, but reads whole variables and crashes on some damaged files. It is used only in a
process whose death costs one item, and for files that fit into memory.
"""

from __future__ import annotations

import importlib.util
import logging
import stat
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf_end import end_of, is_cdf

log = logging.getLogger(__name__)

T = TypeVar("T")
Attribute = str | int | float | tuple[float, ...]
"""A tuple: VALIDMIN or VALIDMAX with one limit per channel or cell."""

_GZIP = 31
"""Window bits of zlib: the largest window, and a header of gzip."""
_LIMITS = ("VALIDMIN", "VALIDMAX", "FILLVAL")


class CdfReader(Protocol):
    """An open CDF file. All methods raise `InvalidCdfError` if it cannot be read."""

    path: Path
    names: frozenset[str]
    """Names of the variables."""

    def records(self, name: str) -> int:
        """Number of records of a variable (1 if it does not vary by record)."""
        ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one record of a variable."""
        ...

    def kind(self, name: str) -> str:
        """The CDF type of a variable, such as "CDF_TIME_TT2000"."""
        ...

    def attributes(self, name: str) -> dict[str, Attribute]:
        """The attributes of a variable. Of several entries, the first.

        Epochs are numbers: ms (CDF_EPOCH16: s) since the year 0, or ns since J2000. Limits of a
        valid range and fill values that have several values are tuples.
        """
        ...

    def global_attributes(self) -> dict[str, str]:
        """The global attributes that are text. Of several entries, the first."""
        ...

    def static(self, name: str) -> NDArray[Any]:
        """Value of a variable that does not vary by record: an array of its `shape`.

        Text is str (cdflib) or bytes (pycdfpp).
        """
        ...

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Records `first` (inclusive) to `last` (exclusive) of a variable: (record, *`shape`)."""
        ...


def has_fast_reader() -> bool:
    """Whether pycdfpp is installed."""
    return importlib.util.find_spec("pycdfpp") is not None


@cache
def loads_fast_reader() -> bool:
    """Whether pycdfpp is installed and can be imported; imports it."""
    if not has_fast_reader():
        return False
    try:
        import pycdfpp  # noqa: F401
    except Exception as error:  # noqa: BLE001 - cdflib is used after any error
        log.warning(
            "pycdfpp cannot be loaded (%s); using cdflib, which is slower",
            str(error) or repr(error),
        )
        return False
    return True


def check_whole(path: Path) -> None:
    """Raise `InvalidCdfError` if a file is empty or shorter than its header says.

    pycdfpp does not detect all truncated files. Raises `OSError` if the file cannot be opened.
    """
    status = path.stat()
    size = status.st_size
    if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):  # reading it may never end
        raise InvalidCdfError(f"{path}: is not a file")
    if size == 0:
        raise InvalidCdfError(f"{path}: the file is empty (0 bytes)")
    with path.open("rb") as file:
        end = end_of(file)[0] if is_cdf(file.read(8)) else None
    if end is not None and end > size:
        raise InvalidCdfError(f"{path}: the file is truncated: it has {size} of {end} bytes")


class CdflibReader:
    """Reads a CDF file with cdflib.

    Raises `InvalidCdfError` if the file cannot be read, `OSError` if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        check_whole(path)
        self.path = path
        self._cdf: Any = _checked(path, "its header", lambda: _cdflib().CDF(path))
        self._cdf.vdr_info = _consistent(self._cdf.vdr_info)
        info = _checked(path, "its header", self._cdf.cdf_info)
        self.names = frozenset([*info.zVariables, *info.rVariables])
        self._inquiries: dict[str, Any] = {}

    def records(self, name: str) -> int:
        return int(self._inquire(name).Last_Rec) + 1

    def shape(self, name: str) -> tuple[int, ...]:
        facts = self._inquire(name)
        if facts.Var_Type == "rVariable":
            return tuple(
                int(size)
                for size, varies in zip(facts.Dim_Sizes, facts.Dim_Vary, strict=False)
                if varies and size > 1
            )
        return tuple(int(size) for size in facts.Dim_Sizes)

    def kind(self, name: str) -> str:
        return str(self._inquire(name).Data_Type_Description)

    def attributes(self, name: str) -> dict[str, Attribute]:
        return _checked(
            self.path,
            f"the attributes of {name}",
            lambda: _simple(self._cdf.varattsget(name).items()),
        )

    def global_attributes(self) -> dict[str, str]:
        return _checked(
            self.path,
            "its global attributes",
            lambda: _texts(
                (key, entries[:1]) for key, entries in self._cdf.globalattsget().items()
            ),
        )

    def static(self, name: str) -> NDArray[Any]:
        value = _checked(self.path, name, lambda: np.asarray(self._cdf.varget(name)))
        return _reshaped(self.path, name, value, self.shape(name))

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        value = _checked(
            self.path,
            name,
            lambda: np.asarray(self._cdf.varget(name, startrec=first, endrec=last - 1)),
        )
        return _reshaped(self.path, name, value, (last - first, *self.shape(name)))

    def _inquire(self, name: str) -> Any:
        if name not in self._inquiries:
            self._inquiries[name] = _checked(self.path, name, lambda: self._cdf.varinq(name))
        return self._inquiries[name]


class PycdfppReader:
    """Reads a CDF file with pycdfpp.

    Raises `InvalidCdfError` if the file cannot be read, `OSError` if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        check_whole(path)
        import pycdfpp

        self.path = path
        self._cdf: Any = _checked(path, "its header", lambda: pycdfpp.load(str(path)))
        if self._cdf is None:
            raise InvalidCdfError(f"{path}: its header cannot be read")
        self.names = frozenset(name for name, _ in self._cdf.items())

    def records(self, name: str) -> int:
        variable = self._cdf[name]
        return 1 if variable.is_nrv else int(variable.shape[0])

    def shape(self, name: str) -> tuple[int, ...]:
        variable = self._cdf[name]
        sizes = tuple(int(size) for size in variable.shape[1:])
        if "CHAR" in self.kind(name):
            sizes = sizes[:-1]  # the length of the texts
        # All r-variables have the file's dimensions; those that do not vary have size 1.
        return sizes if variable.is_zvariable else tuple(size for size in sizes if size > 1)

    def kind(self, name: str) -> str:
        return str(self._cdf[name].type.name)

    def attributes(self, name: str) -> dict[str, Attribute]:
        return _checked(
            self.path,
            f"the attributes of {name}",
            lambda: _simple(
                (key, entry.value) for key, entry in self._cdf[name].attributes.items()
            ),
        )

    def global_attributes(self) -> dict[str, str]:
        return _checked(
            self.path,
            "its global attributes",
            lambda: _texts(
                (key, [entries[0]]) for key, entries in self._cdf.attributes.items() if len(entries)
            ),
        )

    def static(self, name: str) -> NDArray[Any]:
        return _reshaped(self.path, name, self._values(name), self.shape(name))

    def range(self, name: str, first: int, last: int) -> NDArray[Any]:
        value = self._values(name)[first:last]
        return _reshaped(self.path, name, value, (last - first, *self.shape(name)))

    def _values(self, name: str) -> NDArray[Any]:
        values = _checked(self.path, name, lambda: np.asarray(self._cdf[name].values))
        if not values.dtype.names:
            return values
        # Epochs are structures of one field. EPOCH16 has two, for which cdflib uses a complex type.
        one_field = len(values.dtype.names) == 1
        return values.view(values.dtype[0] if one_field else np.complex128)


@cache
def _cdflib() -> Any:
    """cdflib, with ISA-L to inflate compressed variables: 2.5 times faster than zlib.

    By itself cdflib takes the package deflate if there is one, which asks for as much memory as the
    last bytes of a block claim, before it looks at the block.
    """
    import cdflib
    from cdflib import cdfread
    from isal import isal_zlib

    cdfread.gzip_inflate = partial(isal_zlib.decompress, wbits=_GZIP)
    return cdflib


def _checked(path: Path, what: str, read: Callable[[], T]) -> T:
    """Call `read`, and raise `InvalidCdfError` for what a library raises on damaged files."""
    try:
        return read()
    except (MemoryError, TimeoutError):
        raise
    except Exception as error:  # cdflib raises nine types of exceptions on damaged files
        raise InvalidCdfError(
            f"{path}: {what} cannot be read: {type(error).__name__}: {error}"
        ) from error


def _consistent(vdr_info: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wraps cdflib's function `vdr_info` to correct its result for r-variables, and to keep it.

    cdflib calls it for each part of a variable that is read, and follows the file's chain of
    variables each time.

    For r-variables of CDF 3, cdflib 1.3 omits dimensions that do not vary from `dim_sizes`, but not
    from `dim_vary`, although it expects both to have the same length.
    """

    @cache
    def corrected(variable: str) -> Any:
        info = vdr_info(variable)
        if len(info.dim_vary) != len(info.dim_sizes):
            info.dim_vary = [varies for varies in info.dim_vary if varies]
        return info

    return corrected


def _texts(attributes: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """(name, entries) → the first entry of each attribute, if it is text."""
    simple = _simple((name, entries[0]) for name, entries in attributes if len(entries))
    return {name: text for name, text in simple.items() if isinstance(text, str)}


def _simple(attributes: Iterable[tuple[str, Any]]) -> dict[str, Attribute]:
    """(name, value) of either library → attributes that are text, numbers or limits."""
    simple: dict[str, Attribute] = {}
    for name, value in attributes:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if name in _LIMITS and (limits := _limits(value)):
            simple[name] = limits
            continue
        if isinstance(value, list | tuple):
            value = value[0] if value else ""
        if not isinstance(value, str):
            entries = np.asarray(value).ravel()
            if not len(entries) or entries.dtype.kind not in "iufcUSO":
                continue
            value = _number(entries[0].item() if hasattr(entries[0], "item") else entries[0])
        if isinstance(value, str):
            value = value.strip(" \0\n\t")
        if isinstance(value, str | int | float):
            simple[name] = value
    return simple


def _limits(value: Any) -> tuple[float, ...]:
    """Several numbers in the value of an attribute; empty if it has not several."""
    entries = np.asarray(value).ravel()
    return tuple(entries.tolist()) if len(entries) > 1 and entries.dtype.kind in "iuf" else ()


def _number(value: Any) -> Any:
    """An epoch of either library as a number; anything else as it is."""
    if isinstance(value, complex):
        return value.real + value.imag / 1e12
    if hasattr(value, "picoseconds"):
        return value.seconds + value.picoseconds / 1e12
    return getattr(value, "mseconds", getattr(value, "nseconds", value))


def _reshaped(path: Path, name: str, value: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The value in `shape`. Raises `InvalidCdfError` if it has another size."""
    if value.size != np.prod(shape):
        raise InvalidCdfError(f"{path}: {name} has {value.size} values, expected {np.prod(shape)}")
    return value.reshape(shape)
