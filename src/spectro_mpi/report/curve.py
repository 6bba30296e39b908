"""The memory of a process up to its end, as an SVG drawing in the page."""

from __future__ import annotations

from dataclasses import dataclass

from spectro_mpi.diagnosis.verdict import Diagnosis

WIDTH, HEIGHT = 600.0, 120.0
"""Size of the drawing, in units of its view box."""


@dataclass(frozen=True)
class Curve:
    """A polyline over the whole width of the drawing; memory 0 is at the bottom."""

    points: str
    """The points attribute of the SVG polyline."""
    seconds: float
    """Time from the first to the last point."""
    top_mb: float
    """Memory at the top of the drawing."""
    last_mb: float
    limit: float | None
    """y of the memory limit; None if it is not known, or far above the curve."""


def curve_of(diagnosis: Diagnosis) -> Curve | None:
    """Return the curve of a diagnosis; None if it has fewer than two points."""
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
