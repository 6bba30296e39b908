"""Parse files that the program wrote, without trust: they may be damaged, or from somebody else.

Whatever is wrong (syntax, types, nesting, sizes, a pipe in place of the file) is a `ValueError`
with a short sentence, or the `OSError` of a file that cannot be read.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from spectro_mpi.system.regular import read_regular

T = TypeVar("T")


def parsed_json(content: bytes | str) -> Any:
    """The content of a JSON file. Raises `ValueError`, also for absurd nesting and infinities."""
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `OSError`, or `ValueError` if it is damaged."""
    return parsed_json(read_regular(path))


def as_type(kind: type[T], value: object) -> T:
    """A value from JSON as `kind`, which may be a dataclass, or a list or dict of types.

    Raises `ValueError`, saying which part of the value has another type or is out of range.
    """
    from pydantic import ValidationError

    adapter: Any = _adapter
    try:
        checked: T = adapter(kind).validate_python(value)
    except ValidationError as error:
        mistake = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, mistake["loc"]))[:80]
        raise ValueError(f"{place}: {mistake['msg']}" if place else mistake["msg"]) from None
    return checked


@cache
def _adapter(kind: Any) -> Any:
    # Slow to import.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is not a finite number")
    return number
