"""Labels of axes: wrapped or shortened where there is little room, but never within their unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spectro_mpi.draw.text import Lettering, Stamp, printable

LINE_SPACING = 1.2
"""Distance between the base lines of a label, in font sizes."""
_ONE_LINE = 0.85
"""A label is not wrapped if it fits into one line at this part of its font size."""
_READABLE = 0.6
"""Smallest part of the font size at which a label is wrapped rather than shortened."""
_LEAST_LETTER = 3.0
"""Font size in pixels below which nothing can be read: one line is cut instead."""
_TRIES = 4
_SPACE_EMS = 0.32  # Width of a space in DejaVu Sans, in font sizes.
_BRACKETS = {")": "(", "]": "["}


def fit_label(
    lettering: Lettering, label: str, size: float, length: float, depth: float
) -> tuple[list[Stamp], float]:
    """Return the lines of a label and their font size, both in pixels as are the arguments.

    The lines are at most `length` wide and together `depth` high. A label that is too long is
    wrapped and shrunk; if it is too small then, its title loses words and letters at its end. Its
    unit may be wrapped and shrunk, but all of it is shown, unless nobody could read it.
    """
    title, unit = split_unit(printable(label))

    def width(text: str) -> float:
        return lettering.stamp(text, size).width

    single = lettering.stamp(" ".join(filter(None, (title, unit))), size)
    factor = min(1.0, 0.98 * length / single.width if single.width > length else 1.0)
    if factor >= _ONE_LINE and single.height * factor <= depth:
        return _stamps(lettering, [" ".join(filter(None, (title, unit)))], size * factor, length)
    for text in _shorter(title, bool(unit)):
        readable = max(_READABLE, min(1.0, lettering.least / size))
        least = max(readable if text else 0.0, _LEAST_LETTER / size)
        for step in range(int((1 - least) / 0.05 + 1e-6) + 1):
            factor = 1 - 0.05 * step
            lines = _wrapped(text, unit, length / factor, size, width)
            high = ((len(lines) - 1) * LINE_SPACING + 1) * size * factor
            if lines and high <= depth:
                return _stamps(lettering, lines, size * factor, length)
    return [lettering.fit(unit or title, max(1.0, min(size, depth)), length)], size


def split_unit(label: str) -> tuple[str, str]:
    """Split a label into title and unit: the brackets at its end, empty if there are none."""
    opening = _BRACKETS.get(label[-1:])
    level = 0
    for place in range(len(label) - 1, -1, -1):
        level += (label[place] == label[-1]) - (label[place] == opening)
        if opening and level == 0:
            return label[:place].rstrip(), label[place:]
    return label, ""


def _stamps(
    lettering: Lettering, lines: list[str], size: float, length: float
) -> tuple[list[Stamp], float]:
    """Stamps of lines, a little smaller if their letters were rounded to larger widths.

    Letters of one or two pixels do not become smaller: such lines are cut.
    """
    for _ in range(_TRIES):
        stamps = [lettering.stamp(line, size) for line in lines]
        widest = max(stamp.width for stamp in stamps)
        if widest <= length:
            return stamps, size
        size *= 0.98 * length / widest
    return [lettering.fit(line, size, length) for line in lines], size


def _shorter(title: str, has_unit: bool) -> Iterator[str]:
    """Yield a title and shorter forms of it; the last is empty if there is a unit to show."""
    yield title
    words = title.split()
    for count in range(len(words) - 1, 0, -1):
        yield " ".join(words[:count]) + "…"
    first = words[0] if words else ""
    for count in range(len(first) - 1, 1, -1):
        yield first[:count] + "…"
    if has_unit and title:
        yield ""


def _wrapped(
    title: str, unit: str, limit: float, size: float, width: Callable[[str], float]
) -> list[str]:
    """Wrap a label into lines of at most `limit` pixels at font size `size`; empty: impossible.

    The unit begins a line, and stays whole if it fits into one.
    """
    parts = [title.split(), [unit] if width(unit) <= limit else unit.split()]
    lines: list[str] = []
    for words in parts:
        room = -1.0
        for word in filter(None, words):
            taken = width(word)
            if taken > limit:
                return []
            if room >= taken + _SPACE_EMS * size:
                lines[-1] += f" {word}"
                room -= taken + _SPACE_EMS * size
            else:
                lines.append(word)
                room = limit - taken
    return lines
