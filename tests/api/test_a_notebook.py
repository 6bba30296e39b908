"""A notebook, executed by a kernel, shows runs, items, failures, spectrograms and progress."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest

from spectro_mpi.demo import DemoSummary

CELLS = (
    "import spectro_mpi",
    "run = spectro_mpi.plot_directory(\n"
    "    {data!r}, {output!r}, max_workers=1, settings={{'plot': {{'dpi': 40}},\n"
    "    'select': {{'orbits': '13312-13314'}}, 'report': {{'at_end': False}}}})",
    "run",
    "run.items",
    "run.errors",
    "run.spectrogram(13312, 'ees')",
    "run.items.where(failed=True)",
    "run.items.to_pandas()",
    "spectro_mpi.create_stacks(spectro_mpi.collect_items({data!r}), workers=2)",
    "run.spectrogram('13399', 'ees')",
)


@pytest.fixture(scope="module")
def shown(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The outputs of each cell."""
    for package in ("nbclient", "ipykernel", "tqdm"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (pip install '.[test]')")
    import nbclient
    import nbformat

    folder = tmp_path_factory.mktemp("notebook")
    names = {"data": str(demo.directory / "FAST_data"), "output": str(folder / "run")}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.format(**names)) for cell in CELLS]
    )
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", allow_errors=True, resources={}
    )
    client.execute(cwd=str(folder))
    return [cell["outputs"] for cell in notebook["cells"]]


def html(outputs: list[Any]) -> str:
    return "".join(each.get("data", {}).get("text/html", "") for each in outputs)


def test_the_run_is_a_table_of_phases_with_a_figure(shown: list[Any]) -> None:
    page = html(shown[2])
    assert re.search(r"<td>reduce</td><td>\d of 3 items done", page)
    assert 'src="data:image/jpeg;base64,' in page


def test_its_progress_is_a_bar_per_phase(shown: list[Any]) -> None:
    text = "".join(str(each.get("text", "")) + str(each.get("data", "")) for each in shown[1])
    assert "reduce" in text and "plot" in text


def test_items_failures_spectrograms_and_stacks_are_tables(shown: list[Any]) -> None:
    assert "<td>13312</td>" in html(shown[3]) and "<th>mlt</th>" in html(shown[3])
    assert "<td>13314</td><td>ees</td><td>reduce</td><td>invalid-cdf</td>" in html(shown[4])
    assert "<td>quantity</td><td>counts" in html(shown[5])
    assert 'src="data:image/' in html(shown[5])
    assert "<td>13314</td>" in html(shown[6]) and "<td>13312</td>" not in html(shown[6])
    assert "13312" in html(shown[7]) and "<table" in html(shown[8])


def test_a_missing_item_is_one_line_that_names_what_there_is(shown: list[Any]) -> None:
    (error,) = shown[9]
    assert error["ename"] == "MissingError"
    assert "the store has no item 13399" in error["evalue"] and "\n" not in error["evalue"]


def test_no_cell_but_the_last_fails_or_warns(shown: list[Any]) -> None:
    for outputs in shown[:-1]:
        for each in outputs:
            assert each["output_type"] != "error", each
            assert "Traceback" not in str(each)
