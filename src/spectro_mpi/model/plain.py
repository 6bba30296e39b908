"""Texts and units in plain ASCII, for files whose readers expect no more."""

from __future__ import annotations

import re
import unicodedata

_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_WORDS = str.maketrans(
    {
        "°": " degrees",
        "∥": "par",
        "⊥": "perp",
        "µ": "u",
        "μ": "u",
        "·": " ",
        "×": "x",
        "–": "-",
        "—": "-",
        "−": "-",
        "…": "...",
        "“": '"',
        "”": '"',
        "’": "'",
    }
)


def plain_units(units: str) -> str:
    """Units as in UDUNITS: "cm-2" for "cm⁻²", "sr" for "ster"; "1" for none."""
    return re.sub(r"\bster(?![a-z])", "sr", units.translate(_POWERS)) or "1"


def plain_text(text: str) -> str:
    """A text in printable ASCII; letters lose their accents, what is left becomes "?"."""
    words = unicodedata.normalize("NFKD", text.translate(_POWERS).translate(_WORDS))
    letters = (letter for letter in words if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)
