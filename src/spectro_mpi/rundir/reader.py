"""Read a run directory, during the run and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import DamagedStateError, UserError
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.extrema import WHOLE, Limits, common_limits, shared_limits
from spectro_mpi.model.fixed_axes import common_extrema
from spectro_mpi.model.items import item_order
from spectro_mpi.model.marks import Marks, parse_marks
from spectro_mpi.model.moments import Moments
from spectro_mpi.model.panels import panels_of
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import (
    ATLAS_FILE,
    CONFIG,
    EVENTS,
    EXTREMA,
    SUPERPOSED_FILE,
    data_path,
    figures_of,
    result_path,
)
from spectro_mpi.rundir.listing import Failures, ItemList, MissingError, html_of
from spectro_mpi.rundir.store import (
    UNREADABLE,
    first_line,
    instruments_of,
    read_datasets,
    read_spectrogram,
    time_spans,
    variables_of,
)
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.loading import load_frozen
from spectro_mpi.settings.parsing import as_type, read_json
from spectro_mpi.settings.schema import Config, KindName, LimitsKind
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.words import count, nearest

if TYPE_CHECKING:
    import xarray

    from spectro_mpi.draw.axes_figure import Figure
    from spectro_mpi.draw.content import FigureContent
    from spectro_mpi.draw.names import ExpectedFigure
    from spectro_mpi.model.superposed import Superposed


def read_run_wide(path: Path) -> dict[str, Any]:
    """Read a JSON artifact of the run; empty if it does not exist.

    Raises `RunError` if it is damaged.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _damaged(path, error) from None
    return content


def read_extrema(run_dir: Path) -> dict[str, float]:
    """Read extrema.json; empty if it does not exist. Raises `RunError` if it is damaged."""
    try:
        return as_type(dict[str, float], read_run_wide(run_dir / EXTREMA))
    except ValueError as error:
        raise _damaged(run_dir / EXTREMA, error) from None


def _damaged(path: Path, problem: object) -> DamagedStateError:
    return DamagedStateError(path, str(problem), "run again to recreate it")


