"""What of a CDF file can be drawn, why the rest cannot, and the settings that draw it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spectro_mpi.errors import InvalidCdfError, UserError
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader
from spectro_mpi.instruments.istp import EVERYTHING, IstpFile
from spectro_mpi.instruments.istp_axes import NUMBERS, VariableAxes, axes_of
from spectro_mpi.instruments.presets import presets_knowing
from spectro_mpi.instruments.units import axis_unit, readable
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import InstrumentTable

_PROPOSED = 4
"""Variables drawn by the proposed settings; more stand there as comments."""
_DATES = (
    (r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d", "{date:%Y-%m-%d}"),
    (r"\d{4}_\d{2}_\d{2}", "%Y_%m_%d", "{date:%Y_%m_%d}"),
    (r"\d{8}T\d{6}", "%Y%m%dT%H%M%S", "{date}"),
    (r"\d{14}", "%Y%m%d%H%M%S", "{date}"),
    (r"\d{8}", "%Y%m%d", "{date}"),
    (r"\d{7}", "%Y%j", "{date:%Y%j}"),
)
_PITCH_ANGLE = re.compile(r"pitch|(^|_)pa(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Drawable:
    """A variable that can be drawn."""

    name: str
    records: int
    axes: tuple[str, ...]
    """The variable along each axis of a record, with its size: "H_Energy (48)"."""
    energy: str
    """Which of them is the energy or frequency axis."""
    units: str
    label: str
    scales: tuple[str, str]
    """By SCALETYP: of the axis, and of the values."""
    table: InstrumentTable


@dataclass(frozen=True)
class Inspection:
    """What is in a file."""

    path: Path
    title: str
    """What its global attributes say it is of."""
    pattern: str
    """Of its name and those of others like it."""
    drawable: tuple[Drawable, ...]
    others: tuple[tuple[str, str], ...]
    """Names of the other variables, and why they cannot be drawn."""


def inspect_file(path: Path, wanted: Sequence[str] = ()) -> Inspection:
    """Look at a file; of `wanted` variables only, or of all.

    Raises `UserError` in a sentence if it cannot be read or has no variable of a wanted name.
    """
    try:
        reader = CdflibReader(path)
        unknown = [name for name in wanted if name not in reader.names]
        if unknown:
            raise UserError(f"{path}: has no variable {', '.join(unknown)}")
        return _inspect(reader, wanted)
    except InvalidCdfError as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise UserError(
            f"{path}: is damaged: a size in it asks for more memory than there is"
        ) from None


def as_toml(found: Inspection) -> str:
    """The whole inspection as a settings file: what is no setting stands in comments."""
    lines = [f"# {found.path.name}: {found.title}"]
    lines += ["#", "# Can be drawn:" if found.drawable else "# Nothing in it can be drawn."]
    for one in found.drawable:
        axes = " x ".join(
            f"{axis}*" if axis.startswith(f"{one.energy} ") else axis for axis in one.axes
        )
        lines.append(f"#   {one.name}: {one.records} records of {axes}, {one.units or 'no units'}")
    if found.drawable:
        lines.append("#   (* becomes the vertical axis)")
    if found.others:
        lines.append("# Cannot:")
        lines += [f"#   {name}: {why}" for name, why in found.others]
    for name, preset in presets_knowing(found.path.name):
        lines.append(f"# It is a {preset.files}: the preset {name} needs no tables.")
    if found.drawable:
        lines += ["", *_settings(found)]
    return "\n".join(lines) + "\n"


def as_json(found: Inspection) -> str:
    """The inspection for programs."""
    return json.dumps(
        {
            "path": str(found.path),
            "title": found.title,
            "pattern": found.pattern,
            "drawable": [asdict(one) for one in found.drawable],
            "others": dict(found.others),
            "toml": as_toml(found),
        },
        indent=1,
        ensure_ascii=False,
    )


def pattern_of(name: str) -> str:
    """A pattern for files named like this one: their dates, orbits and versions may differ."""
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


def _inspect(reader: CdfReader, wanted: Sequence[str]) -> Inspection:
    of_file = reader.global_attributes()
    names = (of_file.get(key, "").partition(">")[2] for key in ("Source_name", "Descriptor"))
    title = of_file.get("Logical_source_description", "") or ", ".join(filter(None, names))
    pattern = pattern_of(reader.path.name)
    drawable, others = [], []
    for name in sorted(reader.names):
        if wanted and name not in wanted:
            continue
        why = _why_not(reader, name, explicit=bool(wanted))
        if why:
            others.append((name, why))
            continue
        try:
            drawable.append(_drawable(reader, name, pattern))
        except InvalidCdfError as error:
            why = str(error).removeprefix(f"{reader.path}: ").removeprefix(f"{name} ")
            others.append((name, why.replace(f' in [[instrument]] "{_instrument(name)}"', "")))
    # Tables of energies and solid angles come after what was measured.
    drawable.sort(key=lambda one: axis_unit(one.units).kind == "energy" or "ster" in one.units)
    return Inspection(
        reader.path, title or "nothing is said of it", pattern, tuple(drawable), tuple(others)
    )


def _why_not(reader: CdfReader, name: str, explicit: bool) -> str:
    """In few words, why a variable is nothing to draw; empty if it may be."""
    attributes = reader.attributes(name)
    kind = str(attributes.get("VAR_TYPE", "data")).lower()
    if reader.kind(name) not in NUMBERS:
        return "holds text" if "CHAR" in reader.kind(name) else "is a time"
    if not reader.shape(name):
        return "is one number a record" if reader.records(name) > 1 else "is one number"
    if not explicit and kind not in ("data", "support_data"):
        return f"is {kind.replace('_', ' ')}"
    if "DEPEND_0" not in attributes:
        return "has no DEPEND_0: it does not vary with time"
    if not explicit and kind == "support_data":
        return "is support data"
    if not explicit and str(attributes.get("DISPLAY_TYPE", "")).lower().startswith("no_plot"):
        return "is not to be plotted, its DISPLAY_TYPE says"
    return ""


def _drawable(reader: CdfReader, name: str, pattern: str) -> Drawable:
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
    IstpFile(reader, table, EVERYTHING)  # what it cannot do is told here
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
    """The variable with the pitch angles of the bins: of all cells, or along one axis."""
    of_cells = [
        name
        for name in sorted(reader.names)
        if name != value
        and len(axes.shape) > 1
        and reader.kind(name) in NUMBERS
        and reader.shape(name) == axes.shape
        and reader.records(name) in (1, axes.records)
        and _is_pitch_angle(reader, name)
    ]
    along = [
        axes.depends[axis]
        for axis in axes.angle_axes
        if axes.depends[axis]
        and reader.kind(axes.depends[axis]) in NUMBERS
        and _is_pitch_angle(reader, axes.depends[axis])
    ]
    return next(iter([*of_cells, *along]), "")


def _is_pitch_angle(reader: CdfReader, name: str) -> bool:
    attributes = reader.attributes(name)
    words = [name, *(str(attributes.get(key, "")) for key in ("LABLAXIS", "FIELDNAM", "CATDESC"))]
    is_angle = re.match(r"deg|rad|°", str(attributes.get("UNITS", "")).strip().lower())
    return bool(is_angle) and any(_PITCH_ANGLE.search(one) for one in words)


def _scale(reader: CdfReader, name: str) -> str:
    given = str(reader.attributes(name).get("SCALETYP", "")).strip().lower()
    return "linear" if given.startswith("lin") else "log"


def _with_date(stem: str) -> str:
    """A stem with a place for the first date in it."""
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
    return re.sub(r"[^a-z0-9]+", "_", variable.lower()).strip("_") or "instrument"


def _settings(found: Inspection) -> Iterable[str]:
    drawn = found.drawable[:_PROPOSED]
    name = re.sub(r"\{.*", "", found.pattern).rstrip("_-.") or found.path.stem
    run_id = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "run"
    by_angle = any(one.table.pitch_angle for one in drawn)
    if by_angle:
        kinds = ["pitch-angle"] + ["instrument-grid"] * (len(drawn) > 1)
    else:
        kinds = ["instrument-grid"] if len(drawn) > 1 else ["pitch-angle"]
    yield f"run_id = {_quoted(run_id)}"
    yield f"input = {_quoted(str(found.path.absolute().parent))}"
    yield ""
    yield "[data]"
    yield 'preset = "istp"'
    yield ""
    if by_angle:
        yield "[pitch_angles]                # of angles from 0 to 180 degrees, or to 360"
        yield "parallel = [[0, 30], [330, 360]]"
        yield "perpendicular = [[60, 120], [240, 300]]"
        yield "antiparallel = [[150, 210]]"
        yield "downgoing = []                # takes away what FAST has"
        yield "upgoing = []"
        yield ""
    yield "[plot]"
    yield f"scales = [{_quoted(drawn[0].scales)}]        # energy and colour, by SCALETYP"
    yield f"kinds = {_quoted(kinds)}"
    for number, one in enumerate(found.drawable):
        comment = "" if number < _PROPOSED else "# "
        yield ""
        yield f"{comment}[[instrument]]                # {one.label}"
        for key, value in _of_table(one.table):
            yield f"{comment}{key} = {_quoted(value)}"


def _of_table(table: InstrumentTable) -> Iterable[tuple[str, Any]]:
    for key in ("name", "file", "value", "pitch_angle", "angles"):
        value = getattr(table, key)
        if value != "":
            yield key, value


def _quoted(value: Any) -> str:
    """As TOML, which has strings and lists of them as JSON has."""
    return json.dumps(value, ensure_ascii=False)
