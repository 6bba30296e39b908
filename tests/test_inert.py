"""Text from outside stays text wherever it is printed, logged, generated and loaded back."""

from __future__ import annotations

import logging
import shlex
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectro_mpi.errors import Failure, InvalidCdfError, UserError
from spectro_mpi.inert import inert, inert_lines, is_inert
from spectro_mpi.instruments.inspection import Inspection
from spectro_mpi.instruments.inspection_text import as_toml
from spectro_mpi.instruments.proposals import Drawable
from spectro_mpi.instruments.units import readable
from spectro_mpi.operations.submit import scripts_of
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import Config, JobSettings, SettingsError
from spectro_mpi.settings.toml import parsed_toml
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.scheduler import named
from tests.conftest import spectro_mpi_here
from tests.istp_files import variables, write

ANY = st.text(st.characters())
"""Any text, also with control characters and with bytes that are not UTF-8."""


def acts(text: str) -> bool:
    """Whether a text has a character that is not shown as it is, by the tables of Unicode."""
    return any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(letter)
        in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for letter in text
    )


@settings(deadline=None)
@given(ANY)
def test_what_is_inert_is_one_line_that_can_be_encoded_and_does_nothing(text: str) -> None:
    shown = inert(text)
    assert not acts(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert inert(shown) == shown
    assert is_inert(text) == (shown == text)
    if not acts(text) and text.isprintable():
        assert shown == text


@settings(deadline=None)
@given(st.lists(ANY))
def test_messages_have_the_lines_that_the_program_gave_them(texts: list[str]) -> None:
    assert len(str(UserError(*texts)).split("\n")) == max(1, len(texts))
    for text in texts:
        failure = Failure(text, text, "generic", text)
        shown = (str(UserError(text)), str(InvalidCdfError(text)), failure.message, readable(text))
        assert not any(map(acts, shown))
    assert not acts(inert_lines("".join(texts)).replace("\n", ""))


@settings(max_examples=30, deadline=None)
@given(ANY)
def test_a_record_of_a_log_is_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("log") / "logs" / "rank-0000.log"
    log = RankLog(path, records=1)
    try:
        logging.getLogger("spectro_mpi").error("item %s: failed", text)
    finally:
        log.close()
    lines = path.read_bytes().decode().split("\n")
    assert len(lines) == 2
    assert not acts(lines[0])
    assert lines[0].endswith(f"item {inert(text)}: failed")


def _drawable(name: str, text: str) -> Drawable:
    table = InstrumentTable(name=f"flux{name[-1]}", file="{item}.cdf", value=name)
    return Drawable(name, 3, (text, f"{text} (2)"), text, text, text, ("log", "log"), table)


@settings(deadline=None)
@given(ANY, ANY, ANY, st.lists(st.tuples(ANY, ANY), max_size=3))
def test_settings_that_inspect_prints_are_those_it_proposes(
    name: str, text: str, folder: str, others: list[tuple[str, str]]
) -> None:
    drawable = tuple(_drawable(name + str(number), text) for number in range(6))
    path = Path("/", folder.replace("\0", ""), "x.cdf")
    inspection = Inspection(path, 1, text, "{item}.cdf", drawable, tuple(others))
    try:
        printed = as_toml([inspection])
    except UserError as error:  # settings refuse such paths, and names with braces
        surrogates = any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)
        assert surrogates or not is_inert(folder) or set(name) & set("{}")
        assert "another name" in str(error)
        return
    assert not acts(printed.replace("\n", ""))
    table = parsed_toml(printed)
    assert table.keys() == {"run_id", "input", "data", "plot", "instrument"}
    assert table["input"] == str(path.parent.resolve())
    assert [each["value"] for each in table["instrument"]] == [f"{name}{n}" for n in range(4)]
    assert config_from(table, Path("/")).instrument[0].value == f"{name}0"


def test_an_attribute_with_line_ends_becomes_no_setting(tmp_path: Path) -> None:
    source = 'X>y\n[slurm]\nsetup = ["touch pwned"]\r\nphases = ["evil.py:Evil"]\x1b]0;title\x07'
    path = write(tmp_path / "tst_20170101_v1.cdf", variables(), source=source)
    done = spectro_mpi_here("inspect", path)
    assert done.code == 0, done.err
    assert r"\n[slurm]\nsetup" in done.out
    assert r"\x1b]0;title\x07" in done.out
    assert parsed_toml(done.out).keys() <= {
        *("run_id", "input", "data", "plot", "instrument", "pitch_angles")
    }


@pytest.mark.parametrize("key", ["input", "output"])
@pytest.mark.parametrize("word", ["a\nb", "a\r\nb", "a\x1bb", "a\x85b", "a\u2028b"])
def test_paths_with_line_ends_and_control_characters_are_refused(key: str, word: str) -> None:
    with pytest.raises(SettingsError, match="has characters or bytes that are no text"):
        config_from({key: word}, Path("/tmp"))


@pytest.mark.parametrize(
    "table",
    [
        {"input": "a\0b"},
        {"input": ["a", "a\0b"]},
        {"output": "a\0b"},
        {"phases": ["reduce", "a\0b.py:Phase"]},
        {"plot": {"events": "a\0b"}},
        {
            "data": {"preset": "istp"},
            "instrument": [{"name": "x", "file": "{item}.cdf", "value": "x", "master": "a\0b"}],
        },
    ],
)
def test_paths_that_no_system_has_are_told_in_a_sentence(
    tmp_path: Path, table: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r'"a\\x00b.*": has characters or bytes that are no'):
        config_from(table, tmp_path)
    run_dir = Config(output=str(tmp_path)).run_dir
    run_dir.mkdir()
    frozen = Config(output=str(tmp_path)).to_toml().replace('input = "FAST_data"', "")
    (run_dir / "config.toml").write_text('input = "a\\u0000b"\n' + frozen)
    done = spectro_mpi_here("status", run_dir)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert r'input = "a\x00b": has characters' in done.err


HOSTILE = ["$(touch pwned)", "`touch pwned`", "; touch pwned", "a b", "'\"; touch pwned; '", "\n"]


@pytest.mark.parametrize("key", ["mpi", "partition", "account", "time"])
@pytest.mark.parametrize("word", HOSTILE)
def test_words_that_a_shell_would_obey_are_refused(key: str, word: str) -> None:
    with pytest.raises(SettingsError, match=rf"slurm\.{key}"):
        config_from({"slurm": {key: f"5{word}"}}, Path("/tmp"))


@pytest.mark.parametrize("word", [word for word in HOSTILE if "\n" not in word])
def test_job_scripts_quote_whatever_they_are_given(tmp_path: Path, word: str) -> None:
    job = JobSettings(partition=word, account=word, mpi=word)
    config = replace(Config(), output=str(tmp_path / word), slurm=job)
    for script in scripts_of(config, 4, named("slurm")).values():
        options = [line for line in script.splitlines() if line.startswith("#SBATCH ")]
        assert f"--account={word}" in [shlex.split(line[8:])[0] for line in options]
        # What the shell makes of the assignments; nothing of the rest is run.
        assigned = [
            line for line in script.splitlines() if line.startswith(("SETTINGS=", "LAUNCH="))
        ]
        echo = [*assigned, 'printf "%s\\n" "$SETTINGS" "$LAUNCH"']
        done: Any = subprocess.run(
            ["bash", "-c", "\n".join(echo)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        told, launch = done.stdout.splitlines()
        assert told.startswith(str(tmp_path / word))
        assert launch == f"srun --kill-on-bad-exit=1 --mpi={word}"
        assert not (tmp_path / "pwned").exists()
