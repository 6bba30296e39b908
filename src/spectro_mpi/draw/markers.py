"""The colours of marked events: unlike white, the colour map and each other, for all eyes.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CANDIDATES = (
    (255, 0, 255),
    (255, 0, 0),
    (0, 200, 0),
    (60, 130, 255),
    (255, 140, 0),
    (0, 190, 210),
)
_PAPER = ((255, 255, 255), (208, 208, 208))
"""White and light grey."""

_VISIONS = np.array(
    [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ]
)
"""Of linear RGB, as seen by most people and with protanopia and deuteranopia: Machado, Oliveira and
Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291."""
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def marker_colors(colormap: NDArray[np.int16], number: int) -> NDArray[np.uint8]:
    """Return `number` colours, (color, rgb) 0–255, for events on a colour map, (step, rgb) 0–255.

    The first is the candidate farthest from white and the map, in RGB. Each of the others is
    farthest from these, light grey and those chosen, in CIELAB and for the vision that
    distinguishes it least.
    """
    known = np.vstack([colormap, _PAPER[:1]]).astype(np.float64)
    first = max(_CANDIDATES, key=lambda color: _nearest(np.array(color, np.float64), known))
    chosen = [first]
    known = _as_seen(np.vstack([colormap, _PAPER, [first]]))
    seen = {color: _as_seen(np.array([color])) for color in _CANDIDATES}
    while len(chosen) < number:
        left = [color for color in _CANDIDATES if color not in chosen]
        chosen.append(max(left, key=lambda color: _nearest(seen[color], known)))
        known = np.concatenate([known, seen[chosen[-1]]], axis=1)
    return np.array(chosen, np.uint8)


def _nearest(color: Floats, others: Floats) -> float:
    return float(((others - color) ** 2).sum(axis=-1).min())


def _as_seen(colors: NDArray[np.int_]) -> Floats:
    """CIELAB (D65) of sRGB colours, (color, rgb) 0–255, for each vision; (vision, color, 3)."""
    fraction = colors / 255.0
    linear = np.where(fraction <= 0.04045, fraction / 12.92, ((fraction + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ _VISIONS.transpose(0, 2, 1), 0.0, 1.0)
    xyz = seen @ _XYZ.T / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack(
        [
            116 * f[..., 1] - 16,
            500 * (f[..., 0] - f[..., 1]),
            200 * (f[..., 1] - f[..., 2]),
        ],
        axis=-1,
    )
