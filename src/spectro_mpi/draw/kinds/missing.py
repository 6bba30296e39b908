"""Notes on what an item lacks."""

from __future__ import annotations

from collections.abc import Iterable

from spectro_mpi.errors import Failure
from spectro_mpi.settings.schema import Config


def missing_note(
    config: Config, present: Iterable[str], failures: Iterable[Failure]
) -> tuple[str, ...]:
    """A note on which of the selected instruments an item has no data of, and why."""
    reasons = {failure.instrument: failure.reason for failure in failures}
    missing = [
        f"{instrument} ({reasons.get(instrument, 'no file')})"
        for instrument in config.select.instruments
        if instrument not in present
    ]
    return (f"No data: {', '.join(missing)}",) if missing else ()
