"""The table of marked events that the settings name."""

from __future__ import annotations

from pathlib import Path

from spectro_mpi.model.marks import Mark, Marks, parse_marks
from spectro_mpi.settings.schema import Config, PlotSettings, SettingsError


def read_marks(path: Path, label: str = PlotSettings.event_label) -> dict[str, tuple[Mark, ...]]:
    """Read a table of events: item id → its marks; `label`: of events that have none.

    Raises `SettingsError` if the file cannot be read, or naming the line that cannot.
    """
    where = f'plot.events = "{path}"'
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: cannot be read: {error}") from None
    return parse_marks(text, where, label)


def marks_of(config: Config) -> Marks:
    """The marked events of a run, empty if the settings name no table. Raises `SettingsError`."""
    plot = config.plot
    return read_marks(Path(plot.events), plot.event_label) if plot.events else {}
