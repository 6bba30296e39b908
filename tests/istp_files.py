"""Writes small ISTP CDF files of the same measurement in the many ways that missions have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cdflib import cdfwrite
from numpy.typing import NDArray

RECORDS, BINS, CHANNELS = 12, 6, 5
START = "2017-01-01T00:00:00"
"""A leap second was added just before: TT2000 runs on, UTC does not."""
TIME = np.datetime64(START, "s").astype(np.float64) - 30 + 6.0 * np.arange(RECORDS)
"""(record,) s since 1970 UTC; the fifth is midnight."""
ENERGY = np.array([32.0, 16.0, 8.0, 4.0, 2.0], np.float32)
"""(channel,) keV."""
PITCH = np.array([15.0, 45.0, 75.0, 105.0, 135.0, 165.0], np.float32)
"""(bin,) degrees."""

_TYPES = {"f4": 44, "f8": 45, "i8": 8, "i4": 4, "u1": 11, "i2": 2, "U": 51}
_TIME_TYPES = {"CDF_EPOCH": 31, "CDF_EPOCH16": 32, "CDF_TIME_TT2000": 33}
_YEAR_0 = 62_167_219_200.0

Attributes = dict[str, Any]


def flux() -> NDArray[np.float32]:
    """(record, bin, channel) what was measured; one cell of it is missing."""
    rng = np.random.default_rng(7)
    values = rng.lognormal(3, 1, (RECORDS, BINS, CHANNELS)).astype(np.float32)
    values[3, 2, 1] = -1e31
    return values


@dataclass(frozen=True)
class Variable:
    """One variable to write."""

    name: str
    data: NDArray[Any]
    """(record, …) if it varies by record, else as it is."""
    attributes: Attributes
    varies: bool = True
    cdf_type: str = ""
    """Of an epoch."""


def epoch(cdf_type: str, time: NDArray[np.floating[Any]] = TIME) -> NDArray[Any]:
    """Times as a CDF type has them; TT2000 counts the leap seconds of 2016-12-31 and before."""
    if cdf_type == "CDF_EPOCH":
        return (time + _YEAR_0) * 1e3
    if cdf_type == "CDF_EPOCH16":
        return (time + _YEAR_0) + 0j
    # 32.184 s from TAI to TT, 10 s and the 26 or 27 leap seconds since 1972; from J2000, noon.
    leap = np.where(time >= np.datetime64(START, "s").astype(np.float64), 37.0, 36.0)
    return np.round((time - 946_728_000.0 + leap + 32.184) * 1e9).astype(np.int64)


def variables(cdf_type: str = "CDF_TIME_TT2000") -> dict[str, Variable]:
    """A flux by record, pitch-angle bin and energy, and what it depends on."""
    fill = {"FILLVAL": np.float32(-1e31)}
    return {
        one.name: one
        for one in (
            Variable("Epoch", epoch(cdf_type), {"VAR_TYPE": "support_data"}, cdf_type=cdf_type),
            Variable(
                "Flux",
                flux(),
                {
                    "DEPEND_0": "Epoch",
                    "DEPEND_1": "Pitch",
                    "DEPEND_2": "Energy",
                    "UNITS": "cm!U-2!N s!U-1!N sr!U-1!N keV!U-1!N",
                    "LABLAXIS": "Proton flux",
                    "CATDESC": "Differential proton flux",
                    "SCALETYP": "log",
                    "DISPLAY_TYPE": "spectrogram",
                    "VAR_TYPE": "data",
                    "VALIDMIN": np.float32(0),
                    "VALIDMAX": np.float32(1e6),
                    **fill,
                },
            ),
            Variable("Energy", ENERGY, {"UNITS": "keV", "SCALETYP": "log", **fill}, varies=False),
            Variable(
                "Pitch", PITCH, {"UNITS": "deg", "LABLAXIS": "Pitch angle", **fill}, varies=False
            ),
        )
    }


def with_energy_first(given: Mapping[str, Variable]) -> dict[str, Variable]:
    """The same, its axes in the order record, energy, angle."""
    value = given["Flux"]
    turned = {**value.attributes, "DEPEND_1": "Energy", "DEPEND_2": "Pitch"}
    data = np.ascontiguousarray(np.moveaxis(value.data, 1, 2))
    return {**given, "Flux": replace(value, data=data, attributes=turned)}


def with_energies(given: Mapping[str, Variable], energy: NDArray[Any]) -> dict[str, Variable]:
    """The same with other energies, which vary by record if their first axis is that of records."""
    varies = len(energy) == RECORDS
    return {**given, "Energy": replace(given["Energy"], data=energy, varies=varies)}


def write(
    path: Path,
    given: Mapping[str, Variable],
    *,
    compressed: bool = False,
    r_variables: bool = False,
    source: str = "TST>Test mission",
) -> Path:
    """By cdflib: row-major."""
    spec = {"Majority": "row_major", "Encoding": cdfwrite.CDF.IBMPC_ENCODING}
    sizes = [BINS, CHANNELS]
    if r_variables:
        spec["rDim_sizes"] = sizes
    path.unlink(missing_ok=True)
    cdf = cdfwrite.CDF(path, cdf_spec=spec)
    cdf.write_globalattrs({"Source_name": {0: source}, "Descriptor": {0: "PART>Particles"}})
    for one in given.values():
        shape = one.data.shape[1:] if one.varies else one.data.shape
        text = one.data.dtype.kind == "U"
        kind = _TIME_TYPES.get(one.cdf_type) or _TYPES["U" if text else one.data.dtype.str[1:]]
        declared = {
            "Variable": one.name,
            "Data_Type": kind,
            "Num_Elements": one.data.dtype.itemsize // 4 if text else 1,
            "Rec_Vary": one.varies,
            "Dim_Sizes": [] if r_variables else list(shape),
            "Compress": 6 if compressed else 0,
        }
        if r_variables:
            # All r-variables have the file's dimensions, and vary along some of them.
            declared |= {"Var_Type": "rVariable", "Dim_Vary": [size in shape for size in sizes]}
        cdf.write_var(declared, var_attrs=_typed(one.attributes), var_data=one.data)
    cdf.close()
    return path


def write_column_major(path: Path, given: Mapping[str, Variable]) -> Path:
    """By pycdfpp: column-major, the whole file compressed."""
    import pycdfpp

    cdf = pycdfpp.CDF()
    cdf.majority = pycdfpp.Majority.column
    cdf.compression = pycdfpp.CompressionType.gzip_compression
    cdf.add_attribute("Source_name", ["TST>Test mission"])
    cdf.add_attribute("Descriptor", ["PART>Particles"])
    for one in given.values():
        data, kind = one.data, None
        if one.cdf_type:
            kind = getattr(pycdfpp.DataType, one.cdf_type)
            data = TIME.astype("datetime64[s]").astype("datetime64[ns]")
        attributes = {
            name: value if isinstance(value, str) else [value]
            for name, value in one.attributes.items()
        }
        cdf.add_variable(
            one.name,
            values=data if one.varies else data[None],
            data_type=kind,
            is_nrv=not one.varies,
            attributes=attributes,
        )
    assert pycdfpp.save(cdf, str(path))
    return path


def _typed(attributes: Attributes) -> Attributes:
    """Numbers with their CDF type, which cdflib does not take from numpy; arrays as lists."""
    names = {"f": "CDF_FLOAT", "d": "CDF_DOUBLE", "l": "CDF_INT8", "i": "CDF_INT4"}
    names["B"] = "CDF_UINT1"
    return {
        name: value
        if isinstance(value, str)
        else value.tolist()
        if isinstance(value, np.ndarray)
        else [value.item(), names[np.dtype(type(value)).char]]
        for name, value in attributes.items()
    }
