"""Names of exported files, and what their global attributes say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timezone

from spectro_mpi.model.plain import plain_text
from spectro_mpi.model.spectrogram import SEPARATOR, Spectrogram

DIGEST = "Export_digest"
"""Global attribute of CDF and netCDF: digest of what the file was made from (`exporting`)."""
RUN_ID = "Run_id"
"""Global attribute: the run that the file was made from."""
_VERSION = "01"
_MOST_LETTERS = 60


def logical_source(spectrogram: Spectrogram) -> str:
    """The Logical_source of files of an instrument: "fast-esa_ees_eflux"."""
    legend = spectrogram.legend
    mission = _word(legend.mission or legend.source or "spectrogram")
    return "_".join((mission, _word(spectrogram.instrument), _word(spectrogram.quantity)))


def file_stem(spectrogram: Spectrogram, item: str) -> str:
    """The name of a file without its extension, which is also its Logical_file_id.

    Such as "fast-esa_ees_eflux_20000101003403_13312_v01": with the time of the first record, whose
    records are in order of time.
    """
    start = datetime.fromtimestamp(float(spectrogram.time[0]), timezone.utc)
    return "_".join(
        (logical_source(spectrogram), f"{start:%Y%m%d%H%M%S}", _unique(item), f"v{_VERSION}")
    )


def global_attributes(
    spectrogram: Spectrogram, item: str, run_id: str, left_out: int, today: datetime
) -> dict[str, str | list[str]]:
    """The global attributes of a CDF file, by the ISTP guidelines, in ASCII.

    What the store does not know (PI_name, Rules_of_use, …) is blank. `left_out`: number of records
    without a time.
    """
    legend, made = spectrogram.legend, spectrogram.provenance
    program = made.software.partition(",")[0] or "spectro-mpi"
    source, title = logical_source(spectrogram), legend.title or spectrogram.instrument
    mission = legend.mission or legend.source or title
    head, name, quantity = source.split("_")
    sources = spectrogram.source.split(SEPARATOR)
    texts: dict[str, str | list[str]] = {
        "Project": mission,
        "Source_name": f"{head}>{mission}",
        "Discipline": "Space Physics>Magnetospheric Science",
        "Data_type": f"{name}>{legend.name or title}",
        "Descriptor": f"{quantity}>{legend.long_name or quantity}",
        "File_naming_convention": "source_datatype_descriptor_yyyyMMddHHmmss_item",
        "Data_version": _VERSION,
        "PI_name": "",
        "PI_affiliation": "",
        "TEXT": f"{legend.long_name}. Reduced by {program} from {spectrogram.source}.",
        "Instrument_type": "Particles (space)",
        "Mission_group": mission,
        "Logical_source": source,
        "Logical_file_id": file_stem(spectrogram, item),
        "Logical_source_description": f"{title}: {quantity}",
        "TITLE": title,
        "Generated_by": program,
        "Generation_date": f"{today:%Y%m%d}",
        "Rules_of_use": "",
        "Acknowledgement": "",
        "Parents": [f"CDF>{file}" for file in sources],
        "Parents_sha256": made.sha256.split(SEPARATOR),
        "Item": item,
        "Settings_digest": made.settings,
        "Angle_weight": made.weight,
        "Angle_borders": made.borders,
        "Cadence": made.cadence,
        "Ephemeris": made.ephemeris,
        "Software": made.software,
        "Records_left_out": str(left_out),
        RUN_ID: run_id,
    }
    return {
        name: plain_text(text) if isinstance(text, str) else list(map(plain_text, text))
        for name, text in texts.items()
    }


def with_given(
    about: Mapping[str, str | list[str]], given: Mapping[str, str]
) -> dict[str, str | list[str]]:
    """Attributes with those that the user gives in place of them."""
    return {**about, **{name: plain_text(text) for name, text in given.items()}}


def _word(text: str) -> str:
    """A part of a name: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", plain_text(text).lower())[:_MOST_LETTERS].strip("-") or "x"


def _unique(item: str) -> str:
    """An item in the name of a file; one that had to be changed carries a digest of its id."""
    word = re.sub(r"[^A-Za-z0-9.-]+", "-", plain_text(item))[:_MOST_LETTERS]
    return word if word == item else f"{word}-{hashlib.sha256(item.encode()).hexdigest()[:6]}"
