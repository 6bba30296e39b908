"""Inspect a CDF file: which variables can be drawn, why others cannot, and proposed settings."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spectro_mpi.errors import InvalidCdfError, UserError
from spectro_mpi.inert import inert, is_inert
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader
from spectro_mpi.instruments.istp import IstpFile
from spectro_mpi.instruments.istp_axes import NUMBERS, VariableAxes, axes_of
from spectro_mpi.instruments.istp_rings import is_pitch_angle
from spectro_mpi.instruments.presets import presets_knowing
from spectro_mpi.instruments.units import axis_unit, readable
from spectro_mpi.model.distribution import EVERYTHING
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.toml import parsed_toml
from spectro_mpi.system.untrusted import UntrustedCalls

_CPU_SECONDS = 7
_MEMORY_MB = 800
"""What inspecting a file may take, besides the program itself."""
_PROPOSED = 4
"""Variables drawn by the proposed settings; the others are in comments."""
_DATES = (
    (r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d", "{date:%Y-%m-%d}"),
    (r"\d{4}_\d{2}_\d{2}", "%Y_%m_%d", "{date:%Y_%m_%d}"),
    (r"\d{8}T\d{6}", "%Y%m%dT%H%M%S", "{date}"),
    (r"\d{14}", "%Y%m%d%H%M%S", "{date}"),
    (r"\d{8}", "%Y%m%d", "{date}"),
    (r"\d{7}", "%Y%j", "{date:%Y%j}"),
)


@dataclass(frozen=True)
class Drawable:
    """A variable that can be drawn."""

    name: str
    records: int
    axes: tuple[str, ...]
    """The variable along each axis of a record, with the size of the axis: "H_Energy (48)"."""
    energy: str
    """Name of the variable along the energy or frequency axis."""
    units: str
    label: str
    scales: tuple[str, str]
    """Scale of the energy axis and of the values, from SCALETYP."""
    table: InstrumentTable
    """The `[[instrument]]` table that draws it."""


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting a file."""

    path: Path
    title: str
    """Description of the file, from its global attributes."""
    pattern: str
    """Pattern that matches its name and the names of similar files."""
    drawable: tuple[Drawable, ...]
    others: tuple[tuple[str, str], ...]
    """(name, why it cannot be drawn) of the other variables."""


