"""Commands of a scheduler that is not here: they note how they are called, and replay answers."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

_COMMAND = """#!{python}
import json, os, sys
from pathlib import Path
folder = Path({folder!r})
name = Path(sys.argv[0]).name
with (folder / "calls.jsonl").open("a") as log:
    log.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
answers = folder / f"{{name}}.json"
table = json.loads(answers.read_text()) if answers.exists() else []
code, out, err = table[0] if table else (0, "", "")
if len(table) > 1:
    answers.write_text(json.dumps(table[1:]))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class FakeCommands:
    """A folder of commands, to be put first in the PATH."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for name in names:
            path = folder / name
            path.write_text(_COMMAND.format(python=sys.executable, folder=str(folder)))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def will_answer(self, name: str, *answers: tuple[int, str, str]) -> None:
        """(exit code, output, errors) of the next calls of a command; the last one for ever."""
        (self.folder / f"{name}.json").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[list[str]]:
        """The commands that were called, with their arguments."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls_of(self, name: str) -> list[list[str]]:
        """The arguments of each call of a command."""
        return [call[1:] for call in self.calls if call[0] == name]
