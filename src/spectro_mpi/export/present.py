"""Exported files that are there already: which run made them, and from what."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.export.naming import DIGEST, RUN_ID
from spectro_mpi.instruments.cdf import check_whole

_HDF5 = b"\x89HDF\r\n\x1a\n"


def made_from(path: Path) -> tuple[str, str]:
    """The run that made an exported file, and the digest of what it was made from.

    Both are empty if it is damaged, or another program made it. Raises `FileNotFoundError`.
    """
    with path.open("rb") as file:
        is_netcdf = file.read(len(_HDF5)) == _HDF5
    return _of_netcdf(path) if is_netcdf else _of_cdf(path)


def _of_cdf(path: Path) -> tuple[str, str]:
    from cdflib import CDF

    try:
        check_whole(path)
        attributes = CDF(path).globalattsget()
    except (InvalidCdfError, OSError, ValueError, KeyError, IndexError, UnicodeError):
        return "", ""
    run_id, digest = (_first(attributes.get(name)) for name in (RUN_ID, DIGEST))
    return run_id, digest


def _first(entries: object) -> str:
    """The first entry of a global attribute as text."""
    entry = entries[0] if isinstance(entries, list) and entries else entries
    return entry if isinstance(entry, str) else ""


def _of_netcdf(path: Path) -> tuple[str, str]:
    import h5netcdf

    try:
        with h5netcdf.File(path, "r") as file:
            return str(file.attrs.get(RUN_ID, "")), str(file.attrs.get(DIGEST, ""))
    except (OSError, ValueError, KeyError, RuntimeError):
        return "", ""