def inspect_file(path: Path, names: Sequence[str] = ()) -> Inspection:
    """Inspect the variables called `names` of a file, or all if there are none.

    A separate process reads it, with limits of time and memory: a damaged file may need any amount
    of both. Raises `UserError` if the file cannot be read or has no variable of one of these names.
    """
    try:
        # cdflib inflates a compressed file into a temporary one, which a killed process leaves.
        with (
            tempfile.TemporaryDirectory(prefix="spectro-mpi-") as scratch,
            UntrustedCalls(_CPU_SECONDS, _MEMORY_MB) as untrusted,
        ):
            return untrusted(_inspect_here, path, tuple(names), scratch)
    except ChildProcessError:
        raise UserError(
            f"{path}: is damaged, or too large: reading it crashes or takes more than "
            f"{_CPU_SECONDS} s"
        ) from None
    except MemoryError:
        raise UserError(
            f"{path}: is damaged, or too large: reading it takes more than {_MEMORY_MB} MB"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _inspect_here(path: Path, names: Sequence[str], scratch: str) -> Inspection:
    """Inspect a file in this process, with temporary files in `scratch`."""
    tempfile.tempdir = scratch
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: is not a file")
    try:
        reader = CdflibReader(path)
        unknown = [name for name in names if name not in reader.names]
        if unknown:
            raise UserError(
                f"{path}: has no variable {', '.join(unknown)}; "
                f"`spectro-mpi inspect {path}` lists all variables"
            )
        return _inspect(reader, names)
    except InvalidCdfError as error:
        raise UserError(str(error)) from None
    except (OSError, MemoryError, UserError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its axes
        raise UserError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


def as_toml(inspection: Inspection) -> str:
    """The inspection as a settings file; all except the proposed settings is in comments."""
    lines = [f"# {inert(inspection.path.name)}: {inert(inspection.title)}", "#"]
    lines.append("# Can be drawn:" if inspection.drawable else "# No variable can be drawn.")
    for variable in inspection.drawable:
        axes = " x ".join(
            f"{axis}*" if axis.startswith(f"{variable.energy} ") else axis for axis in variable.axes
        )
        units = variable.units or "no units"
        lines.append(inert(f"#   {variable.name}: {variable.records} records of {axes}, {units}"))
    if inspection.drawable:
        lines.append("#   (* becomes the vertical axis)")
    if inspection.others:
        lines.append("# Cannot be drawn:")
        lines += [inert(f"#   {name}: {why}") for name, why in inspection.others]
    for name, preset in presets_knowing(inspection.path.name):
        lines.append(f"# This is a {preset.files}: the preset {name} needs no tables.")
    if inspection.drawable:
        lines += ["", *_settings(inspection)]
    text = "\n".join(lines) + "\n"
    _check_settings(text, inspection)
    return text


def _check_settings(text: str, inspection: Inspection) -> None:
    """Raise `UserError` unless the text, read as TOML, has the proposed settings and no others."""
    drawn = inspection.drawable[:_PROPOSED]
    try:
        table = parsed_toml(text)
        keys = {"run_id", "input", "data", "plot", "instrument", "pitch_angles"} if drawn else set()
        is_proposed = (
            table.keys() <= keys
            and table.get("input") in (None, str(inspection.path.absolute().parent))
            and table.get("instrument", []) == [dict(_keys_of(each.table)) for each in drawn]
        )
    except ValueError:
        is_proposed = False
    if not is_proposed:
        raise UserError(
            f"{inspection.path}: settings cannot hold its path, or a name in it, as it is; "
            "give the file or its folder another name"
        )


def as_json(inspection: Inspection) -> str:
    """The inspection as JSON, for programs."""
    return json.dumps(
        {
            "path": str(inspection.path),
            "title": inspection.title,
            "pattern": inspection.pattern,
            "drawable": [asdict(variable) for variable in inspection.drawable],
            "others": dict(inspection.others),
            "toml": as_toml(inspection),
        },
        indent=1,
    )


def pattern_of(name: str) -> str:
    """A pattern for files named like `name`, with other dates, orbits and versions."""
    stem = re.sub(r"\.cdf$", "", name, flags=re.IGNORECASE)
    stem, version = re.sub(r"([_-][vV])\d+(?:[._]r?\d+)*$", r"\1", stem), stem
    end = "{version}.cdf" if stem != version else ".cdf"
    pattern = ""
    for part in re.split(r"([_-])", _with_date(stem)):
        if "{date" in pattern and re.fullmatch(r"\d{6}", part):
            part = "*" if "{time}" in pattern else "{time}"
        elif "{date" in pattern and re.fullmatch(r"\d{4,5}", part) and "{orbit}" not in pattern:
            part = "{orbit}"
        elif "{" not in part and re.fullmatch(r"\d{8,14}", part):
            part = "*"
        pattern += part
    if "{" not in pattern:
        pattern = "{item}" if end == ".cdf" else re.sub(r"^.*(?=[_-][vV]$)", "{item}", pattern)
    try:
        matched = FilePattern(pattern + end).match(name)
    except ValueError:
        matched = None
    return pattern + end if matched else "{item}.cdf"


def _inspect(reader: CdfReader, names: Sequence[str]) -> Inspection:
    of_file = reader.global_attributes()
    titles = (of_file.get(key, "").partition(">")[2] for key in ("Source_name", "Descriptor"))
    title = of_file.get("Logical_source_description", "") or ", ".join(filter(None, titles))
    pattern = pattern_of(reader.path.name)
    drawable, others = [], []
    for name in sorted(reader.names):
        if names and name not in names:
            continue
        why = _why_not(reader, name, explicit=bool(names))
        if why:
            others.append((name, why))
            continue
        try:
            drawable.append(_drawable(reader, name, pattern))
        except InvalidCdfError as error:
            why = str(error).removeprefix(f"{reader.path}: ").removeprefix(f"{name} ")
            others.append((name, why.replace(f' in [[instrument]] "{_instrument(name)}"', "")))
    # Measured variables come before tables of energies and solid angles.
    drawable.sort(
        key=lambda variable: axis_unit(variable.units).kind == "energy" or "ster" in variable.units
    )
    return Inspection(
        reader.path, title or "no description", pattern, tuple(drawable), tuple(others)
    )


def _why_not(reader: CdfReader, name: str, explicit: bool) -> str:
    """Why a variable cannot be drawn, or empty; `explicit`: the user has named it."""
    attributes = reader.attributes(name)
    kind = str(attributes.get("VAR_TYPE", "data")).lower()
    if reader.kind(name) not in NUMBERS:
        return "holds text" if "CHAR" in reader.kind(name) else "is a time"
    if not reader.shape(name):
        return "is one number per record" if reader.records(name) > 1 else "is one number"
    if not explicit and kind not in ("data", "support_data"):
        return f"is {kind.replace('_', ' ')}"
    if "DEPEND_0" not in attributes:
        return "has no DEPEND_0: it does not vary with time"
    if not explicit and kind == "support_data":
        return "is support data"
    if not explicit and str(attributes.get("DISPLAY_TYPE", "")).lower().startswith("no_plot"):
        return "is not to be plotted, by its DISPLAY_TYPE"
    return ""


def _drawable(reader: CdfReader, name: str, pattern: str) -> Drawable:
    """The variable and its settings. Raises `InvalidCdfError` if it cannot be drawn."""
    plain = InstrumentTable(name=_instrument(name), file=pattern, value=name)
    axes = axes_of(reader, plain)
    attributes = reader.attributes(name)
    table = InstrumentTable(
        name=plain.name,
        file=pattern,
        value=name,
        pitch_angle=_pitch_angle_of(reader, name, axes),
        angles=IstpFile(reader, plain, EVERYTHING).combine if axes.angle_axes else "",
    )
    IstpFile(reader, table, EVERYTHING)  # raises if the table does not work
    return Drawable(
        name=name,
        records=axes.records,
        axes=tuple(
            f"{depend or (axes.energy if axis == axes.energy_axis else 'axis')} ({size})"
            for axis, (depend, size) in enumerate(zip(axes.depends, axes.shape, strict=True))
        ),
        energy=axes.depends[axes.energy_axis] or axes.energy,
        units=readable(str(attributes.get("UNITS", ""))),
        label=readable(str(attributes.get("LABLAXIS", "") or name)),
        scales=(_scale(reader, axes.energy), _scale(reader, name)),
        table=table,
    )


def _pitch_angle_of(reader: CdfReader, value: str, axes: VariableAxes) -> str:
    """The variable with the pitch angles, of each cell or along one axis; empty if none."""
    of_cells = [
        name
        for name in sorted(reader.names)
        if name != value
        and len(axes.shape) > 1
        and reader.kind(name) in NUMBERS
        and reader.shape(name) == axes.shape
        and reader.records(name) in (1, axes.records)
        and is_pitch_angle(reader, name)
    ]
    along = [
        axes.depends[axis]
        for axis in axes.angle_axes
        if axes.depends[axis]
        and reader.kind(axes.depends[axis]) in NUMBERS
        and is_pitch_angle(reader, axes.depends[axis])
    ]
    return next(iter([*of_cells, *along]), "")


def _scale(reader: CdfReader, name: str) -> str:
    """Scale ("linear" or "log") in the attribute SCALETYP of a variable."""
    given = str(reader.attributes(name).get("SCALETYP", "")).strip().lower()
    return "linear" if given.startswith("lin") else "log"


def _with_date(stem: str) -> str:
    """The stem with a placeholder for the first date in it, if there is one."""
    for regex, date_format, place in _DATES:
        for match in re.finditer(rf"(?<!\d){regex}(?!\d)", stem):
            try:
                year = datetime.strptime(match[0], date_format).year
            except ValueError:
                continue
            if 1957 <= year <= 2100:
                return stem[: match.start()] + place + stem[match.end() :]
    return stem


def _instrument(variable: str) -> str:
    """A valid instrument name for a variable."""
    return re.sub(r"[^a-z0-9]+", "_", variable.lower()).strip("_") or "instrument"


def _settings(inspection: Inspection) -> Iterable[str]:
    """The lines of the proposed settings."""
    drawn = inspection.drawable[:_PROPOSED]
    name = re.sub(r"\{.*", "", inspection.pattern).rstrip("_-.") or inspection.path.stem
    run_id = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "run"
    by_angle = any(variable.table.pitch_angle for variable in drawn)
    if by_angle:
        kinds = ["pitch-angle"] + ["instrument-grid"] * (len(drawn) > 1)
    else:
        kinds = ["instrument-grid"] if len(drawn) > 1 else ["pitch-angle"]
    yield f"run_id = {_quoted(run_id)}"
    yield f"input = {_quoted(str(inspection.path.absolute().parent))}"
    yield ""
    yield "[data]"
    yield 'preset = "istp"'
    yield ""
    if by_angle:
        yield "[pitch_angles]                # for angles from 0 to 180 or to 360 degrees"
        yield "parallel = [[0, 30], [330, 360]]"
        yield "perpendicular = [[60, 120], [240, 300]]"
        yield "antiparallel = [[150, 210]]"
        yield ""
    yield "[plot]"
    # A variable with SCALETYP "linear" is never drawn otherwise; the pair is for the others.
    scales = [
        "linear" if set(each) == {"linear"} else "log"
        for each in zip(*(variable.scales for variable in drawn), strict=True)
    ]
    yield f"scales = [{_quoted(scales)}]        # energy and colour, by SCALETYP"
    yield f"kinds = {_quoted(kinds)}"
    for number, variable in enumerate(inspection.drawable):
        comment = "" if number < _PROPOSED else "# "
        yield ""
        yield f"{comment}[[instrument]]                # {inert(variable.label)}"
        for key, value in _keys_of(variable.table):
            yield f"{comment}{key} = {_quoted(value)}"


def _keys_of(table: InstrumentTable) -> Iterable[tuple[str, Any]]:
    """(key, value) of the table, without empty values."""
    for key in ("name", "file", "value", "pitch_angle", "angles"):
        value = getattr(table, key)
        if value != "":
            yield key, value


def _quoted(value: Any) -> str:
    """The value in TOML: as in JSON, but every character that could act is an escape."""
    return "".join(map(_toml_letter, json.dumps(value, ensure_ascii=False)))


def _toml_letter(letter: str) -> str:
    if is_inert(letter):
        return letter
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
