"""The code stays easy to enter: no circles, nothing long, one place for each fact."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

SOURCE = Path(__file__).parents[1] / "src" / "spectro_mpi"
_MOST_MODULE_LINES = 500
_MOST_FUNCTION_LINES = 60


def modules() -> Iterator[tuple[str, str]]:
    """(path below the package, text) of every module."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), path.read_text()


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("spectro_mpi", exclude_type_checking_imports=False, cache_dir=None)
    imports = {
        name: graph.find_modules_directly_imported_by(name) - {name} for name in graph.modules
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")


def test_beside_the_rooms_are_only_the_way_in_and_what_errors_are_made_of() -> None:
    beside = {path.name for path in SOURCE.iterdir() if path.is_file()}
    assert beside == {"__init__.py", "__main__.py", "errors.py", "inert.py", "py.typed"}


def test_modules_and_functions_are_short() -> None:
    long = [name for name, text in modules() if text.count("\n") > _MOST_MODULE_LINES]
    for name, text in modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                documented = (ast.get_docstring(node) or "").count("\n") + 1
                if lines > _MOST_FUNCTION_LINES and 2 * documented < lines:
                    long.append(f"{name}: {node.name} has {lines} lines")
    assert long == []


def test_only_the_rooms_of_schedulers_read_the_environment_of_slurm() -> None:
    readers = [name for name, text in modules() if '"SLURM_' in text]
    assert readers == ["system/scheduler/slurm.py"]


def test_no_other_room_knows_a_preset_by_its_name() -> None:
    knowing = {
        name
        for name, text in modules()
        if '"fast-esa"' in text and not name.startswith(("settings/", "demo/"))
    }
    assert knowing == set()
