"""Calls of a scheduler's commands: answers within a time, submissions tried again."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from spectro_mpi.errors import UserError

_ANSWER_SECONDS = 30.0
"""Longest time to wait for an answer."""
_SUBMIT_SECONDS = 120.0
PAUSES = (1.0, 3.0)
"""Seconds between the attempts to submit a script, which are one more."""
_FINAL = re.compile(
    r"invalid|illegal|unknown|violat|exceed|denied|unauthorized|not permitted", re.IGNORECASE
)
"""In messages of a refusal that another attempt would not change."""


def answer(*command: str) -> str:
    """Standard output of a command, also if it fails; empty if there is none in time."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def submitted(command: Sequence[str], script: Path) -> str:
    """Last line of the output of the command that submits a script, which is appended to it.

    Sites let their commands print messages before it.

    If it fails, as it does while the scheduler restarts, it is tried three times in all, unless the
    message says that the script is refused for good. Raises `UserError` with its last message. It
    is not tried again if it does not answer: it may have submitted the script.
    """
    for pause in (*PAUSES, None):
        try:
            done = subprocess.run(
                [*command, str(script)],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SUBMIT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{command[0]} does not answer; see whether it has submitted {script}, and if not, "
                "submit again"
            ) from None
        except OSError as error:
            raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None
        if done.returncode == 0:
            return done.stdout.strip().rpartition("\n")[2].strip()
        if pause is None or _FINAL.search(done.stderr):
            break
        time.sleep(pause)
    raise UserError(f"{command[0]} refused {script}: {' '.join(done.stderr.split())}")
