"""Notes in the title of a figure, and the names and order that titles and figures use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spectro_mpi.draw.content import Panel
from spectro_mpi.draw.kinds import Row
from spectro_mpi.model.levels import count_beyond, count_undrawn
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.settings.schema import Config, ScalePair


def in_order(config: Config, stored: Iterable[str]) -> tuple[str, ...]:
    """The instruments that an item has data of, in the order of its figures."""
    stored = sorted(stored)
    return tuple(n for n in dict.fromkeys((*config.select.instruments, *stored)) if n in stored)


def item_name(config: Config, item_id: str) -> str:
    """An item as titles name it."""
    return f"orbit {item_id}" if config.items_are_orbits else item_id


def without_positive(rows: Iterable[Row], scales: ScalePair) -> Iterator[str]:
    """A note on the rows that a log colour scale cannot show, because no value is above 0."""
    names = []
    for spectrogram, category in (layer for row in rows for layer in row.layers):
        is_log = drawn_scales(spectrogram.legend, scales)[1] == "log"
        has_values = spectrogram.has_values[category].any()
        if is_log and has_values and not (spectrogram.values[category] > 0).any():
            several = len(spectrogram.category) > 1
            word = f" {spectrogram.category[category]}" if several else ""
            names.append(spectrogram.instrument + word)
    if names:
        yield f"No value above 0: {', '.join(names)}"


def undrawn(spectrograms: Iterable[Spectrogram], scales: ScalePair) -> Iterator[str]:
    """A note for each spectrogram with channels that the energy axis cannot show."""
    by_name = {spectrogram.name: spectrogram for spectrogram in spectrograms}
    for name, spectrogram in by_name.items():
        count = count_undrawn(spectrogram, drawn_scales(spectrogram.legend, scales)[0])
        if count:
            words = "channel at or below 0 is" if count == 1 else "channels at or below 0 are"
            where = f"{name}: " if len(by_name) > 1 else ""
            yield f"{where}{count} {words} not drawn"


def notes_on_axes(panels: Iterable[Panel], scales: ScalePair) -> Iterator[str]:
    """A note on the panels with values in channels that lie outside of their energy axis."""
    beyond = []
    for panel, (spectrogram, category) in ((p, layer) for p in panels for layer in p.layers):
        y_scale = drawn_scales(spectrogram.legend, scales)[0]
        ends = panel.limits.y_min, panel.limits.y_max
        count = count_beyond(spectrogram, category, y_scale, ends)
        if count:
            names = [spectrogram.name, spectrogram.category[category]]
            beyond.append((names if len(spectrogram.category) > 1 else names[:1], count))
    if beyond:
        instruments = {names[0] for names, _ in beyond}
        listed = ", ".join(
            f"{' '.join(names[1:] if len(instruments) == 1 and names[1:] else names)} {count}"
            for names, count in beyond
        )
        yield f"Channels outside of the axis: {listed}"


def notes_on_modes(spectrograms: Iterable[Spectrogram]) -> Iterator[str]:
    """A note on spectrograms whose values change with the mode, if there are several modes."""
    by_name = {spectrogram.name: spectrogram for spectrogram in spectrograms}
    changing = []
    for name, spectrogram in by_name.items():
        if not spectrogram.legend.by_mode:
            continue
        modes = np.unique(spectrogram.mode[spectrogram.has_values.any(axis=0)])
        if len(modes) > 1:
            where = f"{name}: " if len(by_name) > 1 else ""
            changing.append(f"{where}modes {', '.join(map(str, modes))}")
    if changing:
        values = next(iter(by_name.values())).legend.z_label
        yield f"{values} are comparable only within a mode ({'; '.join(changing)})"


def notes_on_lines(panels: Iterable[Panel]) -> Iterator[str]:
    """Notes on what the signs of fluxes mean, and on axes that show both."""
    shown = [each for panel in panels if panel.is_line for each, _ in panel.layers]
    for word, meaning in ((", positive earthward", "earthward"), (", positive along B", "along B")):
        if any(each.legend.long_name.endswith(word) for each in shown):
            yield f"Fluxes: positive {meaning}"
    if any(each.legend.y_scale == "symlog" for each in shown):
        yield "their axes are linear up to the first power of ten on both sides of 0"
