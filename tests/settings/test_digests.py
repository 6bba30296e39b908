"""The digest of the reduction's settings changes with them, and with nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import Config

TABLE = {"name": "ect", "file": "rbsp_{date}_v{version}.cdf", "value": "FEDU"}
ISTP: dict[str, Any] = {"data": {"preset": "istp"}, "instrument": [TABLE]}


def digest(**tables: Any) -> str:
    return reduction_digest(config_from({**ISTP, **tables}, Path("/")))


def test_it_is_that_of_the_settings_as_json() -> None:
    config = Config()
    data = {
        "angle_borders": "",
        "angle_weight": "pitch-angle",
        "cadence": "",
        "errors": False,
        "preset": "fast-esa",
        "quality": "mark",
        "quantity": "counts",
        "retrace": False,
    }
    angles = [[name, [list(pair) for pair in pairs]] for name, pairs in config.intervals.items()]
    text = json.dumps({"data": data, "instrument": [], "pitch_angles": angles})
    expected = hashlib.sha256(text.replace(" ", "").encode()).hexdigest()[:16]
    assert reduction_digest(config) == expected


@pytest.mark.parametrize(
    "tables",
    [
        {"data": {"preset": "istp", "chunk_records": 7}},
        {"plot": {"dpi": 50}, "extrema": {"max_percentile": 99.0}, "run": {"flush_batch_size": 3}},
        {"select": {"orbits": "1-3"}, "run_id": "other", "input": "elsewhere"},
        *(
            {"instrument": [{**TABLE, key: value}]}
            for key, value in (
                ("title", "RBSP"),
                ("label", "Flux"),
                ("y_scale", "log"),
                ("z_scale", "linear"),
            )
        ),
    ],
    ids=str,
)
def test_settings_of_figures_and_of_the_work_leave_it(tables: dict[str, Any]) -> None:
    assert digest(**tables) == digest()


def test_every_setting_of_the_reduction_changes_it() -> None:
    changed: list[dict[str, Any]] = [
        {"data": {"preset": "istp", "retrace": True}},
        {"data": {"preset": "istp", "quality": "drop"}},
        {"data": {"preset": "istp", "errors": True}},
        {"data": {"preset": "istp", "angle_borders": "centre"}},
        {"data": {"preset": "istp", "angle_weight": "domega"}},
        {"data": {"preset": "istp", "cadence": "60 s"}},
        {"pitch_angles": {"all": [[0, 359]]}},
        {"pitch_angles": {"more": [[0, 10]]}},
        {"instrument": [{**TABLE, "value": "FEDO"}]},
        {"instrument": [{**TABLE, "fill": -1.0}]},
        {"instrument": [{**TABLE, "angles": "sum"}]},
        {"moments": {"compute": True}},
        {"moments": {"species": {"ect": "electron"}}},
        {"moments": {"energies": {"ect": [10, 100]}}},
        {"moments": {"potential_scale": 1.2}},
        {"moments": {"potential_offset": 1.0}},
    ]
    assert len({digest(), *(digest(**tables) for tables in changed)}) == len(changed) + 1


def test_it_is_the_same_for_the_settings_in_a_run_directory(tmp_path: Path) -> None:
    from spectro_mpi.settings.loading import load_config

    given = config_from({**ISTP, "pitch_angles": {"more": [[0, 10]]}}, tmp_path)
    (tmp_path / "config.toml").write_text(given.to_toml())
    assert reduction_digest(load_config(tmp_path / "config.toml")) == reduction_digest(given)
    fewer = replace(given, pitch_angles=dict(list(given.pitch_angles.items())[:-1]))
    assert reduction_digest(fewer) != reduction_digest(given)
