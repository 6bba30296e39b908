"""Settings are checked as a whole, and every mistake is told with its key."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from spectro_mpi.settings.digests import reduction_digest
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.loading import config_from_text, differing_keys, load_config
from spectro_mpi.settings.schema import Config, PlotSettings, RunSettings, SettingsError
from spectro_mpi.settings.versions import NewerVersionError


def mistakes(tmp_path: Path, text: str, *overrides: str) -> str:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_config(path, overrides)
    return str(caught.value)


def test_an_empty_file_gives_the_documented_defaults(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("")
    config = load_config(tmp_path / "s.toml")
    assert config.run_dir == tmp_path / "runs" / "fast"
    assert config.input == str(tmp_path / "FAST_data")
    assert config.plot == PlotSettings()
    assert config.plot.scales == (("log", "log"),)
    assert config.pitch_angles["parallel"] == ((0, 30), (330, 360))
    assert list(config.pitch_angles) == ["all", "parallel", "antiparallel", "perpendicular"]
    assert (config.run.flush_batch_size, config.run.log_batch) == (0, 10)


def test_a_batch_grows_with_the_workers_unless_its_size_is_set() -> None:
    sizes = {workers: RunSettings().batch_size(workers) for workers in (1, 4, 5, 16, 64)}
    assert sizes == {1: 10, 4: 10, 5: 11, 16: 33, 64: 129}
    assert RunSettings(flush_batch_size=7).batch_size(64) == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[plot]\ndip = 3", "plot.dip: there is no such setting; did you mean plot.dpi?"),
        ("flush_batch_size = 3", "did you mean run.flush_batch_size?"),
        ("colur = 1", "colur: there is no such setting"),
        ('[plot]\ndpi = "high"', 'plot.dpi = "high": expected a whole number'),
        ("[run]\nflush_batch_size = -1", "run.flush_batch_size = -1: expected at least 0"),
        ("[data]\nchunk_records = 1.5", "data.chunk_records = 1.5"),
        (
            '[plot]\nscales = [["linear", "lag"]]',
            'plot.scales = [["linear", "lag"]]: expected \'linear\' or \'log\', not "lag"; did you',
        ),
        (
            "[pitch_angles]\nx = [0, 400]",
            "pitch_angles.x = [0, 400]: expected pairs of degrees such as [[0, 30], [330, 360]]",
        ),
        (
            "[pitch_angles]\nx = [[0, 400]]",
            "pitch_angles.x = [[0, 400]]: expected at most 360, not",
        ),
        ("[plot]\nkinds = 'pitch-angle'", 'kinds = "pitch-angle": expected a list such as ["pitch'),
        ("[select]\nskip = [1.5]", "select.skip = [1.5]: expected orbits or names of items"),
        ("input = 5", "input = 5: expected a path, or paths such as"),
        ("plot = 5", "plot = 5: expected a table, under [plot]"),
        ('data.quantity = "count"', "did you mean counts?"),
        ('data.preset = "fast_esa"', "did you mean fast-esa?"),
        ("[axes.eess]\ny_min = 1", "did you mean ees?"),
        ('[[instrument]]\nname = "a"\nfile = "a"', "instrument a: value: is missing"),
        ("[extrema]\nmax_percentile = nan", "extrema.max_percentile"),
        (
            "[extrema]\nmin_percentile = 95",
            "extrema.min_percentile = 95: must be below extrema.max_percentile = 95",
        ),
        ('run_id = "a/b"', 'run_id = "a/b": use only letters, digits'),
        ('[select]\norbits = "13400-13312"', "goes downward"),
        ('[select]\norbits = "some"', "neither an orbit nor a range"),
        ("[pitch_angles]\nall = []", "pitch_angles.all: cannot be removed"),
        ("[pitch_angles]\ncone = [[330, 30]]", "write [330, 360] and [0, 30]"),
        ("[axes.eex]\ny_min = 1", "no instrument is called eex"),
        ("[axes.ees.sideways]\ny_min = 1", "no pitch-angle category is called sideways"),
        ("[axes.ees]\nz_min = 0", "axes.ees.z_min = 0: expected a value above 0"),
        ("[axes.ees]\ny_min = 9\ny_max = 5", "y_min = 9 is not below y_max = 5"),
        (
            '[axes.ees]\nz_min = 50\n[axes."ees.all"]\nz_max = 5',
            "axes.ees.all: z_min = 50 is not below z_max = 5",
        ),
        (
            "[axes.ees]\nzmin = 1",
            "axes.ees.zmin: there is no such setting; did you mean axes.ees.z_min?",
        ),
        ("[plot]\npanel_size = [12, 3, 1]", "expected 2 values, got 3"),
        ("[plot]\ndpi = 1200\npanel_size = [50, 50]", "the maximum is 250 million"),
        (
            '[select]\ninstruments = ["ees", "ees"]',
            "select.instruments: lists the same entry twice",
        ),
        ("[select]\norbits = [13312, 13313]", 'text in quotes, such as "13312-13400,13500"'),
        ("[select]\nshare = 0.5", 'select.share = 0.5: expected text in quotes, such as "2/4"'),
        ('[select]\norbits = "13312 13313"', "separate several by commas"),
        ('[select]\nskip = ["13312-13320"]', '"13312-13320" is no orbit; name each one by itself'),
        ('[pitch_angles]\nx = { towards = "earth" }', "did you mean pitch_angles.x.toward?"),
        ("[angles.bands]\ness = [[100, 1000]]", "no instrument is called ess; choose from ees, "),
        ("[moments.energies]\niees = [10, 100]", "ieb; did you mean ies?"),
        ('[slurm]\ntime = "soon"', 'slurm.time: "soon" is not a wall time such as 90'),
        ('[slurm]\npartition = "a b"', 'slurm.partition = "a b": expected one word'),
        ('[slurm]\nextra = ["mem=2G"]', 'slurm.extra: "mem=2G" is not an sbatch option'),
        ("run_id = ", "is not valid TOML"),
        ('settings_version = "two"', 'settings_version = "two": should be 1 to 2'),
        ("settings_version = 0", "settings_version = 0: should be 1 to 2"),
    ],
)
def test_a_mistake_names_its_key_and_what_is_allowed(tmp_path: Path, text: str, told: str) -> None:
    assert told in mistakes(tmp_path, text)


@pytest.mark.parametrize(
    ("scales", "table", "axes", "is_refused"),
    [
        ('[["log", "linear"]]', "", "z_min = -170\nz_max = -120", False),
        ('[["linear", "log"]]', "", "y_min = -90\ny_max = -30", False),
        # The file may say that the axis is linear.
        ('[["log", "log"]]', "", "y_min = 0", False),
        ('[["log", "log"]]', 'y_scale = "linear"', "y_min = -90", False),
        ('[["log", "linear"]]', 'z_scale = "log"', "z_min = -1", True),
        ('[["linear", "log"]]', 'y_scale = "log"', "y_min = 0", True),
    ],
)
def test_limits_need_to_be_positive_only_on_a_log_axis(
    tmp_path: Path, scales: str, table: str, axes: str, is_refused: bool
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        f'[data]\npreset = "istp"\n[plot]\nscales = {scales}\n[axes.a]\n{axes}\n'
        '[[instrument]]\nname = "a"\nfile = "a_{date}_v{version}.cdf"\nvalue = "Flux"\n'
        f"{table}\n"
    )
    if is_refused:
        with pytest.raises(SettingsError, match="expected a value above 0"):
            load_config(path)
    else:
        assert load_config(path).axes["a"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = mistakes(tmp_path, "colour = 1\n[plot]\ndpi = 1", "run.schedule=fair").splitlines()
    assert len(told) == 3
    assert sum("s.toml: " in line for line in told) == 2
    of_override = [line for line in told if line.startswith("-s: run.schedule = ")]
    assert len(of_override) == 1


def test_a_setting_is_reported_once_with_the_value_as_it_was_written(tmp_path: Path) -> None:
    told = mistakes(tmp_path, "[pitch_angles]\nx = [0, 400, 500]")
    assert told.count("\n") == 0
    told = mistakes(tmp_path, '[[instrument]]\nfile = "a.cdf"\nvalue = "v"')
    assert told.endswith("s.toml: instrument number 1: name: is missing")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('run_id = "marked"', encoding="utf-8-sig")
    assert load_config(path).run_id == "marked"


def test_a_missing_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such settings file"):
        load_config(tmp_path / "none.toml")


def test_overrides_are_toml_and_bare_words_are_strings(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('run_id = "a"\n')
    config = load_config(
        tmp_path / "s.toml",
        ("plot.dpi=100", "run_id=b", "select.orbits=13312-13314", 'plot.limits=["raw"]'),
    )
    assert (config.plot.dpi, config.run_id, config.plot.limits) == (100, "b", ("raw",))
    assert config.select.orbit_ranges == ((13312, 13314),)
    single = load_config(tmp_path / "s.toml", ("select.orbits=13312",))
    assert single.select.orbit_ranges == ((13312, 13312),)
    quoted = load_config(tmp_path / "s.toml", ('axes."ees.antiparallel".z_max=7.5',))
    assert quoted.axes["ees.antiparallel"].z_max == 7.5
    for wrong in ("plot.dpi", "=3", "run_id.x=3"):
        with pytest.raises(SettingsError):
            load_config(tmp_path / "s.toml", (wrong,))


def test_frozen_settings_load_to_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        "[axes.ees]\nz_max = 5.0\n[axes.ees.antiparallel]\nz_max = 7\n"
        "[pitch_angles]\nantiparallel = [[160, 200]]\nperpendicular = []\n"
    )
    config = load_config(tmp_path / "s.toml")
    assert list(config.pitch_angles) == ["all", "parallel", "antiparallel"]
    assert config.axes["ees.antiparallel"].z_max == 7
    frozen = tmp_path / "elsewhere.toml"
    frozen.write_text(config.to_toml())
    assert load_config(frozen) == config


def test_a_file_with_a_version_is_complete_and_one_without_takes_todays_categories(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[pitch_angles]\nall = [[0, 360]]\ncone = [[0, 10]]\n")
    assert list(load_config(path).pitch_angles) == [*Config().pitch_angles, "cone"]
    for version in (1, 2):
        path.write_text(
            f"settings_version = {version}\n[pitch_angles]\nall = [[0, 360]]\ncone = [[0, 10]]\n"
        )
        assert list(load_config(path).pitch_angles) == ["all", "cone"]


def test_a_version_gives_its_defaults_also_to_settings_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("settings_version = 2\n[plot]\ndpi = 100\n")
    assert load_config(path).data == Config().data
    assert load_config(path).plot == replace(PlotSettings(), dpi=100)
    path.write_text("settings_version = 1\n[data]\nerrors = true\n[plot]\ndpi = 100\n")
    config = load_config(path, ("data.retrace=false",))
    assert (config.data.quantity, config.data.errors, config.data.retrace) == ("codes", True, False)
    assert (config.plot.dpi, config.plot.event_label) == (100, "cusp")


def test_settings_of_a_newer_version_are_refused_before_their_keys_are_checked(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.toml"
    path.write_text("settings_version = 3\nsomething = 1\n")
    with pytest.raises(NewerVersionError) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"{path}: has settings_version 3, and this program reads up to 2; "
        "use the newer spectro-mpi that wrote it"
    )


def test_differing_keys_are_dotted_names(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("")
    before = load_config(tmp_path / "s.toml")
    after = load_config(tmp_path / "s.toml", ("plot.dpi=99", "data.quantity=eflux"))
    assert differing_keys(before, after) == ["data.quantity", "plot.dpi"]
    assert {one.name for one in fields(Config)} >= {"select", "data", "plot", "run", "axes"}


def test_directions_are_categories_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        '[pitch_angles]\nall = [[0, 360]]\ndown = { toward = "earth", within = 30 }\n'
        'perpendicular = [[80, 100]]\nup = { losscone = "up" }\n'
        "parallel = []\nantiparallel = []\n"
    )
    config = config_from_text(text, tmp_path, "s.toml")
    assert list(config.pitch_angles) == ["all", "down", "perpendicular", "up"]
    assert config.directions == {
        "down": Direction(toward="earth", within=30),
        "up": Direction(losscone="up"),
    }
    again = config_from_text(config.to_toml(), tmp_path, "config.toml")
    assert list(again.pitch_angles.items()) == list(config.pitch_angles.items())
    assert reduction_digest(again) == reduction_digest(config)


@pytest.mark.parametrize(
    ("direction", "mistake"),
    [
        (
            '{ toward = "moon", within = 3 }',
            "pitch_angles.x.toward = \"moon\": expected '' or 'earth'",
        ),
        ("{ twoard = 3 }", "pitch_angles.x.twoard: there is no such setting"),
        ('{ toward = "earth" }', "pitch_angles.x: expected within"),
        ('{ losscone = "up", within = 3 }', "pitch_angles.x.within: a loss cone has its own width"),
        ('{ away = "earth", losscone = "up" }', "got away and losscone"),
        ("{ within = 30 }", "got none"),
        ("[[0, 400]]", "pitch_angles.x = [[0, 400]]: expected at most 360, not 400"),
        ("[[0, 20, 30]]", "pitch_angles.x = [[0, 20, 30]]: expected 2 values, got 3"),
    ],
)
def test_a_mistake_in_a_category_is_one_sentence(
    tmp_path: Path, direction: str, mistake: str
) -> None:
    with pytest.raises(SettingsError) as error:
        config_from_text(f"[pitch_angles]\nx = {direction}\n", tmp_path, "s.toml")
    assert mistake in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('[ephemeris]\nfile = "orbit"', 'ephemeris.file = "orbit": expected a file name'),
        ('[ephemeris]\nvariables = { time = "t" }', "ephemeris.variables.time: this name is that"),
        ('[ephemeris]\nvariables = { moments = "t" }', "variables.moments: this name is that of"),
        ('[ephemeris]\nvariables = { energy_edges = "t" }', "energy_edges: this name is that of"),
        ('[ephemeris]\nvariables = { counts = "t" }', "counts: this name is that of the values"),
        ('[ephemeris]\nvariables = { counts_error = "t" }', "this name is that of the values"),
        ('[ephemeris]\nvariables = { "a b" = "t" }', 'ephemeris.variables."a b": use only'),
        ('[ephemeris]\nvariables = { a = "" }', "ephemeris.variables.a is empty"),
        ('[plot]\nephemeris = ["shadow"]', 'plot.ephemeris: "shadow" is not in'),
        (
            '[ephemeris]\nfile = "none"\n[pitch_angles]\nx = { losscone = "up" }',
            "pitch_angles.x: a direction needs an ephemeris",
        ),
    ],
)
def test_mistakes_in_the_ephemeris_are_named(tmp_path: Path, text: str, mistake: str) -> None:
    with pytest.raises(SettingsError) as error:
        config_from_text(text, tmp_path, "s.toml")
    assert mistake in str(error.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[angles]\nbands = { ees = [] }", "angles.bands.ees = []: expected at least 1 value"),
        ("[angles]\nbands = { ees = [1, 2] }", "expected energy bands such as [[100, 1000]"),
        ("[atlas]\nbands = { ees = [1, 2] }", "expected energy bands such as [[100, 1000]"),
        ("[atlas]\nbands = { ees = [[1, 2], [1, 2.0000001]] }", "ees: lists the same band twice"),
        ("[atlas]\nbands = { ees = [[2, 1]] }", "atlas.bands.ees = [2, 1]: a band must ascend"),
        ("[atlas]\nbands = { x = [[1, 2]] }", "atlas.bands.x: no instrument is called x"),
        ('[atlas]\ninstruments = ["x"]', "atlas.instruments: no instrument is called x"),
        ('[atlas]\ncategories = ["all", "all"]', "atlas.categories: lists the same entry twice"),
        ('[atlas]\nformats = ["png", "png"]', "atlas.formats: lists the same entry twice"),
        ('[atlas]\nreference = "up"', 'atlas.reference = "up": no such category; choose from all'),
        (
            "[atlas]\nmlt_hours = 0.1\nilat_degrees = 0.1",
            "with 3 ranges of altitude, there would be 576,000 cells; the maximum is 250,000",
        ),
        ("[superpose]\nbin_seconds = 1e-300", "would have 6e+302 bins; the maximum is 10,000"),
        ("[superpose]\nbin_seconds = 1e300", "superpose.bin_seconds = 1e+300: expected at most"),
        ("[superpose]\nmemory_mb = 99999999", "superpose.memory_mb = 99999999: expected at most"),
        ('[plot]\nevent_label = ""', 'plot.event_label = "": expected text that is not empty'),
        ("[axes.ees-density.net]\ny_min = 1", "density has no direction; leave out .net"),
    ],
)
def test_mistakes_in_what_is_derived_are_named(tmp_path: Path, text: str, mistake: str) -> None:
    assert mistake in mistakes(tmp_path, text)


def test_settings_of_the_same_table_that_are_not_similar_are_no_hint(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "[superpose]\nwindow = 5").endswith("there is no such setting")
