"""Fixed axes in place of the common ones (`plot.axes`)."""

from __future__ import annotations

from collections.abc import Mapping

from spectro_mpi.model.spectrogram import band_name
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import Config

_ENDS = ("y_min", "y_max", "z_min", "z_max")


def common_extrema(config: Config, extrema: Mapping[str, float]) -> Mapping[str, float]:
    """The extrema that figures with common limits have: fixed ones if `plot.axes` names any.

    Those are of energies and colours, in every category, and of the colours of pitch-angle
    spectrograms, whatever the pair of scales. Lines keep the axes that `extrema` has.
    """
    fixed = config.fixed_axes
    if fixed is None:
        return extrema
    known = dict(extrema)
    for name, limits in fixed.limits:
        bands = map(band_name, config.bands(name))
        groups = [
            *((name, category) for category in ("", *config.pitch_angles)),
            *((name + BY_ANGLE, band) for band in ("", *bands)),
        ]
        for group, category in groups:
            whole = f"{group}-{category}" if category else group
            for scales in config.plot.scales:
                start = f"{whole}_{scales[0]}_{scales[1]}_"
                known |= {start + end: limit for end, limit in zip(_ENDS, limits, strict=True)}
    return known
