"""Data as scripts: a page opened from a file system cannot load data in any other way."""

from __future__ import annotations

import json
from typing import Any


def call(function: str, *arguments: Any) -> bytes:
    """Return a script that calls a function of the page with `arguments`.

    It is ASCII without `<`, `>` and `&`, so that it is safe in a script and in HTML, whatever
    names the arguments contain.
    """
    texts = (json.dumps(value, allow_nan=False, separators=(",", ":")) for value in arguments)
    text = ",".join(texts)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return f"spectroMpi.{function}({text});\n".encode("ascii")
