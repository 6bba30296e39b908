"""Make units and titles of ISTP files readable, and convert units of energy and frequency."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from spectro_mpi.inert import inert

Kind = Literal["energy", "frequency", "y"]
"""Kind of an axis, and its name in the store; "y": neither energy nor frequency."""

_RUN_TOGETHER = re.compile(r"(?<=⁻[⁰¹²³⁴⁵⁶⁷⁸⁹])(?=[A-Za-z])")
"""Between a negative power and the unit after it."""
_SUPERSCRIPT = str.maketrans("0123456789+-−()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁽⁾")
_SUBSCRIPT = str.maketrans("0123456789+-−()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎")
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_IDL = re.compile(r"!(!|\d+|[A-Za-z])")
_IDL_UP, _IDL_DOWN, _IDL_GREEK = "AEU", "BDIL", ("4", "7")
_UNIT_POWER = re.compile(
    r"(?<![A-Za-z])(k?m|cm|mm|R_?[Ees]|s|sec|ms|sr|ster|eV|[kMG]eV|[kMG]?Hz|n?T|m?V|nuc|amu|K)"
    r"([-−+]?\d+)(?![\d.])"
)
_FACTOR = re.compile(r"([A-Za-zµμΩ°]+)([²³⁴⁵⁶⁷⁸⁹]?)")
_BRACKETED = re.compile(r"\([^()]*\)")
_LIST = re.compile(r"[^/\s]\s+[^/\s]|[·*.-]")
_ONES = ("", "1", "#")
_TEX = {r"\mu": "μ", r"\Omega": "Ω", r"\circ": "°", r"\cdot": "·", r"\times": "×", r"\deg": "°"}
_ENERGY = re.compile(
    r"([kmg]?)(?:ev|electron[ -]?volts?)(\s?/\s?(?:n|nuc|nucleon|u|amu|q|e|charge)\.?)?",
    re.IGNORECASE,
)
_FREQUENCY = re.compile(r"([kKmMgG]?)(?:hz|hertz)\b", re.IGNORECASE)
_FREQUENCY_FACTORS = {"k": 1e3, "K": 1e3, "m": 1e-3, "M": 1e6, "g": 1e9, "G": 1e9}
_ENERGY_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}


@dataclass(frozen=True)
class AxisUnit:
    """The unit of an axis, and its conversion to eV or Hz."""

    kind: Kind
    factor: float
    """Factor that converts the values in the file to `units`."""
    units: str
    """Units after the conversion: "eV", "eV/nuc", "Hz", or as in the file."""


def axis_unit(units: str) -> AxisUnit:
    """The unit of an axis: energies are converted to eV, frequencies to Hz, others are kept."""
    plain = readable(units).strip("[]() ")
    if match := _ENERGY.fullmatch(plain):
        # "mev" means MeV: particle energies are not given in milli-electronvolts.
        return AxisUnit("energy", _ENERGY_FACTORS[match[1].lower()], f"eV{match[2] or ''}")
    if match := _FREQUENCY.fullmatch(plain):
        return AxisUnit("frequency", _FREQUENCY_FACTORS.get(match[1], 1.0), "Hz")
    return AxisUnit("y", 1.0, plain)


def degrees_in(units: str) -> float | None:
    """Degrees in a unit of angle; None: not a known unit of angle."""
    plain = units.strip("[]() ").lower()
    if re.match(r"deg|°", plain):
        return 1.0
    return math.degrees(1) if re.match(r"rad(?![a-z]*/)", plain) else None


def is_count(units: str) -> bool:
    """Whether values in these units are counts, which add up, and not a rate or a flux."""
    return re.fullmatch(r"(raw )?counts?", units.strip().lower()) is not None


def is_logarithmic(units: str) -> bool:
    """Whether values in these units are logarithms already: dB, or as in "log10(cm^-2 s^-1)"."""
    return re.match(r"\s*\[?(log(10)?|ln|dB\w?)\b", units, re.IGNORECASE) is not None


def readable(text: str) -> str:
    """Convert a title or unit to Unicode: `cm!U-2!N` and `cm^-2` become `cm⁻²`, `!C` a space.

    ISTP files have TeX and the embedded commands of IDL's Hershey fonts in LABLAXIS and UNITS.
    Units that run together, as `s!e-1!ncm!e-2!n` of RBSP HOPE, are separated: `s⁻¹ cm⁻²`.
    """
    if "!" in text:
        text = _without_idl(text)
    text = _without_tex(text)
    text = re.sub(
        r"(?:\^|\*\*)\s?(?:\(([-−+]?\d+)\)|([-−+]?\d+))",
        lambda match: (match[1] or match[2]).translate(_SUPERSCRIPT),
        text,
    )
    text = _UNIT_POWER.sub(lambda match: match[1] + match[2].translate(_SUPERSCRIPT), text)
    text = _RUN_TOGETHER.sub(" ", text)
    return inert(re.sub(r"\s+", " ", text.replace("\0", "")).strip())


def titled(title: str, units: str) -> str:
    """`title (units)`, or only one of them if the other is empty or not a unit."""
    units = without_slashes(units)
    return f"{title} ({units})" if title and is_unit(units) else title or units


def without_slashes(units: str) -> str:
    """Convert a readable unit to powers: `1/(cm² s sr eV)` and `#/cm²-s-sr-eV` are `cm⁻² s⁻¹ sr⁻¹…`

    Kept as they are: a ratio of two units (`km/s`, `eV/nuc`), and what could be read in two ways:
    units after a slash, without brackets, unless one is sr, since a flux has all units below.
    """
    top, slash, bottom = (part.strip() for part in units.partition("/"))
    listed = bool(_LIST.search(bottom.strip("() "))) and not _BRACKETED.fullmatch(bottom)
    parts = bottom[1:-1] if _BRACKETED.fullmatch(bottom) else bottom
    below = [_FACTOR.fullmatch(word) for word in re.split(r"\s*/\s*|[\s·*.-]+", parts)]
    is_ratio = top not in _ONES and [match and match[2] for match in below] == [""]
    if not slash or is_ratio or not all(below) or any(letter in "/()" for letter in top):
        return units
    powers = [f"{match[1]}⁻{match[2] or '¹'}" for match in below if match]
    if listed and not any(power.startswith(("sr⁻", "ster⁻")) for power in powers):
        return units
    return " ".join([*([] if top in _ONES else [top]), *powers])


def is_unit(units: str) -> bool:
    """Whether a UNITS attribute is a unit, and not empty, "none" or the like."""
    return units.lower() not in ("", "none", "unitless", "dimensionless", "n/a", "na", "1", "#")


def _without_idl(text: str) -> str:
    """Apply IDL's embedded commands: `!U` up, `!D` down, `!N` normal, `!C` new line, `!4` Greek."""
    parts, level, greek, start = [], "", False, 0
    for command in _IDL.finditer(text):
        parts.append(_set(text[start : command.start()], level, greek))
        start, letter = command.end(), command[1].upper()
        if letter == "!":
            parts.append("!")
        elif letter == "C":
            parts.append(" ")
        elif letter in _IDL_UP:
            level = "up"
        elif letter in _IDL_DOWN:
            level = "down"
        elif letter == "N":
            level = ""
        elif letter[0].isdigit() or letter == "X":
            greek = letter in _IDL_GREEK
            # The number of a font is one digit, or 10 to 20; more digits are text.
            if len(letter) > 1 and not 10 <= int(letter) <= 20:
                parts.append(_set(letter[1:], level, letter[0] in _IDL_GREEK))
    return "".join([*parts, _set(text[start:], level, greek)])


def _set(text: str, level: str, greek: bool) -> str:
    """The text as superscript (`level` "up"), subscript ("down") or normal (""), perhaps Greek."""
    if greek:
        text = "".join(
            _GREEK[place] if 0 <= (place := ord(letter) - ord("a")) < len(_GREEK) else letter
            for letter in text
        )
    if not level or not text.strip():
        return text
    moved = text.translate(_SUPERSCRIPT if level == "up" else _SUBSCRIPT)
    if any(letter.isalpha() for letter in moved):  # Unicode has no such small letters
        return ("^" if level == "up" else "_") + text.strip()
    return moved


def _without_tex(text: str) -> str:
    """Replace TeX commands by the characters they stand for."""
    if "\\" in text or "$" in text or "{" in text:
        for name, letter in _TEX.items():
            text = text.replace(name, letter)
        text = re.sub(r"\\(?:rm|mathrm|text|mathdefault)\b\s*", "", text)
        text = re.sub(r"\^\{\s*([-−+]?\d+)\s*\}", r"^\1", text)
        text = re.sub(r"[${}]", "", text)
    return text
