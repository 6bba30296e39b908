"""The scripts of `completion` complete commands, options, words and paths in real shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import spectro_mpi_here

CASES = [
    ("spectro-mpi stat", "status"),
    ("spectro-mpi run --ret", "--retry"),
    ("spectro-mpi run spec", "spectro-mpi.toml"),
    ("spectro-mpi draw x.cdf --kind instr", "instrument-grid"),
    ("spectro-mpi report --outp", "--output"),
    ("spectro-mpi status ru", "runs"),
]
"""What is typed, and the only way to go on."""

BASH = """
source "$1"
read -ra COMP_WORDS <<< "$2"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_spectro_mpi
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = "source $argv[1]; complete -C $argv[2]"
ZSH = r"""
mkdir functions && cp $1 functions/_spectro-mpi
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D'
zpty -w shell 'finish() { zle complete-word; print -r -- $BUFFER >line; exit }; zle -N finish'
zpty -w shell 'bindkey "^X" finish'
zpty -w -n shell "$2"$'\C-x'
while zpty -r shell; do :; done >/dev/null
print -r -- ${$(<line)[-1]}
rm -r functions
"""
"""zsh completes only in a terminal: the last word of the line after Tab."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        done = spectro_mpi_here("completion", shell)
        assert done.code == 0
        (folder / f"script.{shell}").write_text(done.out)
    (folder / "spectro-mpi.toml").touch()
    (folder / "runs").mkdir()
    return folder


def completions(folder: Path, shell: str, code: str, typed: str) -> list[str]:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    between = [] if shell == "fish" else [shell]
    command = [program, "-c", code, *between, f"script.{shell}", typed]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    # fish adds a description after a tab.
    return [line.partition("\t")[0].rstrip("/") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("typed", "expected"), CASES)
def test_bash_completes(folder: Path, typed: str, expected: str) -> None:
    assert completions(folder, "bash", BASH, typed) == [expected]


@pytest.mark.parametrize(("typed", "expected"), [*CASES, ("spectro-mpi spec", "spectro-mpi.toml")])
def test_fish_completes(folder: Path, typed: str, expected: str) -> None:
    assert completions(folder, "fish", FISH, typed) == [expected]


@pytest.mark.parametrize(("typed", "expected"), [*CASES, ("spectro-mpi spec", "spectro-mpi.toml")])
def test_zsh_completes(folder: Path, typed: str, expected: str) -> None:
    assert completions(folder, "zsh", ZSH, typed) == [expected]


def test_the_first_word_may_be_a_settings_file_in_bash(folder: Path) -> None:
    # Seen in a real terminal; bash completes file names only there.
    script = (folder / "script.bash").read_text()
    assert script.rstrip().endswith(
        "complete -o default -o bashdefault -F _shtab_spectro_mpi spectro-mpi"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_valid(folder: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n", f"script.{shell}"], cwd=folder, check=True)


def test_an_unknown_shell_is_refused() -> None:
    assert spectro_mpi_here("completion", "tcsh").code == 2
