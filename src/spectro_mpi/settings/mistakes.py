"""Mistakes in settings as sentences, which name a setting and its value as the user wrote them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.schema import _PITCH_ANGLES, AxisLimits, Config
from spectro_mpi.system.words import nearest

_SHOWN = 80
"""Characters shown of a value."""
_EITHER = {
    "input": 'a path, or paths such as ["2000", "2001"]',
    "select.skip": 'orbits or names of items, such as [13312, "13400"]',
    "instrument.energy": "the name of a variable, or numbers such as [10, 20, 40]",
    "instrument.energy_edges": (
        "numbers such as [5, 15, 30, 50], or pairs such as [[5, 15], [15, 30]]"
    ),
    "instrument.angles": '"mean", "sum", an index, or indices such as [0, 3]',
}
"""Settings that may have different types, of which pydantic reports every alternative."""
_FORMS = {
    "select.orbits": "13312-13400,13500",
    "select.start": "2000-01-01",
    "select.stop": "2000-01-01",
    "select.share": "2/4",
    "data.cadence": "60 s",
}
"""Texts that have a form → an example."""
_OF_NAMES = {"axes": AxisLimits, "pitch_angles": Direction}
"""Tables of named tables → what each of these holds."""
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "bool_type": "true or false, without quotes",
    "bool_parsing": "true or false, without quotes",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
"""Kind of error → key of its bound, and the words before it."""


def sentences(errors: Sequence[Any], table: dict[str, Any]) -> Iterator[str]:
    """The errors that pydantic found in a table of settings, one sentence for each setting."""
    errors = list(filter(None, (_of_one_type(error, table) for error in errors)))
    places = [error["loc"] for error in errors]
    told = set()
    for error in errors:
        loc = error["loc"]
        # pydantic calls a list too short if its entries are wrong: report only the entries.
        if any(place[: len(loc)] == loc != place for place in places):
            continue
        written = _written(loc)
        # Without names of instruments, there are none to select.
        is_derived = written == ("select", "instruments") and "instrument" in table
        if written not in told and not is_derived:
            told.add(written)
            yield _sentence(error, written, table)


def _of_one_type(error: Any, table: dict[str, Any]) -> dict[str, Any]:
    """An error on a category, if it is about the type that is meant, without the name of that type.

    pydantic reports what is wrong with a value for all types that it might have. Empty: another is
    meant. Errors on anything else are kept.
    """
    place = error["loc"]
    if place[:1] != ("pitch_angles",) or len(place) < 3:
        return dict(error)
    is_direction = isinstance(table["pitch_angles"][place[1]], dict)
    if is_direction != (place[2] == "Direction"):
        return {}
    return {**error, "loc": (*place[:2], *place[3:])}


def _written(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The part of a place that names a setting in a file: not the entries of its value."""
    for place in range(2 if loc[0] == "instrument" else 0, len(loc)):
        if isinstance(loc[place], int):
            return loc[:place]
        if _key(loc[: place + 1]) in _EITHER:
            return loc[: place + 1]
    return loc


def _key(place: tuple[str | int, ...]) -> str:
    """The dotted name of a setting, without the number of an `[[instrument]]` table."""
    parts = ("instrument", *place[2:]) if place[0] == "instrument" else place
    return ".".join(str(part) for part in parts)


def _sentence(error: Any, written: tuple[str | int, ...], table: dict[str, Any]) -> str:
    kind, loc = error["type"], error["loc"]
    where = _name_of(written, table)
    if kind == "json_invalid":
        return "a name or value has bytes that are not UTF-8"
    if kind == "unexpected_keyword_argument":
        return f"{where}: there is no such setting{_nearest(loc)}"
    if kind == "missing" and loc == written:
        return f"{where}: is missing"
    value: Any = table
    for part in written:
        value = value[part]
    shown = json.dumps(value, default=str, ensure_ascii=False)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…"
    piece = "" if loc == written else f", not {json.dumps(error['input'])}"
    return f"{where} = {shown}: expected {_expected(error, written, piece)}"


