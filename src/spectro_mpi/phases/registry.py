"""Load phases: built-in ones, those in settings ("module:Class"), and those of entry points."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from spectro_mpi.phases.interface import Phase
from spectro_mpi.phases.workspace import Carried, Workspace
from spectro_mpi.settings.schema import Config, SettingsError

ENTRY_POINTS = "spectro_mpi.phases"

_BUILT_IN = {
    "reduce": "spectro_mpi.phases.reduce:ReducePhase",
    "plot": "spectro_mpi.phases.plot:PlotPhase",
    "atlas": "spectro_mpi.phases.atlas:AtlasPhase",
    "superpose": "spectro_mpi.phases.superpose:SuperposePhase",
}


def load_phase(entry: str, config: Config) -> Phase:
    """Load the phase of an entry of the setting `phases`, with its settings.

    `entry`: the name of a built-in phase, "module:Class", "/path/to/file.py:Class", or the name of
    an entry point in the group `spectro_mpi.phases`. Raises `SettingsError` if there is no such
    phase, its module cannot be imported, or it is not a `Phase`.
    """
    target = _BUILT_IN.get(entry, entry)
    if ":" not in target:
        target = _entry_point(entry)
    module_name, _, class_name = target.rpartition(":")
    module = _import(module_name, entry)
    phase_class = getattr(module, class_name, None)
    if phase_class is None:
        raise SettingsError(
            f'phases: "{entry}": {module_name} has no {class_name}; name a class it defines'
        )
    if not (isinstance(phase_class, type) and issubclass(phase_class, Phase)):
        raise SettingsError(
            f'phases: "{entry}": {class_name} is not derived from spectro_mpi.Phase; '
            "derive it from that class"
        )
    try:
        phase = phase_class()
    except TypeError as error:
        raise SettingsError(
            f'phases: "{entry}": {class_name} cannot be created without arguments ({error}); '
            "put its settings into [phase.NAME] instead"
        ) from None
    phase.config = config
    return phase


def carry(phase: Phase | str, name: str) -> Carried:
    """A phase in a form that can be sent to other processes: its entry, or else its pickle.

    Raises `SettingsError` if the phase cannot be pickled.
    """
    if isinstance(phase, str):
        return Carried(name, phase)
    import cloudpickle

    try:
        # cloudpickle, since other processes cannot import a class of a script or a notebook.
        return Carried(name, "", cloudpickle.dumps(phase))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise SettingsError(
            f'phase "{name}" cannot be sent to compute processes ({error}); '
            "create what cannot be pickled, such as open files, in begin()"
        ) from None


def make_phase(name: str, workspace: Workspace) -> Phase:
    """Load the phase called `name` of a workspace, without importing any other phase.

    Raises `ValueError` if there is no such phase, `SettingsError` if it cannot be loaded.
    """
    carried = next((phase for phase in workspace.phases if phase.name == name), None)
    if carried is None:
        raise ValueError(f"there is no phase {name}")
    if carried.entry:
        return load_phase(carried.entry, workspace.config)
    phase: Phase = pickle.loads(carried.pickled)
    phase.config = workspace.config
    return phase


def _entry_point(name: str) -> str:
    """The value, "module:Class", of an entry point. Raises `SettingsError` if there is none."""
    from importlib.metadata import entry_points

    installed = entry_points(group=ENTRY_POINTS)
    for entry_point in installed:
        if entry_point.name == name:
            return entry_point.value
    known = ", ".join([*_BUILT_IN, *sorted(entry_point.name for entry_point in installed)])
    raise SettingsError(
        f'phases: there is no phase "{name}"; choose from {known}, '
        'or name your phase as in "module:Class" or "file.py:Class"'
    )


def _import(name: str, entry: str) -> ModuleType:
    """Import a module, or a file by its path. Raises `SettingsError` on any error in it."""
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        return _import_file(Path(name))
    except ModuleNotFoundError as error:
        if error.name == name or (error.name and name.startswith(f"{error.name}.")):
            raise SettingsError(
                f'phases: "{entry}": there is no module {error.name}; install it, or name a file '
                'as in "my_phases.py:Moments"'
            ) from None
        raise SettingsError(f'phases: "{entry}": cannot be imported: {error}') from error
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise SettingsError(f'phases: "{entry}": cannot be imported: {why}') from error


def _import_file(path: Path) -> ModuleType:
    """Import a file as the module of its name, or return it if it is imported already."""
    known: Any = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # type: ignore[no-any-return]
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    if path.stem not in sys.modules:
        sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if sys.modules.get(path.stem) is module:
            del sys.modules[path.stem]
        raise
    return module
