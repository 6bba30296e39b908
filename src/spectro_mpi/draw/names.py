"""The figures of an item and their file names; nothing is drawn here.

A figure is named for the labels of the events that it shows, which is known once it is drawn. Who
looks for a figure afterwards finds it on disk by the rest of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

from spectro_mpi.draw.kinds import FigureKind, kinds_of
from spectro_mpi.model.marks import slug
from spectro_mpi.settings.schema import (
    Config,
    FormatName,
    KindName,
    LimitsKind,
    PlotSettings,
    ScalePair,
)

KEYWORD = "spectro-mpi"
"""Of the text chunk in every PNG that says what the figure shows."""
DRAWING = 2
"""Version of the drawing, in every PNG: raised when the pixels or texts of a figure change for the
same data and settings, and only then, so that no other change of the program changes a figure."""

LONGEST_LABEL = 40 * "x"
"""As long as the word for the labels of events in the name of a figure can be."""

COMMON = "given_extrema"
"""What stands in the name of a figure with the limits of all items."""
RAW = "raw"
"""What stands in the name of a figure with the limits of its own data."""
SUFFIXES = tuple(f".{name}" for name in get_args(FormatName))
"""Of the files of figures (`plot.formats`)."""
_LABEL = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class ExpectedFigure:
    """One figure of an item, whether it is drawn or not."""

    kind: FigureKind
    instrument: str
    """Empty: all instruments of the item."""
    scales: ScalePair
    limits: str
    stem: str
    """Its file name after the item and the label, without the colour map: "pitch-angle_ESA_…"."""
    colormap: str

    @property
    def tail(self) -> str:
        """Its file name after the item and the label, as in "pitch-angle_ESA_ees_….png"."""
        return f"{self.stem}-{self.colormap}.png"

    @property
    def part(self) -> str:
        """What makes it the same figure, however it looks: "pitch-angle/ees/log-log/raw"."""
        return f"{self.kind.name}/{self.instrument}/{'-'.join(self.scales)}/{self.limits}"

    def name(self, item_id: str, labels: Iterable[str] = ()) -> str:
        """Its file name if it shows events of these labels, in the order of time."""
        word = joined(labels) if self.kind.has_events_in_name else ""
        return "_".join(filter(None, (item_id, word, self.tail)))


def expected_figures(config: Config, instruments: Iterable[str]) -> list[ExpectedFigure]:
    """All figures of an item that has data of `instruments`, in order."""
    return [
        ExpectedFigure(
            kind,
            instrument,
            scales,
            limits,
            f"{kind.stem(config, instrument)}_y-{scales[0]}_z-{scales[1]}_{limits}",
            config.plot.colormap_of(scales),
        )
        for kind, instrument in kinds_of(config, instruments)
        for scales, limits in product(config.plot.scales, limits_words(config.plot))
    ]


def limits_words(plot: PlotSettings) -> tuple[str, ...]:
    """What names of figures say of their limits: `plot.limits`, or the name of fixed axes."""
    fixed = plot.axes if plot.axes != PlotSettings.axes else ""
    return tuple(fixed if fixed and each == COMMON else each for each in plot.limits)


def single_figure(
    config: Config,
    instruments: Sequence[str],
    kind: KindName,
    instrument: str = "",
    limits: LimitsKind = "given_extrema",
) -> ExpectedFigure:
    """One figure of an item, of the first scale pair; `instrument` "": the first one.

    `instruments` are those that the item has data of, `instrument` is one of them.
    """
    plot = replace(config.plot, kinds=(kind,), limits=(limits,), scales=config.plot.scales[:1])
    figures = expected_figures(replace(config, plot=plot), instruments)
    named = (figure for figure in figures if figure.instrument in ("", instrument))
    return next(named, figures[0])


def figure_files(folder: Path) -> list[str]:
    """The names of the figures in a folder, of any format, sorted; none if it is no folder.

    A link in its place would lead elsewhere.
    """
    if folder.is_symlink():
        return []
    names = (path.name for suffix in SUFFIXES for path in folder.glob(f"*{suffix}"))
    return sorted(names)


def as_png(names: Iterable[str], file_format: str) -> list[str]:
    """The names of the PNG files beside files of another format; others are left out."""
    suffix = f".{file_format}"
    return [f"{name.removesuffix(suffix)}.png" for name in names if name.endswith(suffix)]


def joined(labels: Iterable[str]) -> str:
    """Labels as one word of a file name: their distinct slugs, joined by "-"; may be empty."""
    word = "-".join(dict.fromkeys(map(slug, labels)))
    return word[: len(LONGEST_LABEL)].strip("-")


def labels_shown(description: Mapping[str, Any]) -> list[str]:
    """The labels of the events that a figure shows, by its description, in the order of time."""
    return [event["label"] for event in description.get("events", ())]


def find_figures(
    item_id: str, figures: Sequence[ExpectedFigure], names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Find figures of an item among the names of files.

    Returns tail → word of the labels in the name (empty: none) → name of the file; sorted.
    """
    return find_by_tail(item_id, {figure.tail: figure for figure in figures}, sorted(names))


def find_by_tail(
    item_id: str, by_tail: Mapping[str, ExpectedFigure], names: Iterable[str]
) -> dict[str, dict[str, str]]:
    """As `find_figures`, in the order of the names; `by_tail`: tail of a figure → the figure."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if not name.startswith(f"{item_id}_"):
            continue
        word, tail = "", name[len(item_id) + 1 :]
        if tail not in by_tail:
            word, _, tail = tail.partition("_")
            figure = by_tail.get(tail)
            if figure is None or not figure.kind.has_events_in_name or not _LABEL.fullmatch(word):
                continue
        found.setdefault(tail, {})[word] = name
    return found


def find_looks(
    item_id: str, figures: Sequence[ExpectedFigure], names: Iterable[str]
) -> dict[str, list[str]]:
    """Find figures of an item among the names of files, with any label, colour map and format.

    Returns part (`ExpectedFigure.part`) → names of files.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        if not (name.startswith(f"{item_id}_") and name.endswith(SUFFIXES)):
            continue
        rest = name[len(item_id) + 1 :]
        word, _, after = rest.partition("_")
        looks = [figure for figure in figures if rest.startswith(f"{figure.stem}-")]
        if not looks and _LABEL.fullmatch(word):
            named = (figure for figure in figures if figure.kind.has_events_in_name)
            looks = [figure for figure in named if after.startswith(f"{figure.stem}-")]
        for figure in looks:
            found.setdefault(figure.part, []).append(name)
    return found
