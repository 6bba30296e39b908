"""What a kind of figure must tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from spectro_mpi.errors import Failure
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import Config


class Row(NamedTuple):
    """One row of a figure."""

    label: str
    spectrogram: Spectrogram
    category: int
    """Place of the category in the spectrogram."""
    beside: tuple[tuple[Spectrogram, int], ...] = ()
    """Other spectrograms in the same panel, each with the place of its category."""
    names: tuple[str, ...] = ()
    """Names of several lines, as `layers`."""
    sharing: tuple[tuple[str, str], ...] = ()
    """Lines that share its axis, also those that the item has no values of: names in the extrema
    and categories."""
    over: Spectrogram | None = None
    """The potential of the spacecraft, to be drawn over the energies of particles."""

    @property
    def layers(self) -> tuple[tuple[Spectrogram, int], ...]:
        """All spectrograms with the places of their categories; the first is drawn on top."""
        return ((self.spectrogram, self.category), *self.beside)


class FigureKind(Protocol):
    """A kind of figure. `instrument` is one that `figures` gave; "": all of an item's.

    A class that derives from it has what is given here.
    """

    name: str
    """As in `plot.kinds`."""
    names_missing: bool
    """Whether the figure names the instruments that it lacks."""
    has_events_in_name: bool
    """Whether its file is named for the marked events that it shows."""
    has_angles: bool = False
    """Whether rows show pitch angle against time."""
    row_height: float = 1.0
    """Height of a row, in parts of that in `plot.panel_size`."""
    has_zooms: bool = True
    """Whether marked events have columns of their own."""
    labels_at_left: bool = False
    """Whether labels of rows are at the left of their axes, not above."""

    def figures(self, config: Config, instruments: Sequence[str]) -> Iterable[str]:
        """The instrument of each figure that an item with these instruments has."""
        ...

    def stem(self, config: Config, instrument: str) -> str:
        """What stands in the file name, as in 13312_STEM_y-linear_….png."""
        ...

    def label(self, config: Config, instrument: str) -> str:
        """What a figure shows, for lists of figures."""
        ...

    def limits_of(self, config: Config, instruments: Sequence[str]) -> Iterable[tuple[str, str]]:
        """The limits that rows have: (name in the extrema, category) of each.

        `instruments` are those that the figure shows.
        """
        ...

    def depends_on(self, config: Config) -> tuple[object, ...]:
        """Settings that its rows depend on, besides those of all kinds; empty: none."""
        return ()

    def row_count(self, config: Config, instrument: str, instruments: Sequence[str]) -> int:
        """Number of rows of an item with these instruments."""
        ...

    def title(
        self, config: Config, item: str, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> str:
        """The title; `item` as in "orbit 13312"."""
        ...

    def rows(
        self, config: Config, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> list[Row]:
        """The rows, from top to bottom."""
        ...

    def notes(
        self,
        config: Config,
        spectrograms: Mapping[str, Spectrogram],
        failures: Iterable[Failure],
    ) -> Iterator[str]:
        """Notes on what the figure lacks, and on what its rows are."""
        yield from ()


def missions_of(spectrograms: Iterable[Spectrogram]) -> str:
    """The missions of an item, as titles name them."""
    return " and ".join(dict.fromkeys(one.legend.mission for one in spectrograms))


def with_word(config: Config, stem: str) -> str:
    """A stem with the word of the preset, as pitch-angle_ESA."""
    word = config.preset.figure_word
    return f"{stem}_{word}" if word else stem
