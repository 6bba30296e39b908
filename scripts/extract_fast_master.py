"""Rewrite the demo's description of FAST ESA level-2 files from NASA's master CDF.

Usage: python scripts/extract_fast_master.py fa_esa_l2_eeb_00000000_v01.cdf

The result, src/spectro_mpi/demo/master.json, holds the master's attributes, variable
declarations and calibration tables; the demo fills in the records.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cdflib
import numpy as np

RESOURCE = Path(__file__).parents[1] / "src/spectro_mpi/demo/master.json"
CHANNELS = {0: 48, 2: 96}
BURST_BINS = 32


def main(master_path: str) -> None:
    master = cdflib.CDF(master_path)
    described = {
        "global": {name: str(values[0]) for name, values in master.globalattsget().items()},
        "variables": [describe(master, name) for name in master.cdf_info().zVariables],
        "tables": calibration_tables(master),
    }
    # One line per variable: readable in a diff, and not ten thousand lines.
    variables = ",\n".join("  " + json.dumps(variable) for variable in described["variables"])
    RESOURCE.write_text(
        "{\n"
        f' "global": {json.dumps(described["global"], indent=2)},\n'
        f' "variables": [\n{variables}\n ],\n'
        f' "tables": {json.dumps(described["tables"])}\n'
        "}\n",
        encoding="utf-8",
    )


def describe(master: Any, name: str) -> dict[str, Any]:
    """The declaration of one variable, and its attributes as text or [number, CDF type]."""
    declared = master.varinq(name)
    attributes: dict[str, Any] = {}
    for attribute in master.varattsget(name):
        entry = master.attget(attribute, name)
        value = entry.Data
        if not isinstance(value, str):
            value = [shortest(value), entry.Data_Type.removeprefix("CDF_")]
        attributes[attribute] = value
    return {
        "name": name,
        "type": declared.Data_Type,
        "elements": declared.Num_Elements,
        "dims": list(declared.Dim_Sizes),
        "record_varying": declared.Rec_Vary,
        "attributes": attributes,
    }


def calibration_tables(master: Any) -> dict[str, Any]:
    """Energy tables by mode (they are the same for every bin) and relative responses by bin."""
    tables: dict[str, Any] = {}
    for name in ("energy", "denergy", "eff"):
        table = master.varget(name)
        tables[name] = {
            str(mode): [shortest(value) for value in table[mode, 0, :channels]]
            for mode, channels in CHANNELS.items()
        }
    tables["gf"] = [shortest(value) for value in master.varget("gf")[:BURST_BINS, 0]]
    for name in ("dead", "mass"):
        tables[name] = shortest(master.varget(name))
    return tables


def shortest(value: Any) -> float | int:
    """The shortest decimal that reads back as this number: -1e+31, not -9.999999848243207e+30."""
    scalar = np.asarray(value).reshape(-1)[0]
    return int(scalar) if np.issubdtype(scalar.dtype, np.integer) else float(str(scalar))


if __name__ == "__main__":
    main(sys.argv[1])
