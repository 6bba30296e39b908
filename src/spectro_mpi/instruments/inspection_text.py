"""Write inspections of CDF files: as settings with comments, or as JSON.

Text from files is never syntax: `_comment` and `_quoted` are the only ways in which it gets into
the output. The settings are loaded again, and compared, before anybody sees them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.inert import inert, is_inert
from spectro_mpi.instruments.inspection import Inspection, folders_of
from spectro_mpi.instruments.preset import Preset
from spectro_mpi.instruments.presets import presets_knowing
from spectro_mpi.instruments.proposals import Drawable
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.loading import config_from_text
from spectro_mpi.settings.presets import preset_named
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count

_PROPOSED = 4
"""Variables drawn by the proposed settings; the others are in comments."""
_LISTED = 12
"""Further tables, and lines of a list, without `--all`."""
_KEYS = (
    *("name", "file", "value", "time", "energy", "energy_units", "pitch_angle", "angles"),
    "master",
)
_PLAIN_REASONS = ("holds text", "is a time", "is one number", "is support data", "is metadata")
"""Beginnings of reasons that nobody needs to read."""
_NO_TIME = "has no DEPEND_0: it does not vary with time"


def as_toml(
    inspections: Sequence[Inspection], paths: Sequence[Path] = (), everything: bool = False
) -> str:
    """The inspections as a settings file; all except the proposed settings is in comments.

    `paths` are the files and folders that were given. `everything`: leave out no variable. Raises
    `UserError` if the settings would not mean what is proposed.
    """
    lines: list[str] = []
    for inspection in inspections:
        lines += [*_about(inspection, everything), "#"]
    lines.pop()
    variables = in_order(inspections)
    if variables:
        folders = [str(folder) for folder in folders_of(inspections, paths)]
        preset = _preset(inspections)
        if preset is not None:
            proposed, run_id = [], Config().run_id
            settings = _settings_of_preset(*preset, inspections, folders)
        else:
            proposed, run_id = _proposed(variables), _run_id(inspections)
            settings = _settings(variables, proposed, run_id, folders, everything)
        lines += ["", *settings]
        _check("\n".join(lines), run_id, folders, [each.table for each in proposed])
    return "\n".join(lines) + "\n"


def as_json(inspections: Sequence[Inspection], paths: Sequence[Path] = ()) -> str:
    """The inspections as JSON, for programs."""
    first = inspections[0]
    return json.dumps(
        {
            "path": str(first.path),
            "title": first.title,
            "pattern": first.pattern,
            "files": [
                {
                    "path": str(one.path),
                    "pattern": one.pattern,
                    "title": one.title,
                    "like": one.files,
                }
                for one in inspections
            ],
            "drawable": [asdict(variable) for variable in in_order(inspections)],
            "others": {name: why for one in reversed(inspections) for name, why in one.others},
            "toml": as_toml(inspections, paths, everything=True),
        },
        indent=1,
    )


def in_order(inspections: Iterable[Inspection]) -> list[Drawable]:
    """The variables of all files; what a scientist would draw first is first."""
    variables = [variable for one in inspections for variable in one.drawable]
    return sorted(variables, key=lambda variable: variable.rank)


def _about(inspection: Inspection, everything: bool) -> Iterator[str]:
    """Comments on the files of one pattern and their variables."""
    like = f" ({inspection.files} files like it)" if inspection.files > 1 else ""
    yield _comment(f"{inspection.path.name}: {inspection.title}{like}")
    yield "#"
    for name, preset in presets_knowing(inspection.path.name):
        yield _comment(f"This is a {preset.files}: the preset {name} draws it without tables.")
    if inspection.master:
        yield _comment(f"What it lacks is from the master {inspection.master}")
    most = len(inspection.drawable) if everything else _PROPOSED + _LISTED
    yield "# Can be drawn:" if inspection.drawable else "# No variable can be drawn."
    for variable in inspection.drawable[:most]:
        axes = " x ".join(
            f"{axis}*" if axis.startswith(f"{variable.energy} ") else axis for axis in variable.axes
        )
        remarks = f" ({'; '.join(variable.remarks)})" if variable.remarks else ""
        yield _comment(
            f"  {variable.name}: {variable.records} records of {axes}, "
            f"{variable.units or 'no units'}{remarks}"
        )
    if len(inspection.drawable) > most:
        yield f"#   … and {len(inspection.drawable) - most} more: --all lists them"
    if inspection.drawable:
        yield "#   (* becomes the vertical axis)"
    yield from _cannot(inspection, everything)


def _cannot(inspection: Inspection, everything: bool) -> Iterator[str]:
    """Comments on the variables that cannot be drawn."""
    shown = [
        (name, why)
        for name, why in inspection.others
        if everything or not (why.startswith(_PLAIN_REASONS) or why == _NO_TIME)
    ]
    most = len(shown) if everything else _LISTED
    if shown:
        yield "# Cannot be drawn:"
        yield from (_comment(f"  {name}: {why}") for name, why in shown[:most])
        if len(shown) > most:
            yield f"#   … and {len(shown) - most} more: --all lists them"
    if hidden := len(inspection.others) - len(shown):
        yield f"# {count(hidden, 'other')} (text, times, tables, single numbers): --all lists them"


def _proposed(variables: Sequence[Drawable]) -> list[Drawable]:
    """The variables to draw: the first few that are worth it, or else the first few."""
    worth = [variable for variable in variables if variable.is_first_choice]
    return (worth or list(variables))[:_PROPOSED]


def _run_id(inspections: Sequence[Inspection]) -> str:
    """A name for the run: what the names of all files begin with."""
    patterns = [inspection.pattern for inspection in inspections]
    shared = os.path.commonprefix(patterns)  # noqa: RUF071 - letter by letter
    name = re.sub(r"\{.*", "", shared).rstrip("_-.") or inspections[0].path.stem
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "run"


def _preset(inspections: Sequence[Inspection]) -> tuple[str, Preset] | None:
    """(name, preset) that reads most files without tables, unless variables were named."""
    if any(inspection.is_of_names for inspection in inspections):
        return None
    most = max((one for one in inspections if one.drawable), key=lambda one: one.files)
    return next(presets_knowing(most.path.name), None)


def _settings_of_preset(
    name: str, preset: Preset, inspections: Sequence[Inspection], folders: Sequence[str]
) -> Iterator[str]:
    """The lines of settings that draw the files with a preset."""
    read = {one.path.name: list(preset.names(one.path.name)) for one in inspections}
    for one in inspections:
        if one.drawable and not read[one.path.name]:
            yield _comment(f"{one.path.name} is left out: inspect it alone for settings.")
    yield from _input(Config().run_id, folders, name)
    known = preset_named(name).instruments
    there = {each.instrument for names in read.values() for each in names}
    if there != set(known):
        yield ""
        yield "[select]"
        yield f"instruments = {_quoted([each for each in known if each in there])}"


def _input(run_id: str, folders: Sequence[str], preset: str) -> Iterator[str]:
    """The lines that every proposal begins with."""
    yield f"run_id = {_quoted(run_id)}"
    yield f"input = {_quoted(folders[0] if len(folders) == 1 else folders)}"
    yield ""
    yield "[data]"
    yield f"preset = {_quoted(preset)}"


def _settings(
    variables: Sequence[Drawable],
    proposed: Sequence[Drawable],
    run_id: str,
    folders: Sequence[str],
    everything: bool,
) -> Iterator[str]:
    """The lines of the proposed settings."""
    by_angle = any(variable.table.pitch_angle for variable in proposed)
    kinds = ["instrument-grid"] if len(proposed) > 1 else []
    if by_angle or not kinds:
        kinds = ["pitch-angle", *kinds]
    yield from _input(run_id, folders, "istp")
    yield ""
    if by_angle:
        yield "[pitch_angles]                # degrees, for angles from 0 to 180 or to 360"
        for name, intervals in Config().intervals.items():
            if name != "all":
                yield f"{name} = {_quoted([[round(end) for end in pair] for pair in intervals])}"
        yield ""
    yield "[plot]"
    # A variable with SCALETYP "linear" is never drawn otherwise; the pair is for the others.
    scales = [
        "linear" if set(each) == {"linear"} else "log"
        for each in zip(*(variable.scales for variable in proposed), strict=True)
    ]
    yield f"scales = [{_quoted(scales)}]        # energy and colour, by SCALETYP"
    yield f"kinds = {_quoted(kinds)}"
    others = [variable for variable in variables if variable not in proposed]
    for variable in proposed:
        yield from _table(variable, "")
    for variable in others if everything else others[:_LISTED]:
        yield from _table(variable, "# ")


def _table(variable: Drawable, mark: str) -> Iterator[str]:
    """The lines of an `[[instrument]]` table; `mark` makes comments of them."""
    yield ""
    yield f"{mark}[[instrument]]                {_comment(variable.label)}"
    for key in _KEYS:
        value = getattr(variable.table, key)
        if value != "":
            yield f"{mark}{key} = {_quoted(value)}"
    if variable.scales[1] == "linear":
        yield '# z_scale = "log"              # if the file says linear by mistake'
    for remark in variable.remarks:
        yield _comment(remark)


def _check(
    text: str, run_id: str, folders: Sequence[str], tables: Sequence[InstrumentTable]
) -> None:
    """Raise `UserError` unless the text, as settings, has these values."""
    try:
        config = config_from_text(text, Path("/"), "the proposed settings")
    except UserError:
        raise _unfit(folders) from None
    loaded = [replace(table, master_sha256="") for table in config.instrument]
    resolved = [
        replace(table, master=str(Path(table.master).resolve())) if table.master else table
        for table in tables
    ]
    if (config.run_id, list(config.inputs), loaded) != (run_id, list(folders), resolved):
        raise _unfit(folders)


def _unfit(folders: Sequence[str]) -> UserError:
    return UserError(
        f"{', '.join(folders)}: settings cannot hold this path, or a name in its files, as it is; "
        "give the file or its folder another name"
    )


def _quoted(value: Any) -> str:
    """The value in TOML: as in JSON, but every character that could act is an escape."""
    return "".join(map(_toml_letter, json.dumps(value, ensure_ascii=False)))


def _comment(text: str) -> str:
    """A comment of one line, in which no character can end it or change how it looks."""
    return f"# {inert(text)}".rstrip()


def _toml_letter(letter: str) -> str:
    if is_inert(letter):
        return letter
    number = ord(letter)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
