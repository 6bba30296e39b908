"""Runs all benchmarks and writes their results into docs/performance.md.

Usage: python benchmarks/all.py [--only NAME,NAME…] [--constants]

`--constants` first measures the constants of `spectro-mpi plan`. This takes about an hour and needs
a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import machine, number, sample_data
from whole import BENCHMARKS

NAMES = ("figures", "reading", "reduce", "run", "coordinator", "memory", "sampling")
PAGE = BENCHMARKS.parent / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(NAMES), metavar="NAME,NAME…")
    parser.add_argument("--constants", action="store_true")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-benchmarks-") as folder:
        data = Path(folder) / "demo"
        with sample_data(data):
            if arguments.constants:
                _run("constants", "--data", str(data))
            for name in arguments.only.split(","):
                print(f"{name} …", flush=True)
                measured = json.loads(_run(name, "--data", str(data), "--json"))
                page = _replaced(page, name, _table(measured["rows"]))
    page = _replaced(page, "machine", _machine())
    PAGE.write_text(page, encoding="utf-8")
    print(f"written to {PAGE}")


def _run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| | ours | other | ratio | goal | |", "|---|---|---|---|---|---|"]
    for row in rows:
        holds = {"yes": "holds", "no": "**missed**", "": ""}[row["holds"]]
        lines.append(
            f"| {row['what']} | {number(row['ours'])} {row['unit']} | {number(row['other'])} "
            f"{row['unit']} ({row['beside']}) | {number(row['ratio'])} | {row['goal']} | {holds} |"
        )
    return "\n".join(lines)


def _machine() -> str:
    return ", ".join(f"{name} {value}" for name, value in machine().items())


def _replaced(page: str, name: str, content: str) -> str:
    """Replace the text between the marks of `name` in a page."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{PAGE} has no marks {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", page)


if __name__ == "__main__":
    main()