class Run:
    """Read access to a run directory, during a run and after it.

    It shows what was finished when it was opened; `refresh` reads the state again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = settings_of(path)
        self.progress = load_progress(path, self.config.run_id)

    @property
    def items(self) -> ItemList:
        """Ids of the items whose reduced data is in the store, sorted: a list of str.

        `items.where` filters it by time and failures, `items.rows` and `items.to_pandas` make a
        table of it.
        """
        return ItemList(sorted(self.progress.data_files, key=item_order), self)

    @property
    def errors(self) -> Failures:
        """Item → its failures: a dict; `errors.by_reason` groups them."""
        return Failures(self.progress.failures)

    @property
    def extrema(self) -> dict[str, float]:
        """The common extrema, with the keys of extrema.json; empty until they are complete.

        Raises `RunError` if extrema.json is damaged.
        """
        return read_extrema(self.path)

    def completed(self, phase: str) -> list[str]:
        """Ids of the items that are complete up to `phase`, such as "reduce" or "plot", sorted."""
        return self.progress.completed(phase)

    def instruments(self, item: str | int) -> list[str]:
        """The instruments that an item has data of. Raises `KeyError` for an unknown item."""
        return instruments_of(self._data_file(item), str(item))

    def time_spans(self, item: str | int) -> dict[str, tuple[float, float, int]]:
        """Instrument → times of the first and last record (s since 1970 UTC), number of records.

        Raises `KeyError` for an unknown item.
        """
        return time_spans(self._data_file(item), str(item))

    def ephemeris(
        self, item: str | int, names: Sequence[str] = ("mlt", "ilat")
    ) -> dict[str, dict[str, NDArray[np.float32]]]:
        """Instrument → variables of the ephemeris, by name, (record,); those that are stored.

        Reads nothing else. Raises `KeyError` for an unknown item.
        """
        return variables_of(self._data_file(item), str(item), names)

    def spectrogram(self, item: str | int, instrument: str) -> Spectrogram:
        """Read one spectrogram.

        Raises `KeyError` if the run does not have it; the message names what there is.
        """
        return shown_as_set(self.stored(item, instrument), self.config.instrument)

    def stored(self, item: str | int, instrument: str) -> Spectrogram:
        """Read one spectrogram as it is stored, without what `[[instrument]]` tables set."""
        file = self._data_file(item)
        try:
            return read_spectrogram(file, str(item), instrument)
        except KeyError:
            raise self._no_instrument(str(item), instrument) from None

    def atlas(self, instrument: str, by_altitude: bool = False) -> xarray.Dataset:
        """The maps that the phase `atlas` made of an instrument; `top_item` are ids of items.

        Parameters
        ----------
        instrument : str
        by_altitude : bool
            Whether maps have the dimension altitude; else they are of all altitudes together.

        Raises
        ------
        KeyError
            If the run has no atlas, or not of this instrument; the message says what there is.
        UserError
            If xarray is not installed.
        RunError
            If the file is damaged.
        """
        from spectro_mpi.model.as_xarray import group_as_xarray
        from spectro_mpi.model.atlas_groups import ALTITUDES, named_items
        from spectro_mpi.rundir.array_file import read_array_file

        path = result_path(self.path, ATLAS_FILE)
        try:
            groups, attributes = read_array_file(path)
        except FileNotFoundError:
            hint = 'run it with phases = ["reduce", "plot", "atlas"]'
            raise MissingError(f"{self.path}: the run has no atlas; {hint}") from None
        except OSError as error:
            raise DamagedStateError(path, str(error), "remove it and run again") from None
        name = f"{instrument}/{ALTITUDES}" if by_altitude else instrument
        if name not in groups:
            there = ", ".join(each for each in groups if "/" not in each) or "none"
            what = "instrument" if instrument not in groups else "ranges of altitude of"
            raise MissingError(f"{path}: the atlas has no {what} {instrument}; it has {there}")
        return group_as_xarray(named_items(groups[name]), attributes)

    def moments(self, item: str | int, instrument: str) -> Moments:
        """The moments of one instrument: density, fluxes along the field, temperatures.

        `run.moments("13312", "ees")["density"]` is an array (record,); `Run.xarray` has them, too.
        Raises `KeyError` if the run does not have them; the message says what there is.
        """
        spectrogram = self.stored(item, instrument)
        if spectrogram.moments is None:
            raise MissingError(
                f"{self.path}: item {item} has no moments of {instrument}: they were not computed "
                "(moments.compute = true), or its file does not allow them"
            )
        return spectrogram.moments

    def xarray(self, item: str | int, instrument: str) -> xarray.Dataset:
        """One spectrogram as `xarray.Dataset`, with the instrument's datasets of your phases.

        Raises `KeyError` if the run does not have it, `UserError` if xarray is not installed.
        """
        from spectro_mpi.model.as_xarray import as_xarray

        return as_xarray(
            self.spectrogram(item, instrument), self.datasets(item, instrument), str(item)
        )

    def tplot(
        self, item: str | int, instruments: Sequence[str] = (), prefix: str = ""
    ) -> list[str]:
        """Store an item as tplot variables of pySPEDAS, and return their names.

        Names, energies, units and scales are those of `export`; `yrange` and `zrange` are the
        common limits, if the run has them. `instruments`: none: all. `prefix` is put before all
        names, so that several items can be stored. Records without a time are left out.

        Raises `KeyError` if the run does not have it, `UserError` if pySPEDAS is not installed.
        """
        from spectro_mpi.model.as_tplot import as_tplot
        from spectro_mpi.model.records import datasets_in_order, in_time_order

        pair, names, extrema = self.config.plot.scales[0], [], self.extrema
        for name in instruments or self.instruments(item):
            whole = self.spectrogram(item, name)
            others = datasets_in_order(self.datasets(item, name), whole.time)
            limits = common_limits(self.config, extrema, whole)
            scales = drawn_scales(whole.legend, pair)
            names += as_tplot(in_time_order(whole), others, scales, limits, prefix)
        return names

    def datasets(self, item: str | int, group: str) -> list[Dataset]:
        """The datasets that your phases wrote into a group of an item."""
        item = str(item)
        datasets: list[Dataset] = []
        for phase, held in self.progress.stores.items():
            if phase != "reduce" and item in held:
                path = data_path(self.path, held[item])
                if group in instruments_of(path, item):
                    datasets += read_datasets(path, item, group).datasets.values()
        return datasets

    def dataset(self, name: str, item: str | int, group: str) -> Dataset:
        """A dataset that one of your phases wrote. Raises `KeyError` if the run has none."""
        for dataset in self.datasets(item, group):
            if dataset.name == name:
                return dataset
        raise KeyError(f"{self.path}: no phase wrote a dataset {name} of item {item}, {group}")

    def superposed(self, instrument: str) -> Superposed:
        """The superposed epoch analysis of an instrument, which phase "superpose" gives.

        Raises `KeyError` if the run does not have it, `RunError` if its file is damaged.
        """
        from spectro_mpi.rundir.superposed_file import read_superposed, superposed_instruments

        path = result_path(self.path, SUPERPOSED_FILE)
        try:
            there = superposed_instruments(path) if path.exists() else []
            if instrument in there:
                return read_superposed(path, instrument)
        except UNREADABLE as error:
            raise _damaged(path, first_line(error)) from error
        hint = f"it has {', '.join(there)}" if there else 'add "superpose" to `phases`'
        raise MissingError(f"{self.path}: instrument {instrument} is not superposed; {hint}")

    def figures(self, item: str | int) -> list[Path]:
        """The figures of an item that are on disk, sorted by name.

        Raises `KeyError` for an unknown item.
        """
        figures = figures_of(self.path, str(item))
        if not figures and item not in self.errors:
            self._data_file(item)
        return figures

    def figure(
        self,
        item: str | int,
        instrument: str = "",
        *,
        kind: KindName = "pitch-angle",
        limits: LimitsKind | None = None,
        span: tuple[float, float] | None = None,
        panel_size: tuple[float, float] | None = None,
        text_scale: float | None = None,
        zooms: bool = False,
    ) -> Figure:
        """One figure of an item as a matplotlib figure, to be changed and saved by the caller.

        Parameters
        ----------
        item : str or int
        instrument : str
            What to show; an empty instrument is the first that the item has data of.
        kind : {"pitch-angle", "instrument-grid", "angle", "summary"}
            Kind of figure: a row for each category of the instrument, or for each instrument, or
            pitch angles with a row for each energy band, or the panels of `plot.summary`. The
            second and the last need no `instrument`.
        limits : {"given_extrema", "raw"}, optional
            None: the common limits, or those that `plot.axes` names, if the run has them.
        span : (float, float), optional
            Time span to show, s since 1970 UTC. None: all of the item.
        panel_size : (float, float), optional
            Width of a column and height of a row, inches. None: as in the settings.
        text_scale : float, optional
            Size of text, as `plot.text_scale`.
        zooms : bool
            Whether events have zoom columns.

        Returns
        -------
        matplotlib Figure
            `axes` holds those of the rows, from top to bottom, of each column in turn, then those
            of the colour bars; x is in days since 1970, as matplotlib's dates are. Panels are
            images of the resolution that PDF files have (`draw`). It is not known to pyplot.

        Raises
        ------
        KeyError
            If the run has no such item or instrument.
        """
        from spectro_mpi.draw.axes_figure import AxesPainter
        from spectro_mpi.draw.contents import style_of
        from spectro_mpi.draw.names import single_figure
        from spectro_mpi.draw.notes import in_order

        item = str(item)
        config = self.config
        chosen: LimitsKind = limits or ("given_extrema" if self.extrema else "raw")
        names = in_order(config, self.instruments(item))
        if instrument and instrument not in names:
            raise self._no_instrument(item, instrument)
        shown = single_figure(config, names, kind, instrument, chosen)
        content = self._content(item, names, shown)
        style = style_of(config.plot, shown.scales, shown.kind)
        set_here = {"panel_size": panel_size, "text_scale": text_scale}
        style = replace(style, **{k: v for k, v in set_here.items() if v}, has_zooms=zooms)  # type: ignore[arg-type]
        return AxesPainter().on_axes(replace(content, span=span), style)

    def _content(self, item: str, names: Sequence[str], figure: ExpectedFigure) -> FigureContent:
        """The content of a figure of an item that has data of the instruments `names`."""
        from spectro_mpi.draw.contents import content_of

        failures = [each for each in self.errors.get(item, ()) if each.phase != "plot"]
        spectrograms = {name: self.spectrogram(item, name) for name in names}
        marks = kept_marks(self.path, self.config).get(item, ())
        return content_of(self.config, item, spectrograms, figure, self.extrema, marks, failures)

    def refresh(self) -> None:
        """Read the state of the run again. Raises `RunError` if it is damaged."""
        self.progress = load_progress(self.path, self.config.run_id)

    def limits(
        self,
        item: str | int,
        instrument: str,
        category: str = "all",
        limits: str = "given_extrema",
        shared: bool = False,
    ) -> Limits | None:
        """Axis limits of one row of a figure of the first scale pair.

        `limits` is "given_extrema" (common to all items) or "raw" (of this spectrogram).
        "ees-angles" means the figure of kind "angle" of ees, whose categories are its energy bands,
        such as "100-1000"; "all" is the first of them. With `shared`, they are those of the panel
        of the instrument grid that this instrument shares with others (`panel_of`). None: the run
        has no common limits, or not yet. Raises `KeyError` for an item, instrument or category that
        it does not have.
        """
        extrema = common_extrema(self.config, self.extrema)
        if limits != "raw" and not extrema:
            return None
        if instrument.endswith(BY_ANGLE):
            by_angle = self._by_angle(item, instrument.removesuffix(BY_ANGLE))
            panel: tuple[Spectrogram, ...] = (by_angle,)
            category = by_angle.category[0] if category == WHOLE else category
        else:
            panel = (
                self._panel(item, instrument) if shared else (self.spectrogram(item, instrument),)
            )
        for each in panel:
            if category not in each.category:
                there = ", ".join(each.category)
                raise MissingError(f"{instrument}: has no category {category}; it has {there}")
        layers = [(each, each.category.index(category)) for each in panel]
        return shared_limits(self.config, extrema, layers, self.config.plot.scales[0], limits)

    def _by_angle(self, item: str | int, instrument: str) -> Spectrogram:
        """The pitch-angle spectrograms of an instrument, as figures show them."""
        one = self.spectrogram(item, instrument)
        by_angle = one.by_folded_angle if self.config.plot.fold_angles else one.by_angle
        if by_angle is None:
            raise MissingError(
                f"{self.path}: has no pitch-angle spectrograms of {instrument}; they are stored "
                'with "angle" in plot.kinds'
            )
        return by_angle

    def panel_of(self, item: str | int, instrument: str) -> tuple[str, ...]:
        """The instruments in the panel of the instrument grid that shows `instrument`.

        Usually this is itself only; `panel` of `[[instrument]]` puts several in one. Where their
        ranges of energy overlap, the first one that has a value is drawn.
        """
        return tuple(spectrogram.instrument for spectrogram in self._panel(item, instrument))

    def _panel(self, item: str | int, instrument: str) -> tuple[Spectrogram, ...]:
        """What the panel of the instrument grid shows that shows `instrument`."""
        from spectro_mpi.draw.notes import in_order

        names = in_order(self.config, self.instruments(item))
        spectrograms = [self.spectrogram(item, name) for name in names]
        for panel in panels_of(spectrograms, self.config.instrument):
            if any(spectrogram.instrument == instrument for spectrogram in panel):
                return panel
        raise self._no_instrument(str(item), instrument)

    def _data_file(self, item: str | int) -> Path:
        item = str(item)
        if item in self.progress.data_files:
            return data_path(self.path, self.progress.data_files[item])
        items = self.items
        there = f"it has {count(len(items), 'item')}"
        if items:
            there += f", {items[0]} to {items[-1]}{nearest(item, items, 0.8)}"
        why = self._why_not(item)
        raise MissingError(f"{self.path}: the store has no item {item}{why}; {there}")

    def _no_instrument(self, item: str, instrument: str) -> MissingError:
        there = ", ".join(self.instruments(item)) or "none"
        why = self._why_not(item, instrument)
        return MissingError(
            f"{self.path}: item {item} has no instrument {instrument}{why}; it has {there}"
        )

    def _why_not(self, item: str, instrument: str = "") -> str:
        """The first failure of an item, or of an instrument of it, in brackets; may be empty."""
        for failure in self.progress.failures.get(item, ()):
            if not instrument or failure.instrument == instrument:
                return f" ({failure.instrument}: {failure.message})"
        return ""

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return html_of(self)


def kept_marks(run_dir: Path, config: Config) -> Marks:
    """The events of a run, of the copy that it keeps of their table; empty if it has none.

    Raises `UserError` naming a line of the copy that cannot be read.
    """
    path = run_dir / EVENTS
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, ValueError):
        return {}
    return parse_marks(text, str(path), config.plot.event_label, by_index=not config.data.cadence)


def open_run(path: Path | str) -> Run:
    """Open a run directory for reading, also one that version 0.1 made.

    Raises `UserError` if `path` is not a run directory, or if a newer version of the program made
    it.
    """
    return Run(Path(path))


def settings_of(run_dir: Path) -> Config:
    """Read the settings of a run. Raises `UserError` if `run_dir` is not a run directory."""
    if not (run_dir / CONFIG).is_file():
        raise UserError(f"{run_dir}: is not a run directory (it has no {CONFIG})")
    return load_frozen(run_dir / CONFIG)
