"""Writes FAST ESA level-2 files: declarations and attributes, then records, then tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cdflib import cdfwrite

from spectro_mpi.demo.orbits import FilePlan
from spectro_mpi.demo.records import BLOCK_RECORDS, GZIP_LEVEL, RecordWriter
from spectro_mpi.demo.tables import BINS, CHANNELS, FILL, Instrument, master, mode_tables

Columns = Mapping[str, npt.NDArray[np.generic]]

_CDF_CHAR = 51
_TABLES_BY_MODE = ("energy", "denergy", "theta", "dtheta", "eff")
_ION_MASS = 0.0104389  # eV/(km/s)², the level-2 value for protons
_PLACEHOLDER = b"?" * len("fa_esa_l2_ees_20000101001737_13312_v01")


def fill_value(name: str) -> float:
    """Return the FILLVAL of a variable of the master file."""
    (variable,) = (v for v in master()["variables"] if v["name"] == name)
    return float(variable["attributes"]["FILLVAL"][0])


def write_cdf(
    path: Path,
    file: FilePlan,
    blocks: Iterable[Columns],
    reshaped: Mapping[str, tuple[int, ...]] | None = None,
    without: frozenset[str] = frozenset(),
) -> None:
    """Write one CDF file.

    A block maps names of variables to arrays of shape (record, *dims), with at most
    BLOCK_RECORDS records; an array of shape (1, *dims) applies to every record of the block. To
    make damaged files, `reshaped` maps names to other shapes of a record, and `without` names
    variables to leave out.
    """
    instrument = file.instrument
    shapes = tuple(sorted((reshaped or {}).items()))
    modes = (_table_modes(file), len(file.modes))
    declared = _declarations(instrument, file.version, modes, shapes, without)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(declared.replace(_PLACEHOLDER, Path(file.name).stem.encode()))
    count = 0
    with RecordWriter(path) as writer:
        for block in blocks:
            size = len(block["time_unix"])
            count += size
            for name, values in block.items():
                if name in without:
                    continue
                if len(values) == size:
                    writer.append(name, values)
                else:
                    writer.append_repeated(name, values[0], size)
        for name, value in _tables(instrument, _table_modes(file), file.modes).items():
            writer.append(name, value[None])
        for name, value in _file_facts(file, count).items():
            writer.append(name, value)


@lru_cache
def _declarations(
    instrument: Instrument,
    version: int,
    modes: tuple[int, int],
    reshaped: tuple[tuple[str, tuple[int, ...]], ...],
    without: frozenset[str],
) -> bytes:
    """Return the bytes of a CDF with all declarations, attributes and labels, but no records.

    cdflib needs more time for the thousand attributes than for the records, so they are cached.
    In all files of an instrument they differ only in the name of the file: here it is a
    placeholder of the same length.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "declarations.cdf"
        layout = {"Majority": "row_major", "Encoding": cdfwrite.CDF.IBMPC_ENCODING}
        cdf = cdfwrite.CDF(path, cdf_spec=layout)
        texts_of_file = _global_attributes(instrument, version)
        cdf.write_globalattrs({name: {0: text} for name, text in texts_of_file.items()})
        shapes = _table_shapes(instrument, *modes) | dict(reshaped)
        texts = _texts(instrument)
        for variable in master()["variables"]:
            name = variable["name"]
            if name in without:
                continue
            spec = {
                "Variable": name,
                "Data_Type": variable["type"],
                "Num_Elements": variable["elements"],
                "Rec_Vary": variable["record_varying"],
                "Dim_Sizes": list(shapes.get(name, variable["dims"])),
                "Compress": GZIP_LEVEL,
                "Block_Factor": BLOCK_RECORDS if variable["record_varying"] else 1,
                "Pad": None,
            }
            attributes = {
                key: _attribute(value, instrument) for key, value in variable["attributes"].items()
            }
            if variable["type"] == _CDF_CHAR:
                spec |= {"Num_Elements": max(map(len, texts[name])), "Compress": 0}
            cdf.write_var(spec, var_attrs=attributes, var_data=texts.get(name))
        cdf.close()
        return path.read_bytes()


def _table_modes(file: FilePlan) -> int:
    """Return the size of the tables in modes; survey files rarely use the third mode."""
    return 3 if file.instrument.burst or 2 in file.modes else 2


