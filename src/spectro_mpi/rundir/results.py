"""Files of the whole run that belong to an artifact, and whether they are as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spectro_mpi.rundir.layout import result_path
from spectro_mpi.rundir.store import stamp_of_bytes, stamp_of_file

_FILES = "files"


def with_stamps(content: dict[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of an artifact with the stamps of the files that belong to it."""
    stamps = {name: stamp_of_bytes(file) for name, file in files.items()}
    return content | ({_FILES: stamps} if stamps else {})


def stamps_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Name of a file → its stamp, as the content of an artifact tells."""
    stamps = content.get(_FILES)
    if not isinstance(stamps, dict):
        return {}
    return {name: str(stamp) for name, stamp in stamps.items() if Path(name).name == name}


def problem_of_result(run_dir: Path, name: str, stamp: str | None) -> str:
    """What is wrong with a file in results/, or empty if it is as it was written."""
    try:
        return "" if stamp_of_file(result_path(run_dir, name)) == stamp else "has been changed"
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
