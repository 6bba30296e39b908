"""The files of a preview: their names, and what they hold."""

from __future__ import annotations

import pytest

from spectro_mpi.previews import preview
from spectro_mpi.previews.preview import scripts_of
from spectro_mpi.previews.values import Part, Values
from spectro_mpi.rundir.names import is_item_id
from spectro_mpi.settings.file_pattern import FilePattern


def test_no_item_can_have_the_name_of_a_further_script_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preview, "_SCRIPT_BYTES", 10)
    values = Values({}, tuple(Part({"records": 1}, "x" * 20) for _ in range(3)))
    files = scripts_of({}, {"ees": values})
    assert list(files) == [".js", "~1.js", "~2.js"]
    assert b'"script":0' in files[".js"].replace(b" ", b"")
    assert b'"script":"~2"' in files[".js"].replace(b" ", b"")
    for end in files:
        name = f"x{end.removesuffix('.js')}"
        assert is_item_id(name)
        assert (FilePattern("{item}.cdf").match(f"{name}.cdf") is None) == ("~" in name)
