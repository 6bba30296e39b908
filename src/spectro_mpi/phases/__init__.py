"""Phases, the steps that every item goes through: their interface, and the built-in phases."""

from __future__ import annotations

from spectro_mpi.phases.interface import MergingPhase, Outputs, Phase, PreparingPhase
from spectro_mpi.phases.workspace import Workspace

__all__ = ["MergingPhase", "Outputs", "Phase", "PreparingPhase", "Workspace"]
