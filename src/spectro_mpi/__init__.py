"""Spectrograms of space-physics particle CDF files, by the thousand, under MPI."""

from __future__ import annotations

TYPE_CHECKING = False  # without `typing`, which takes a while to import
if TYPE_CHECKING:
    from typing import Any

    from spectro_mpi.api.axes import make_spectrogram as make_spectrogram
    from spectro_mpi.api.axes import plot_spectrogram_set as plot_spectrogram_set
    from spectro_mpi.api.batch import batch_plot as batch_plot
    from spectro_mpi.api.items import collect_items as collect_items
    from spectro_mpi.api.items import create_stacks as create_stacks
    from spectro_mpi.api.pipeline import Pipeline as Pipeline
    from spectro_mpi.api.pipeline import generate_assets as generate_assets
    from spectro_mpi.api.pipeline import start_pipeline as start_pipeline
    from spectro_mpi.api.runs import compute_global_extrema as compute_global_extrema
    from spectro_mpi.api.runs import plot_directory as plot_directory
    from spectro_mpi.demo import write_demo as write_demo
    from spectro_mpi.errors import RunError as RunError
    from spectro_mpi.errors import UserError as UserError
    from spectro_mpi.model.artifacts import Artifact as Artifact
    from spectro_mpi.model.artifacts import Dataset as Dataset
    from spectro_mpi.model.items import Item as Item
    from spectro_mpi.model.spectrogram import Spectrogram as Spectrogram
    from spectro_mpi.phases.context import Context as Context
    from spectro_mpi.phases.context import Inputs as Inputs
    from spectro_mpi.phases.interface import MergingPhase as MergingPhase
    from spectro_mpi.phases.interface import Outputs as Outputs
    from spectro_mpi.phases.interface import Phase as Phase
    from spectro_mpi.phases.plot import PlotPhase as PlotPhase
    from spectro_mpi.phases.reduce import ReducePhase as ReducePhase
    from spectro_mpi.phases.workspace import Workspace as Workspace
    from spectro_mpi.rundir.reader import Run as Run
    from spectro_mpi.rundir.reader import open_run as open_run
    from spectro_mpi.settings.loading import load_config as load_config

_MODULES = {
    "Artifact": "model.artifacts",
    "Context": "phases.context",
    "Dataset": "model.artifacts",
    "Inputs": "phases.context",
    "Item": "model.items",
    "MergingPhase": "phases.interface",
    "Outputs": "phases.interface",
    "Phase": "phases.interface",
    "Pipeline": "api.pipeline",
    "PlotPhase": "phases.plot",
    "ReducePhase": "phases.reduce",
    "Run": "rundir.reader",
    "RunError": "errors",
    "Spectrogram": "model.spectrogram",
    "UserError": "errors",
    "Workspace": "phases.workspace",
    "batch_plot": "api.batch",
    "collect_items": "api.items",
    "compute_global_extrema": "api.runs",
    "create_stacks": "api.items",
    "generate_assets": "api.pipeline",
    "load_config": "settings.loading",
    "make_spectrogram": "api.axes",
    "open_run": "rundir.reader",
    "plot_directory": "api.runs",
    "plot_spectrogram_set": "api.axes",
    "start_pipeline": "api.pipeline",
    "write_demo": "demo",
}
"""Public name → the module that defines it."""

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    # Imported lazily: a rank that does not need a module does not pay for its import.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"spectro_mpi.{_MODULES[name]}"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("spectro-mpi")
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
