"""Read TOML; whatever is wrong with it is a `ValueError`."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parsed_toml(text: str) -> dict[str, Any]:
    """The content of a TOML file. Raises `ValueError`, also for absurd nesting."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return table