def _expected(error: Any, written: tuple[str | int, ...], piece: str) -> str:
    """What was expected of a value. `piece` names the entry of it that is wrong, if one is."""
    kind, bounds = error["type"], error.get("ctx", {})
    if _key(written) in _EITHER:
        return _EITHER[_key(written)]
    if kind == "string_too_short":
        return "text that is not empty"
    if kind in ("too_short", "too_long"):
        count = bounds.get("min_length", bounds.get("max_length"))
        needed = "at least 1 value" if count == 1 else f"{count} values"
        return f"{needed}, got {bounds['actual_length']}"
    if kind == "missing":  # in a pair that is too short
        return f"{error['loc'][-1] + 1} values, got {error['loc'][-1]}"
    if kind == "literal_error":
        words = str(bounds["expected"])
        return f"{words}{piece}{nearest(str(error['input']), words.split(chr(39))[1::2])}"
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {bounds[bound]:g}{piece}"
    if kind in ("tuple_type", "list_type", "dict_type", "dataclass_type"):
        return _shape(kind, written)
    if kind in _EXPECTED:
        example = _FORMS.get(_key(written), "")
        such_as = f', such as "{example}"' if example else ""
        return f"{_EXPECTED[kind]}{piece}{such_as}"
    return str(error["msg"]).replace("Input should", "that it should") + piece


def _shape(kind: str, written: tuple[str | int, ...]) -> str:
    """Words for the list or table that a setting holds, with its default as an example."""
    name = str(written[0])
    if written == ("instrument",):
        return "tables, each under [[instrument]]"
    if kind in ("dict_type", "dataclass_type"):
        return f"a table, under [{'.'.join(str(part) for part in written)}]"
    if name == "pitch_angles":
        pairs = f"pairs of degrees such as {_as_list(_PITCH_ANGLES['parallel'])}"
        return f'{pairs}, or a direction such as {{ toward = "earth", within = 30 }}'
    if written[1:2] == ("bands",):
        return "energy bands such as [[100, 1000], [1000, 30000]]"
    example: Any = asdict(Config())
    for part in written:
        example = example.get(str(part)) if isinstance(example, dict) else None
    return f"a list such as {_as_list(example)}" if example else "a list in brackets"


def _as_list(value: Any) -> str:
    return json.dumps(value).replace(".0", "")


def _name_of(written: tuple[str | int, ...], table: dict[str, Any]) -> str:
    """The name of a setting: dotted, and for a table of an instrument with the instrument."""
    if len(written) > 1 and written[0] == "instrument" and isinstance(written[1], int):
        entry = table["instrument"][written[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        which = name if isinstance(name, str) else f"number {written[1] + 1}"
        key = ".".join(str(part) for part in written[2:])
        return f"instrument {which}: {key}" if key else f"instrument {which}"
    return ".".join(str(part) for part in written)


def _nearest(loc: tuple[str | int, ...]) -> str:
    """A hint at the known key most similar to the unknown one at `loc`, or empty."""
    known = _known_keys(Config)
    if loc[0] in _OF_NAMES:
        known += _known_keys(_OF_NAMES[loc[0]], ".".join(str(part) for part in (*loc[:-1], "")))
    table = ".".join(part for part in loc[:-1] if isinstance(part, str))
    siblings = [name for above, _, name in (key.rpartition(".") for key in known) if above == table]
    by_name = {key.rpartition(".")[2]: key for key in known}
    if name := nearest(str(loc[-1]), siblings, hint="{}"):
        return f"; did you mean {'.'.join(filter(None, (table, name)))}?"
    name = nearest(str(loc[-1]), list(by_name), 0.7, "{}")
    return f"; did you mean {by_name[name]}?" if name else ""


def _known_keys(kind: Any, prefix: str = "") -> list[str]:
    keys = []
    hints = get_type_hints(kind)
    for setting in fields(kind):
        keys.append(prefix + setting.name)
        # A table, or a list of tables.
        for inner in (hints[setting.name], *get_args(hints[setting.name])):
            if is_dataclass(inner):
                keys += _known_keys(inner, f"{prefix}{setting.name}.")
    return keys
