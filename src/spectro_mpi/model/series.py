"""Moments as series against time, to be drawn as lines.

A series is a `Spectrogram` of a single channel: what sorts records, finds gaps and merges limits
serves it too. Its categories are directions, or "all" where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spectro_mpi.model.spectrogram import LINE, Spectrogram
from spectro_mpi.settings.summary import SERIES

SIGNED = ("number_flux", "energy_flux", "number_flux_100km", "energy_flux_100km", "velocity")
"""Those that have a sign: their axes show 0."""
_WHOLE = "all"
_ERROR = "_error"
_LABELS = {
    "density": ("Density", "cm⁻³"),
    "number_flux": ("J∥", "cm⁻² s⁻¹"),
    "energy_flux": ("JE∥", "erg cm⁻² s⁻¹"),
    "number_flux_100km": ("J∥ at 100 km", "cm⁻² s⁻¹"),
    "energy_flux_100km": ("JE∥ at 100 km", "erg cm⁻² s⁻¹"),
    "omnidirectional_flux": ("Omnidirectional flux", "cm⁻² s⁻¹"),
    "velocity": ("V∥", "km s⁻¹"),
    "pressure_parallel": ("P∥", "eV cm⁻³"),
    "pressure_perpendicular": ("P⊥", "eV cm⁻³"),
    "temperature_parallel": ("T∥", "eV"),
    "temperature_perpendicular": ("T⊥", "eV"),
    "temperature": ("Temperature", "eV"),
    "potential": ("S/C potential", "V"),
}
"""Name → symbol and unit, for the labels of axes."""


def series_of(spectrogram: Spectrogram, name: str) -> Spectrogram | None:
    """A moment of an instrument as a series, such as "density"; None: the data have none.

    Its values are (category, record, 1), and so are its errors if they are known. It is the same
    object each time.
    """
    moments = spectrogram.moments
    if moments is None or name not in moments or not len(spectrogram.time):
        return None
    known = spectrogram.known_series
    if name not in known:
        values = moments[name]
        rows = values.reshape(-1, values.shape[-1], 1)
        errors = moments[name + _ERROR] if name + _ERROR in moments else rows[:0]
        label, unit = _LABELS[name]
        long_name, units = moments.about(name)
        known[name] = replace(
            spectrogram,
            instrument=f"{spectrogram.instrument}-{name}",
            quantity=name,
            category=moments.directions if values.ndim > 1 else (_WHOLE,),
            mode=np.zeros(values.shape[-1], np.uint8),
            energy=np.ones((1, 1), np.float32),
            edges=np.array([[[0.5, 1.5]]], np.float32),
            values=rows,
            errors=errors.reshape(-1, *rows.shape[1:]) if errors.size else rows[:0],
            legend=replace(
                spectrogram.legend,
                axis=LINE,
                axis_units="",
                name=label,
                long_name=long_name,
                units=units,
                y_label=f"({unit})",
                z_label="",
                is_whole=False,
                by_mode=False,
                y_scale=SERIES[name],
                z_scale="linear",
            ),
            intervals=np.empty((0, 0, 2), np.float32),
            quality=np.empty(0, np.uint8),
            angles=np.empty((0, 0, 0), np.float32),
            bands=np.empty((0, 2), np.float32),
            moments=None,
            notes=(),
        )
    return known[name]


def all_series(spectrogram: Spectrogram) -> Iterator[Spectrogram]:
    """All moments of an instrument that can be drawn as lines."""
    every = (series_of(spectrogram, name) for name in SERIES)
    yield from (series for series in every if series is not None)
