"""Common axis limits of all items: partial results that merge in any order, and what is read off.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Axis limits of one panel, physical values: y in eV, z in counts or eflux units."""

    y_min: float
    y_max: float
    z_min: float
    z_max: float
