"""The steps of an item: the interface that phases keep, and the built-in ones."""

from __future__ import annotations

from spectro_mpi.phases.interface import MergingPhase, Outputs, Phase, PreparingPhase
from spectro_mpi.phases.workspace import Workspace

__all__ = ["MergingPhase", "Outputs", "Phase", "PreparingPhase", "Workspace"]
