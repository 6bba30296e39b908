"""Labels of axes: wrapped or shortened where there is little room, but never within their unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spectro_mpi.draw.text import Lettering, Stamp, printable
from spectro_mpi.draw.ticks import Ticks

LINE_SPACING = 1.2
"""Distance between the base lines of a label, in font sizes."""
_ONE_LINE = 0.85
"""A label is not wrapped if it fits into one line at this part of its font size."""
_READABLE = 0.6
"""Smallest part of the font size at which a label is wrapped rather than shortened."""
_LEAST_LETTER = 3.0
"""Font size in pixels below which nothing can be read: one line is cut instead."""
_TRIES = 4
_STEP = 0.05  # Between the font sizes that are tried, in parts of the size asked for.
_SPACE_EMS = 0.32  # Width of a space in DejaVu Sans, in font sizes.
_BRACKETS = {")": "(", "]": "["}
_BREAKS = "_-/,;:.·+"
"""A word that is too long is broken after one of these, if it has any."""


def fit_label(
    lettering: Lettering, label: str, size: float, length: float, depth: float
) -> tuple[list[Stamp], float]:
    """Return the lines of a label and their font size, both in pixels as are the arguments.

    The lines are at most `length` wide and together `depth` high. A label that is too long is
    wrapped and shrunk; if it is too small then, words that are too long are broken, and if that is
    not enough, its title loses words and letters at its end. Its unit may be wrapped and shrunk,
    but all of it is shown, unless nobody could read it.
    """
    title, unit = split_unit(printable(label))
    whole = " ".join(filter(None, (title, unit)))
    single = lettering.stamp(whole, size)
    factor = min(1.0, 0.98 * length / single.width if single.width > length else 1.0)
    readable = _least_size(lettering, size) / size
    if factor >= max(_ONE_LINE, readable) and single.height * factor <= depth:
        return _stamps(lettering, [whole], size * factor, length)
    for text, may_break in _forms(title, bool(unit)):
        least = max(readable if text else 0.0, _LEAST_LETTER / size)
        for factor in (*(1 - _STEP * step for step in range(int((1 - least) / _STEP) + 1)), least):
            measured = size if factor > least else size * factor
            lines = _lines(lettering, text, unit, size * factor, measured, length, may_break)
            high = ((len(lines) - 1) * LINE_SPACING + 1) * size * factor
            if lines and high <= depth:
                stamps, drawn = _stamps(lettering, lines, size * factor, length)
                if drawn > 0.999 * least * size:
                    return stamps, drawn
    return [lettering.fit(unit or title, max(1.0, min(size, depth)), length)], size


def depth_needed(lettering: Lettering, label: str, size: float, length: float) -> float:
    """Return the least depth in which `fit_label` shows all of a label, in pixels."""
    title, unit = split_unit(printable(label))
    least = _least_size(lettering, size)
    for may_break in (False, True):
        lines = _lines(lettering, title, unit, least, least, length, may_break)
        if lines:
            return ((len(lines) - 1) * LINE_SPACING + 1) * least
    return 0.0


def wrapped(
    lettering: Lettering, text: str, size: float, length: float, most: int
) -> tuple[str, ...]:
    """Wrap text into at most `most` lines, `length` pixels wide; the last may be wider."""

    def width(line: str) -> float:
        return lettering.stamp(line, size).width

    lines = _wrap(printable(text).split(), length, width, True, most)
    return tuple(lines) or ("",)


def value_labels(
    lettering: Lettering, ticks: Ticks, size: float, room: float
) -> tuple[list[Stamp], float]:
    """Return the labels of an axis and their common size, so that all fit into `room` pixels.

    They are wider than that rather than smaller than `lettering.least`.
    """
    stamps = _tick_stamps(lettering, ticks, size)
    widest = max((stamp.width for stamp in stamps), default=0)
    if widest > room:
        least = lettering.least if size > 0.999 * lettering.least else 0.0
        size = max(least, size * 0.97 * room / widest)
        stamps = _tick_stamps(lettering, ticks, size)
    return stamps, size


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


def _tick_stamps(lettering: Lettering, ticks: Ticks, size: float) -> list[Stamp]:
    return [lettering.stamp(text, size, text.startswith("$")) for text in ticks.labels]


def _least_size(lettering: Lettering, size: float) -> float:
    """Font size in pixels down to which labels are wrapped, rather than cut."""
    return max(_READABLE * size, min(size, lettering.least))


def _forms(title: str, has_unit: bool) -> Iterator[tuple[str, bool]]:
    """Yield a title and shorter forms of it, and whether words may be broken.

    The last is empty if there is a unit to show.
    """
    yield title, False
    yield title, True
    words = title.split()
    for count in range(len(words) - 1, 0, -1):
        yield " ".join(words[:count]) + "…", False
    first = words[0] if words else ""
    for count in range(len(first) - 1, 1, -1):
        yield first[:count] + "…", False
    if has_unit and title:
        yield "", False


def _lines(
    lettering: Lettering,
    title: str,
    unit: str,
    size: float,
    measured: float,
    length: float,
    may_break: bool,
) -> list[str]:
    """Wrap a label into lines of at most `length` pixels at a font size; empty: impossible.

    Words are measured at the size `measured`. The unit begins a line, and stays whole if it fits
    into one.
    """
    limit = length * measured / size

    def width(text: str) -> float:
        if size == measured:
            return lettering.stamp(text, size).width
        words = text.split()
        spaces = _SPACE_EMS * measured * (len(words) - 1)
        return sum(lettering.stamp(word, measured).width for word in words) + spaces

    lines: list[str] = []
    whole_unit = lettering.stamp(unit, measured).width <= limit
    for words in (title.split(), [unit] if whole_unit else unit.split()):
        part = _wrap([word for word in words if word], limit, width, may_break)
        if any(words) and not part:
            return []
        lines += part
    return lines


def _wrap(
    words: list[str],
    limit: float,
    width: Callable[[str], float],
    may_break: bool,
    most: int = 1000,
) -> list[str]:
    """Wrap words into at most `most` lines of at most `limit`, of which the last may be longer.

    Empty if a word is longer than `limit`, and must not be broken.
    """
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == most or width(longer) <= limit):
            lines[-1] = longer
            continue
        while len(lines) < most - 1 and width(word) > limit:
            part = _beginning(word, limit, width) if may_break else ""
            if not part:
                return []
            lines.append(part)
            word = word[len(part) :]
        lines.append(word)
    return lines


def _beginning(word: str, limit: float, width: Callable[[str], float]) -> str:
    """The part of a word that fits into a line, up to one of `_BREAKS` if it has any."""
    count = 0
    while count < len(word) - 1 and width(word[: count + 1]) <= limit:
        count += 1
    at = max(word[:count].rfind(mark) for mark in _BREAKS) + 1
    return word[: at if at > count // 2 else count]
