"""The memory of a process up to its end, as a drawing in the page."""

from __future__ import annotations

from dataclasses import dataclass

from spectro_mpi.diagnosis.verdict import Diagnosis

WIDTH, HEIGHT = 600.0, 120.0
"""Of the drawing, in its own units."""


@dataclass(frozen=True)
class Curve:
    """A line from the left to the right of the drawing, upward from its bottom."""

    points: str
    """As SVG has them."""
    seconds: float
    """From its first to its last point."""
    top_mb: float
    """Memory at the top of the drawing."""
    last_mb: float
    limit: float | None
    """Height at which the limit stands; None: it is not known, or far above."""


def curve_of(diagnosis: Diagnosis) -> Curve | None:
    """The curve of a diagnosis; None if it has none."""
    curve = diagnosis.curve
    if len(curve) < 2:
        return None
    begin, end = curve[0][0], curve[-1][0]
    most = max(memory for _, memory in curve)
    near = 0 < diagnosis.limit_mb < 4 * most
    top = 1.1 * max(most, diagnosis.limit_mb if near else 0.0, 1e-6)
    points = " ".join(
        f"{WIDTH * (time - begin) / max(end - begin, 1e-9):.1f},{HEIGHT * (1 - memory / top):.1f}"
        for time, memory in curve
    )
    limit = HEIGHT * (1 - diagnosis.limit_mb / top) if near else None
    return Curve(points, end - begin, top, curve[-1][1], limit)
