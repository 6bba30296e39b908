"""The atlas phase: maps of the whole run over magnetic local time and invariant latitude."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from spectro_mpi.instruments.flux_units import measure_of
from spectro_mpi.instruments.units import is_count
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.atlas_groups import groups_of, measures_of
from spectro_mpi.model.atlas_item import (
    ITEMS,
    PLACED,
    RECORDS,
    WITH_EPHEMERIS,
    AtlasPlan,
    contribution_of,
)
from spectro_mpi.model.atlas_tally import AtlasTally, arrays_of, tally_from
from spectro_mpi.model.items import Item
from spectro_mpi.model.spectrogram import Spectrogram, band_name
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.interface import MergingPhase, Outputs
from spectro_mpi.phases.provenance import software
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import ATLAS_FILE
from spectro_mpi.settings.atlas_layers import what_atlas_lacks
from spectro_mpi.system.activity import doing

ARTIFACT = Artifact("atlas", extension=".json", of="run", long_name="What the atlas was made from")
_RULES = 1
"""Raised when the same spectrograms give other contributions, or these another form."""

log = logging.getLogger(__name__)


class AtlasPhase(MergingPhase[AtlasTally]):
    """Counts the values of an item by cell of the atlas, and merges the counts into maps."""

    name = "atlas"
    needs = (Artifact("spectrograms", dims=("category", "record", "channel")),)
    gives = (ARTIFACT,)
    kept_from = "reduce"
    kept_groups = 4
    result_files = (ATLAS_FILE,)

    @property
    def kept_version(self) -> int:  # type: ignore[override]
        """A number that follows from the rules and all settings of a contribution."""
        config = self.config
        directions = {name: str(each) for name, each in config.directions.items()}
        mapped = [
            (each.instrument, each.bands, each.categories) for each in self._plan.mapped.values()
        ]
        content = [config.atlas.of_contributions, directions, mapped]
        return (_RULES << 32) + zlib.crc32(json.dumps(content, sort_keys=True).encode())

    def mistakes(self) -> Iterator[str]:
        """What the settings lack: an ephemeris, bands, categories with a direction."""
        return what_atlas_lacks(self.config)

    @cached_property
    def _plan(self) -> AtlasPlan:
        return AtlasPlan(self.config)

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Count the values of the item's spectrograms."""
        return Outputs(partial=self.restore(item, inputs, context))

    def restore(self, item: Item, inputs: Inputs, context: Context) -> AtlasTally:
        """The same, of an item that an earlier execution has counted."""
        context.status("store")
        spectrograms: Mapping[str, Spectrogram] = inputs["spectrograms"]
        context.status("count")
        with doing("reduce"):
            shown = list(spectrograms.values())
            return contribution_of(
                self._plan,
                item.id,
                shown,
                {each.instrument: measure_of(each) for each in shown},
                frozenset(each.instrument for each in shown if _is_sum(each)),
            )

    def empty(self) -> AtlasTally:
        """No items."""
        return AtlasTally()

    def merge(self, into: AtlasTally, other: AtlasTally) -> AtlasTally:
        """Add counts. They are whole numbers, so the result does not depend on the order."""
        into.merge(other)
        return into

    def conclude(self, whole: AtlasTally) -> dict[str, Any]:
        """The content of atlas.json: what the maps were made from."""
        totals, described = whole.totals, measures_of(whole)
        instruments = {
            name: {
                "records": totals.get(f"{name} {RECORDS}", 0),
                "records_in_cells": totals.get(f"{name} {PLACED}", 0),
                "quantity": described[name][1] if name in described else "",
                "units": described[name][2] if name in described else "",
                "bands": [band_name(band) for band in mapped.bands],
                "categories": list(mapped.categories),
            }
            for name, mapped in self._plan.mapped.items()
        }
        notes = list(self._notes(whole))
        for note in notes:
            log.warning("atlas: %s", note)
        bins = len(whole.values.held()[0])
        log.info("atlas: %d bins of values, %.0f MB", bins, bins * 24 / 1e6)
        return {
            "items": totals.get(ITEMS, 0),
            "items_with_ephemeris": totals.get(WITH_EPHEMERIS, 0),
            "instruments": instruments,
            "notes": notes,
        }

    def files(self, whole: AtlasTally) -> dict[str, bytes]:
        """The maps, as `results/atlas.h5`."""
        from spectro_mpi.model.as_xarray import CONVENTIONS
        from spectro_mpi.rundir.array_file import array_file

        attributes: dict[str, str | int] = {
            "Conventions": CONVENTIONS,
            "title": "Maps over magnetic local time and invariant latitude",
            "items": whole.totals.get(ITEMS, 0),
            "software": software(),
            "titles": json.dumps({name: each[4] for name, each in measures_of(whole).items()}),
            "settings": json.dumps(self.basis(), sort_keys=True),
        }
        return {ATLAS_FILE: array_file(groups_of(self._plan, whole), attributes)}

    def draw(self, workspace: Workspace) -> None:
        """Draw the maps into `results/atlas/`, if they are not there as they should look."""
        from spectro_mpi.phases.atlas_figures import draw_atlas

        draw_atlas(self.config)

    def arrays_of(self, whole: AtlasTally) -> dict[str, NDArray[Any]]:
        """Counts as arrays (`model/atlas_tally.py`)."""
        return arrays_of(whole)

    def contribution_from(self, arrays: Mapping[str, NDArray[Any]]) -> AtlasTally:
        """The counts of such arrays."""
        return tally_from(arrays)

    def basis(self) -> dict[str, Any]:
        """The settings that the maps depend on."""
        atlas = self.config.atlas
        return {
            **atlas.of_contributions,
            "percentiles": atlas.percentiles,
            "version": self.kept_version,
        }

    def _notes(self, whole: AtlasTally) -> Iterator[str]:
        """What a reader of the maps should know, a sentence each."""
        totals, described = whole.totals, measures_of(whole)
        items, known = totals.get(ITEMS, 0), totals.get(WITH_EPHEMERIS, 0)
        if known < items:
            which = "no item has" if not known else f"{items - known} of {items} items have no"
            yield f"{which} ephemeris ({self.config.ephemeris_file}), and are not in the maps"
        reference = self.config.atlas.reference
        if reference not in self.config.pitch_angles:
            yield f"no category is called {reference}: neither beams nor loss cones are mapped"
        for name, mapped in self._plan.mapped.items():
            several = sorted({each[2] for each in whole.measures if each[0] == name})
            if len(several) > 1:
                yield f"the files of {name} have values in {' and '.join(several)}, mapped together"
            if totals.get(f"{name} {RECORDS}", 0) and name not in described:
                yield f"no record of {name} lies in a cell of the grid"
            for row, band in enumerate(mapped.bands):
                if name in described and not self._has_values(whole, mapped.first_layer, row, name):
                    yield f"no channel of {name} lies in its band {band_name(band)}"

    def _has_values(self, whole: AtlasTally, first: int, band: int, name: str) -> bool:
        from spectro_mpi.model.atlas_tally import NUMBERS

        mapped, size = self._plan.mapped[name], self._plan.grid.size
        layers = whole.values.held()[0] // NUMBERS // size - first
        inside = (layers >= 0) & (layers < mapped.flux_layers)
        return bool((inside & (layers % len(mapped.bands) == band)).any())


def _is_sum(spectrogram: Spectrogram) -> bool:
    """Whether values are sums over the bins of a category."""
    return spectrogram.legend.is_whole or is_count(spectrogram.legend.units)
