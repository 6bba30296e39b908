"""Solid angles of rings of pitch angle: what a bin sees of the sphere if it is gyrotropic.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_DEGREE = np.pi / 180
"""In radians: a product is what `np.radians` gives, to the bit, in a tenth of the time."""


def ring_solid_angle(pitch_angle: Floats, width: Floats) -> Floats:
    """Solid angles of the rings that bins cover, Ω = π |cos a − cos b| between their edges a and b.

    A bin extends from a = `pitch_angle` − `width`/2 to b = `pitch_angle` + `width`/2, both in
    degrees, any real numbers. Angles of 0 to 360 pass each direction to B twice, so a bin has half
    of its ring: Ω = ∫ π |sin t| dt from a to b, which cuts it at 0, 180 and 360. Bins that cover
    the circle add up to 4π, those that cover 0 to 180 to 2π.

    Parameters
    ----------
    pitch_angle, width : ndarray of float, shapes that broadcast
        Degrees.

    Returns
    -------
    ndarray, of the common shape
        Steradians, float64, or float32 (relative error below 1e-6) if both arguments are; NaN where
        one of them is not finite or the width is below 0.

    Notes
    -----
    |sin t| has the period 180 and the integral 2 over it. What is left of the width is centred at a
    distance d ≤ 90 from the nearest multiple of 180 and has a half-width h < 90; then Ω is
    2π sin d sin h if d ≥ h, else 2π (sin² (h + d)/2 + sin² (h − d)/2). No term cancels another, so
    narrow rings are exact too. `domega` of FAST files is the same without the rotation
    `theta_shift` (SPEDAS, fa_esa_l2create).
    """
    angle, extent = np.asarray(pitch_angle), np.asarray(width)
    dtype = np.result_type(angle, extent, np.float32)
    with np.errstate(invalid="ignore"):
        extent = np.where(extent >= 0, extent, np.nan).astype(dtype)
        turns = np.floor(extent / 180)
        half = (extent - 180 * turns) / 2 * _DEGREE
        centre = angle - 90 * turns if turns.any() else angle
        distance = np.abs(centre - 180 * np.rint(centre / 180)) * _DEGREE
        solid = np.asarray(np.sin(distance) * np.sin(half))
        cut = np.broadcast_to(distance < half, solid.shape)
        if cut.any():
            near = np.broadcast_to(distance, solid.shape)[cut]
            reach = np.broadcast_to(half, solid.shape)[cut]
            solid[cut] = np.sin((reach + near) / 2) ** 2 + np.sin((reach - near) / 2) ** 2
        solid += turns
    ring: Floats = (2 * np.pi * solid).astype(dtype, copy=False)
    return ring