def _table_shapes(
    instrument: Instrument, table_modes: int, modes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tables by name.

    They differ from the master, an electron burst file: survey tables hold 64 angles, and a file
    in several `modes` has a table of `bins` and `gf` for each.
    """
    by_angle = (instrument.table_bins, CHANNELS)
    first = (modes,) if modes > 1 else ()
    return {name: (table_modes, *by_angle) for name in _TABLES_BY_MODE} | {
        "bins": (*first, *by_angle),
        "gf": (*first, BINS, CHANNELS),
    }


def _attribute(value: Any, instrument: Instrument) -> Any:
    if isinstance(value, str):
        return _in_words_of(instrument, value)
    number, cdf_type = value
    return [number, f"CDF_{cdf_type}"]


def _global_attributes(instrument: Instrument, version: int) -> dict[str, str]:
    attributes = {n: _in_words_of(instrument, v) for n, v in master()["global"].items()}
    attributes |= {
        "Data_version": str(version),
        "Generated_by": "spectro-mpi demo: simulated data",
        "Logical_file_id": _PLACEHOLDER.decode(),
    }
    if instrument.name != "eeb":
        # It identifies the data set of the master; those of the others are not known.
        del attributes["spase_DatasetResourceID"]
    return attributes


def _in_words_of(instrument: Instrument, text: str) -> str:
    species, rate = instrument.species, instrument.rate
    for old, new in (
        ("burst-mode electron", f"{rate.lower()}-mode {species.lower()}"),
        ("Burst Electron", f"{rate} {species}"),
        ("Electron Burst", f"{species} {rate}"),
        ("Eesa Burst", instrument.data_name),
        ("l2_eeb", f"l2_{instrument.name}"),
    ):
        text = text.replace(old, new)
    return text


def _texts(instrument: Instrument) -> dict[str, list[str]]:
    """Return the values of the text variables; labels are right-justified as in the master."""
    eflux = f"{instrument.rate} {instrument.species} eflux"
    labels = {
        "energy_labl_96": [f"energy@Energy #{i}" for i in range(CHANNELS)],
        "angle_labl_64": [f"angle@PA #{i}" for i in range(BINS)],
        "eflux_bypitch_labl": [f"{eflux} @ PA #{i + 1}" for i in range(BINS)],
        "eflux_byenergy_labl": [f"{eflux} @ Energy #{i + 1}" for i in range(CHANNELS)],
    }
    width = {name: max(map(len, values)) for name, values in labels.items()}
    return {
        "project_name": ["FAST"],
        "data_name": [instrument.data_name],
        "data_level": ["Level 1"],
        "units_name": ["Compressed"],
        "units_procedure": ["fa_convert_esa_units"],
    } | {name: [v.rjust(width[name]) for v in values] for name, values in labels.items()}


@lru_cache
def _tables(
    instrument: Instrument, table_modes: int, modes: frozenset[int]
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the variables that do not vary by record, but by instrument and modes only."""
    bins = instrument.table_bins
    tables: dict[str, npt.NDArray[np.generic]] = {}
    for name in _TABLES_BY_MODE:
        unused = np.float32(0) if name == "eff" else FILL
        table = np.full((table_modes, bins, CHANNELS), unused, dtype="<f4")
        for mode in modes:
            table[mode] = getattr(mode_tables(mode), name)[:bins]
        tables[name] = table
    gf = np.stack([mode_tables(mode).gf for mode in sorted(modes)])
    flagged = np.zeros((len(modes), bins, CHANNELS), dtype="u1")
    for row, mode in enumerate(sorted(modes)):
        # The first channel is the flyback of the sweep: it is excluded in every mode.
        flagged[row, : mode_tables(mode).nbins, 1 : mode_tables(mode).nenergy] = 1
    if len(modes) == 1:
        gf, flagged = gf[0], flagged[0]
    measured = master()["tables"]
    return tables | {
        "gf": gf.astype("<f4"),
        "bins": flagged,
        "bkg_arr": np.zeros((BINS, CHANNELS), dtype="<f4"),
        "dead": np.array(measured["dead"], dtype="<f4"),
        "mass": np.array(measured["mass"] if instrument.electrons else _ION_MASS, dtype="<f4"),
        "charge": np.array(-1 if instrument.electrons else 1, dtype="<i2"),
        "compno_96": np.arange(1, CHANNELS + 1, dtype="<i2"),
        "compno_64": np.arange(1, BINS + 1, dtype="<i2"),
    }


def _file_facts(file: FilePlan, records: int) -> dict[str, npt.NDArray[np.generic]]:
    number = np.array([file.orbit], dtype="<i4")
    times = np.array([file.segments[0].start, file.segments[-1].end], dtype="<f8")
    return {
        "num_dists": np.array([records], dtype="<i4"),
        "orbit_start": number,
        "orbit_end": number,
        "orbit_number": np.repeat(number, 2),
        "orbit_number_time": times,
        "orbit_number_epoch": cdf_epoch(times),
    }


def cdf_epoch(unix_time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert s since 1970 to CDF_EPOCH, ms since the year 0 without leap seconds."""
    return (unix_time + 62_167_219_200.0) * 1000.0
