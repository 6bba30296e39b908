"""Spectrograms of space-physics particle CDF files, by the thousand, under MPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectro_mpi.artifacts import Artifact as Artifact
    from spectro_mpi.artifacts import Dataset as Dataset
    from spectro_mpi.batch import batch_plot as batch_plot
    from spectro_mpi.config import load_config as load_config
    from spectro_mpi.demo import write_demo as write_demo
    from spectro_mpi.draw.axes import make_spectrogram as make_spectrogram
    from spectro_mpi.draw.axes import plot_spectrogram_set as plot_spectrogram_set
    from spectro_mpi.errors import RunError as RunError
    from spectro_mpi.errors import UserError as UserError
    from spectro_mpi.inventory import Item as Item
    from spectro_mpi.local import compute_global_extrema as compute_global_extrema
    from spectro_mpi.local import plot_directory as plot_directory
    from spectro_mpi.phases import MergingPhase as MergingPhase
    from spectro_mpi.phases import Outputs as Outputs
    from spectro_mpi.phases import Phase as Phase
    from spectro_mpi.phases import Workspace as Workspace
    from spectro_mpi.phases.context import Context as Context
    from spectro_mpi.phases.context import Inputs as Inputs
    from spectro_mpi.phases.plot import PlotPhase as PlotPhase
    from spectro_mpi.phases.reduce import ReducePhase as ReducePhase
    from spectro_mpi.pipeline import Pipeline as Pipeline
    from spectro_mpi.pipeline import generate_assets as generate_assets
    from spectro_mpi.pipeline import start_pipeline as start_pipeline
    from spectro_mpi.run import Run as Run
    from spectro_mpi.run import open_run as open_run
    from spectro_mpi.spectrogram import Spectrogram as Spectrogram
    from spectro_mpi.stacks import collect_items as collect_items
    from spectro_mpi.stacks import create_stacks as create_stacks

_ROOMS = {
    "Artifact": "artifacts",
    "Context": "phases.context",
    "Dataset": "artifacts",
    "Inputs": "phases.context",
    "Item": "inventory",
    "MergingPhase": "phases",
    "Outputs": "phases",
    "Phase": "phases",
    "Pipeline": "pipeline",
    "PlotPhase": "phases.plot",
    "ReducePhase": "phases.reduce",
    "Run": "run",
    "RunError": "errors",
    "Spectrogram": "spectrogram",
    "UserError": "errors",
    "Workspace": "phases",
    "batch_plot": "batch",
    "collect_items": "stacks",
    "compute_global_extrema": "local",
    "create_stacks": "stacks",
    "generate_assets": "pipeline",
    "load_config": "config",
    "make_spectrogram": "draw.axes",
    "open_run": "run",
    "plot_directory": "local",
    "plot_spectrogram_set": "draw.axes",
    "start_pipeline": "pipeline",
    "write_demo": "demo",
}
"""What the package offers → the room it lives in."""

__all__ = sorted(_ROOMS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    # Late, so that importing the package costs nothing on a rank that does not need it.
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(f"spectro_mpi.{_ROOMS[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("spectro-mpi")
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
