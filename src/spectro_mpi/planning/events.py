"""The table of marked events that the settings name."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.model.marks import Mark, Marks, PackedMarks, parse_marks
from spectro_mpi.rundir.layout import EVENTS
from spectro_mpi.settings.schema import Config, PlotSettings, SettingsError
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.words import reason


def read_marks(
    path: Path, label: str = PlotSettings.event_label, by_index: bool = True
) -> dict[str, tuple[Mark, ...]]:
    """Read a table of events: item id → its marks; `label`, `by_index`: see `parse_marks`.

    Raises `SettingsError` if the file cannot be read, or naming the line that cannot.
    """
    where = f'plot.events = "{path}"'
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: cannot be read: {reason(error)}") from None
    return parse_marks(text, where, label, by_index)


def marks_of(config: Config) -> Marks:
    """The marked events of a run, empty if the settings name no table. Raises `SettingsError`."""
    if not config.plot.events:
        return {}
    path = events_copy(config) or Path(config.plot.events)
    by_index = not config.data.cadence
    return PackedMarks(read_marks(path, config.plot.event_label, by_index))


def events_copy(config: Config) -> Path | None:
    """The copy of the table of events in the run directory, if the table itself is not there."""
    copy = config.run_dir / EVENTS
    is_gone = bool(config.plot.events) and not Path(config.plot.events).exists()
    return copy if is_gone and copy.exists() else None


def events_content(config: Config) -> bytes | None:
    """The table of events as it is to be copied; None if the settings name no table.

    Raises `SettingsError` if it cannot be read.
    """
    if not config.plot.events:
        return None
    path = events_copy(config) or Path(config.plot.events)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f'plot.events = "{path}": cannot be read: {reason(error)}') from None


def keep_events(run_dir: Path, content: bytes | None) -> None:
    """Replace the copy of the table of events in a run directory; None: there is none.

    Raises `OSError`.
    """
    copy = run_dir / EVENTS
    if content is None:
        copy.unlink(missing_ok=True)
    elif not copy.exists() or copy.read_bytes() != content:
        write_atomic(copy, content)
