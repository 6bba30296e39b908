"""Titles, labels and scales of `[[instrument]]` tables, put into the legends of the store.

The store has those of the files, so that the settings can change without reading files again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spectro_mpi.instruments.units import readable, titled
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.settings.instrument_table import InstrumentTable


def shown_as_set(spectrogram: Spectrogram, tables: Sequence[InstrumentTable]) -> Spectrogram:
    """A spectrogram with the title, label and scales that its instrument's table sets, if any."""
    for table in tables:
        if table.name == spectrogram.instrument:
            legend = legend_as_set(spectrogram.legend, table)
            if legend != spectrogram.legend:
                return replace(spectrogram, legend=legend)
    return spectrogram


def legend_as_set(legend: Legend, table: InstrumentTable) -> Legend:
    """A legend with what a table sets in place of what the file says."""
    if table.label and legend.label:  # else an earlier version stored it as it was set
        label = readable(table.label)
        legend = replace(
            legend,
            title=title_of(legend.source, legend.descriptor, label),
            name=label,
            long_name=label if legend.long_name == legend.label else legend.long_name,
            z_label=titled(label, legend.units),
        )
    if table.title:
        legend = replace(legend, title=table.title, name=table.title)
    if table.title or table.label:
        legend = replace(legend, mission=legend.source or legend.title)
    return replace(
        legend, y_scale=table.y_scale or legend.y_scale, z_scale=table.z_scale or legend.z_scale
    )


def title_of(source: str, descriptor: str, label: str) -> str:
    """The title of an instrument's figures, of what its files say and its label."""
    return " ".join(filter(None, (source, descriptor, label)))
