"""Data as scripts: the one way by which a page opened from a file system can load any."""

from __future__ import annotations

import json
from typing import Any


def call(function: str, *arguments: Any) -> bytes:
    """A script that hands `arguments` to a function of the page.

    ASCII without `<`, `>` and `&`, so that it can stand wherever a script or HTML may, whatever
    names it holds.
    """
    words = ",".join(json.dumps(one, allow_nan=False, separators=(",", ":")) for one in arguments)
    for letter in "<>&":
        words = words.replace(letter, f"\\u{ord(letter):04x}")
    return f"spectroMpi.{function}({words});\n".encode("ascii")
