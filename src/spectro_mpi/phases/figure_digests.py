"""What each figure of an item depends on, as a digest. No file is opened for it.

Two figures with the same digest are the same bytes. All that a figure shows must be in here; what
it cannot show should not be, since it would be drawn again for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spectro_mpi.draw.kinds.missing import missing_note
from spectro_mpi.draw.names import DRAWING, RAW, ExpectedFigure, expected_figures
from spectro_mpi.draw.notes import in_order, item_name
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import basis_of_limits
from spectro_mpi.model.fixed_axes import common_extrema
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.model.spectrogram import DIGEST_BYTES, short
from spectro_mpi.settings.schema import Config, PlotSettings

PREVIEW = "preview"
"""The part that is the preview of an item in the report."""


class _SharedFigure(NamedTuple):
    """A figure, for all items with the same instruments."""

    part: str
    shown: tuple[str, ...]
    """Instruments."""
    names_missing: bool
    about: hashlib.blake2b
    """Was given what the figure depends on, besides what is an item's own."""


class _Shared(NamedTuple):
    """What items with the same instruments share."""

    figures: tuple[_SharedFigure, ...]
    missing: tuple[str, ...]
    """The note on missing instruments, if nothing failed."""
    preview: str
    """Digest of the preview; empty: there is none."""


class FigureDigests:
    """Part of an item → digest: for each of its figures, and for its preview.

    What items with the same instruments share is computed once.
    """

    def __init__(self, config: Config, extrema: Mapping[str, float], marks: Marks) -> None:
        self._config = config
        self._extrema = common_extrema(config, extrema)
        self._marks = marks
        self._shared: dict[tuple[str, ...], _Shared] = {}

    def __call__(
        self, item: Item, data: Mapping[str, str], failures: Sequence[Failure]
    ) -> dict[str, str]:
        """`data`: instrument → digest of its reduced data; `failures`: of earlier phases."""
        config = self._config
        instruments = tuple(data)
        shared = self._shared.get(instruments)
        if shared is None:
            shared = self._shared[instruments] = self._shared_by_items(instruments)
        name = item_name(config, item.id)
        missing = missing_note(config, instruments, failures) if failures else shared.missing
        marks = self._marks.get(item.id, ())
        # An event by index has the time of a record of its instrument, whichever is drawn.
        events = (marks, config.plot.zoom_minutes, sorted(data.items())) if marks else ()
        digests = {}
        for figure in shared.figures:
            note = missing if figure.names_missing else ()
            own = (name, [data[instrument] for instrument in figure.shown], note, events)
            digests[figure.part] = _digest(figure.about, own)
        if shared.preview:
            digests[PREVIEW] = shared.preview
        return digests

    def _shared_by_items(self, stored: Sequence[str]) -> _Shared:
        """What items share that have data of the `stored` instruments."""
        config, report = self._config, self._config.report
        instruments = in_order(config, stored)
        figures = [
            _SharedFigure(
                figure.part,
                (figure.instrument,) if figure.instrument else instruments,
                figure.kind.names_missing,
                hashlib.blake2b(self._about(figure, instruments), digest_size=DIGEST_BYTES),
            )
            for figure in expected_figures(config, instruments)
        ]
        preview = ""
        if report.thumbnails or report.values:
            about = ([figure.part for figure in figures], report.thumbnails, report.values)
            preview = _digest(hashlib.blake2b(digest_size=DIGEST_BYTES), about)
        return _Shared(tuple(figures), missing_note(config, instruments, ()), preview)

    def _about(self, figure: ExpectedFigure, instruments: Sequence[str]) -> bytes:
        """What a figure depends on that is the same for all items with these instruments."""
        plot = self._config.plot
        shown = [figure.instrument] if figure.instrument else instruments
        set_by_tables = [
            (
                *(table.title, table.label, table.y_scale, table.z_scale),
                *((table.panel,) if table.panel and not figure.instrument else ()),
            )
            for table in self._config.instrument
            if table.name in shown
        ]
        style: tuple[object, ...] = (plot.dpi, plot.panel_size, figure.colormap, plot.gap_factor)
        # Only what is not the default, so that figures of earlier versions keep their digests.
        if plot.text_scale != PlotSettings.text_scale:
            style = (*style, "text_scale", plot.text_scale)
        if plot.formats != PlotSettings.formats:
            style = (*style, "formats", sorted(plot.formats))
        if plot.ephemeris != PlotSettings.ephemeris:
            style = (*style, "ephemeris", plot.ephemeris)
        if plot.fold_angles and figure.kind.has_angles:
            style = (*style, "folded")
        style = (*style, *figure.kind.depends_on(self._config))
        labels = (plot.y_label, plot.z_label, set_by_tables)
        about = (DRAWING, figure.part, list(shown), style, labels, self._limits(figure, shown))
        return repr(about).encode()

    def _limits(self, figure: ExpectedFigure, instruments: Sequence[str]) -> object:
        """What the limits of the rows depend on, besides their data."""
        config = self._config
        if figure.limits == RAW:
            return config.extrema.energy_coverage
        return [
            basis_of_limits(config, self._extrema, name, category, figure.scales)
            for name, category in figure.kind.limits_of(config, instruments)
        ]


def _digest(about: hashlib.blake2b, own: object) -> str:
    """The digest of what `about` was given and of what is an item's own."""
    content = about.copy()
    content.update(repr(own).encode())
    return short(content.digest())
