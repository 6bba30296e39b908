"""Write variables as a CDF file, with cdflib."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.as_istp import Attribute, CdfVariable

_TYPES = {
    "CDF_INT2": 2,
    "CDF_INT4": 4,
    "CDF_INT8": 8,
    "CDF_REAL4": 21,
    "CDF_REAL8": 22,
    "CDF_TIME_TT2000": 33,
    "CDF_CHAR": 51,
}
_GZIP_LEVEL = 4
_BLOCK_BYTES = 1 << 20
"""Records of about so many bytes are compressed together."""
_DAY = 86_400
_1970 = datetime(1970, 1, 1, tzinfo=timezone.utc)


def cdf_bytes(variables: Iterable[CdfVariable], about: Mapping[str, str | list[str]]) -> bytes:
    """The content of a CDF file with these variables and global attributes.

    `about`: attribute → its text, or the texts of its entries. Raises `OSError`.
    """
    from cdflib import cdfwrite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.cdf"
        layout = {"Majority": "row_major", "Encoding": cdfwrite.CDF.IBMPC_ENCODING}
        cdf = cdfwrite.CDF(path, cdf_spec={**layout, "Checksum": True})
        cdf.write_globalattrs({name: _entries(texts) for name, texts in about.items()})
        for variable in variables:
            _write(cdf, variable)
        cdf.close()
        return path.read_bytes()


def _entries(texts: str | list[str]) -> dict[int, str]:
    """The entries of a global attribute; one that is empty is a blank."""
    each = [texts] if isinstance(texts, str) else texts
    return {number: text or " " for number, text in enumerate(each or [" "])}


def _write(cdf: Any, variable: CdfVariable) -> None:
    values: Any = variable.values
    elements = 1
    shape = values.shape[variable.varies :]
    if variable.kind == "CDF_CHAR":
        values = values.astype(str)
        elements = max(1, int(np.char.str_len(values).max(initial=1)))
        values = np.char.ljust(values, elements).tolist()
    record = int(np.prod(shape, dtype=np.int64)) * variable.values.dtype.itemsize
    spec = {
        "Variable": variable.name,
        "Data_Type": _TYPES[variable.kind],
        "Num_Elements": elements,
        "Rec_Vary": variable.varies,
        "Dim_Sizes": list(shape),
        "Compress": _GZIP_LEVEL if variable.varies and elements == 1 else 0,
        "Block_Factor": max(1, _BLOCK_BYTES // max(1, record)) if variable.varies else 1,
        "Pad": None,
    }
    if not variable.varies and variable.kind != "CDF_CHAR":
        values = values[None]
    attributes = {name: _entry(value) for name, value in variable.attributes.items()}
    cdf.write_var(spec, var_attrs=attributes, var_data=values)


def _entry(value: Attribute) -> Any:
    if isinstance(value, str):
        return value or " "
    number, kind = value
    return [number, kind]


def tt2000(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Convert s since 1970 UTC (record,) to CDF_TIME_TT2000, ns since J2000 with leap seconds.

    Each day begins where cdflib's table of leap seconds puts it. All times are finite.
    """
    from cdflib import cdfepoch

    days, places = np.unique(np.floor(seconds / _DAY).astype(np.int64), return_inverse=True)
    if not days.size:
        return np.empty(0, np.int64)
    dates = [_1970 + timedelta(days=day) for day in days.tolist()]
    parts = [[date.year, date.month, date.day, 0, 0, 0, 0, 0, 0] for date in dates]
    midnights = np.atleast_1d(np.asarray(cdfepoch.compute_tt2000(parts), np.int64))
    rest = seconds - days[places] * float(_DAY)
    return np.asarray(midnights[places] + np.round(rest * 1e9).astype(np.int64), np.int64)
