"""Where phases come from: built in, from settings ("module:Class"), or from entry points."""

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
}


def load_phase(entry: str, config: Config) -> Phase:
    """The phase an entry of the setting `phases` means. Raises `SettingsError`.

    `entry`: "reduce", "plot", "module:Class", "/path/to/file.py:Class", or the name of an entry
    point of the group `spectro_mpi.phases`.
    """
    where = _BUILT_IN.get(entry, entry)
    if ":" not in where:
        where = _entry_point(entry)
    module_name, _, class_name = where.rpartition(":")
    module = _import(module_name, entry)
    found = getattr(module, class_name, None)
    if found is None:
        raise SettingsError(f'phases: "{entry}": {module_name} has no {class_name}')
    if not (isinstance(found, type) and issubclass(found, Phase)):
        raise SettingsError(
            f'phases: "{entry}": {class_name} is not derived from spectro_mpi.Phase'
        )
    try:
        phase = found()
    except TypeError as error:
        raise SettingsError(
            f'phases: "{entry}": {class_name} cannot be made without arguments ({error}); '
            "settings of its own stand in [phase.NAME]"
        ) from None
    phase.config = config
    return phase


def carry(phase: Phase | str, name: str) -> Carried:
    """A phase as it travels: by its entry if settings name it, else by value.

    Raises `SettingsError` for one that cannot travel.
    """
    if isinstance(phase, str):
        return Carried(name, phase)
    import cloudpickle

    try:
        # By value where it was made in a script or a notebook, which other processes do not have.
        return Carried(name, "", cloudpickle.dumps(phase))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise SettingsError(
            f'phase "{name}" cannot be sent to compute processes ({error}); '
            "open files and the like in begin()"
        ) from None


def make_phase(name: str, workspace: Workspace) -> Phase:
    """The phase called `name` of a workspace; imports what it needs, and only that."""
    carried = next((one for one in workspace.phases if one.name == name), None)
    if carried is None:
        raise ValueError(f"no phase is called {name}")
    if carried.entry:
        return load_phase(carried.entry, workspace.config)
    phase: Phase = pickle.loads(carried.pickled)
    phase.config = workspace.config
    return phase


def _entry_point(name: str) -> str:
    from importlib.metadata import entry_points

    found = entry_points(group=ENTRY_POINTS)
    for one in found:
        if one.name == name:
            return one.value
    known = ", ".join([*_BUILT_IN, *sorted(one.name for one in found)])
    raise SettingsError(
        f'phases: there is no phase "{name}" (there are {known}); '
        'one of your own is named "module:Class" or "file.py:Class"'
    )


def _import(name: str, entry: str) -> ModuleType:
    """Import a module, or a file by its path. Raises `SettingsError`, whatever went wrong in it."""
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
        told = f"{type(error).__name__}: {error}"
        raise SettingsError(f'phases: "{entry}": cannot be imported: {told}') from error


def _import_file(path: Path) -> ModuleType:
    known: Any = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known  # type: ignore[no-any-return]
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
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
