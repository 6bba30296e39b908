# ruff: noqa: PTH117, PTH118, PTH208 - even pathlib takes a while to import
"""Import modules with few calls to the file system, which count on a shared one.

Python's own finder asks for the time of a folder at each import that passes it, and for several
facts about each file that it opens. A start imports some 500 modules, on every rank at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import spec_from_file_location

TYPE_CHECKING = False  # importing `typing` would take longer than all of this
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_CHUNK = 1 << 18
"""Bytes read at a time; nearly all modules are smaller."""


def read_folders_once() -> None:
    """From now on, read each folder from which modules are imported only once.

    This is for the folders that are on `sys.path` now, and what is below them. What is added to
    them later is found after `importlib.invalidate_caches`.
    """
    folders = tuple(path for path in sys.path if os.path.isabs(path))
    below = tuple(os.path.join(folder, "") for folder in folders)

    def finder(path: str) -> FileFinder:
        if path not in folders and not path.startswith(below):
            raise ImportError(f"{path} is not for this finder")
        try:
            return _ListedFolder(path)
        except OSError as error:  # such as a zip file, or a folder that is not there
            raise ImportError(str(error)) from None

    sys.path_hooks.insert(0, finder)
    for path, known in [*sys.path_importer_cache.items()]:
        if isinstance(known, FileFinder) and os.path.isabs(path):
            del sys.path_importer_cache[path]


def name_processor() -> None:
    """Have Python know the name of the processor, for which h5py's import would start `uname`."""
    import platform

    if sys.platform == "linux":
        # `processor` is a `functools.cached_property`, which looks here first.
        vars(platform.uname()).setdefault("processor", platform.machine())


def call(module: str, function: str, *arguments: Any) -> None:
    """Call a function of a module that is yet to be imported: what a spawned process begins with.

    To find the function itself, multiprocessing would import its module by Python's own finder.
    """
    read_folders_once()
    getattr(import_module(module), function)(*arguments)


class _Source(SourceFileLoader):
    """Loads a module from its source or, if that is not newer, from its compiled file."""

    def get_data(self, path: str) -> bytes:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = [os.read(file, _CHUNK)]
            while parts[-1]:
                parts.append(os.read(file, _CHUNK))
        finally:
            os.close(file)
        return b"".join(parts)


_LOADERS = [
    *((suffix, ExtensionFileLoader) for suffix in EXTENSION_SUFFIXES),
    *((suffix, _Source) for suffix in SOURCE_SUFFIXES),
    *((suffix, SourcelessFileLoader) for suffix in BYTECODE_SUFFIXES),
]
"""What may follow the name of a module in that of its file, as for Python's own finder."""


class _ListedFolder(FileFinder):
    """Finds modules by the names in a folder, which are read when it is created."""

    def __init__(self, path: str) -> None:
        """Raises `OSError` if the folder cannot be read."""
        super().__init__(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_Source, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )
        self._names: frozenset[str] | None = frozenset(os.listdir(path))

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        if self._names is None:
            try:
                self._names = frozenset(os.listdir(self.path))
            except OSError:
                self._names = frozenset()
        tail = fullname.rpartition(".")[2]
        if tail in self._names:
            spec = self._package(fullname, tail)
            if spec is not None:
                return spec
        spec = _spec(fullname, self.path, tail, self._names)
        if spec is None and tail in self._names:
            return super().find_spec(fullname, target)  # a folder without `__init__`
        return spec

    def _package(self, fullname: str, tail: str) -> ModuleSpec | None:
        folder = os.path.join(self.path, tail)
        finder = sys.path_importer_cache.get(folder)
        if finder is None:
            try:
                finder = sys.path_importer_cache[folder] = _ListedFolder(folder)
            except OSError:  # a file
                return None
        if not isinstance(finder, _ListedFolder) or finder._names is None:
            return None
        return _spec(fullname, folder, "__init__", finder._names, [folder])

    def invalidate_caches(self) -> None:
        super().invalidate_caches()
        self._names = None


def _spec(
    fullname: str, folder: str, stem: str, names: frozenset[str], parts: list[str] | None = None
) -> ModuleSpec | None:
    """How to load a module from a file of a folder that has these names; None: it is not there."""
    for suffix, loader in _LOADERS:
        if stem + suffix in names:
            path = os.path.join(folder, stem + suffix)
            found: Any = loader(fullname, path)
            return spec_from_file_location(
                fullname, path, loader=found, submodule_search_locations=parts
            )
    return None
