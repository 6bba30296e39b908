"""`completion`: scripts with which shells complete commands, options and paths."""

from __future__ import annotations

import argparse

from spectro_mpi.cli.arguments import Commands
from spectro_mpi.errors import UserError

_SHELLS = ("bash", "zsh", "fish")
_FILES = ("FILE", "SOURCE", "FILE|VARIABLE")
_FOLDERS = ("DIR", "RUN_DIR")
"""Metavars of arguments that are paths; `CONFIG` is a settings file."""
_ALSO = {
    "bash": "complete -o default -o bashdefault -F _shtab_spectro_mpi spectro-mpi",
    "fish": "complete -c spectro-mpi -n _shtab_spectro_mpi_using "
    "-a '(__fish_complete_suffix .toml)'",
}
"""Added to a script: `run` is the default command, and the first word may be a settings file."""
_IN_ZSH = "_describe 'spectro-mpi commands' _commands"
_WHERE = """\
Print a script with which a shell completes commands, options, settings files
and directories when you press Tab. Install it with the lines for your shell,
and again after an update of the program; it works in shells that you open then.

bash, with the package bash-completion:
  mkdir -p ~/.local/share/bash-completion/completions
  spectro-mpi completion bash \\
      > ~/.local/share/bash-completion/completions/spectro-mpi

zsh:
  mkdir -p ~/.zfunc
  spectro-mpi completion zsh > ~/.zfunc/_spectro-mpi
  echo 'fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit' >> ~/.zshrc

fish:
  mkdir -p ~/.config/fish/completions
  spectro-mpi completion fish > ~/.config/fish/completions/spectro-mpi.fish
"""


def add(commands: Commands, whole: argparse.ArgumentParser) -> None:
    """Add the parser of `completion`; `whole` is the parser that the scripts are made from."""
    completion = commands.add_parser(
        "completion",
        help="print a script with which your shell completes commands and options",
        description=_WHERE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=_SHELLS, help="your shell")
    completion.set_defaults(
        call=lambda arguments: _completion(arguments.shell, whole, commands),
    )


def _completion(shell: str, whole: argparse.ArgumentParser, commands: Commands) -> int:
    try:
        import shtab
    except ImportError:
        raise UserError("completion needs the package shtab: pip install 'shtab>=1.13'") from None
    short = {action.dest: action.help for action in commands._get_subactions()}
    paths = {
        **dict.fromkeys(_FILES, shtab.FILE),
        **dict.fromkeys(_FOLDERS, shtab.DIRECTORY),
        "CONFIG": shtab.glob("*.toml"),
    }
    for name, parser in commands.choices.items():
        parser.description = short[name]  # shells list the commands with it
        for action in parser._actions:
            if action.metavar in paths:
                action.complete = paths[action.metavar]  # type: ignore[attr-defined]
    # zsh takes the parentheses of a pattern for a list of words, and completes nothing.
    script = str(shtab.complete(whole, shell)).replace("'(*.toml)'", "'*.toml'")
    print(script.replace(_IN_ZSH, f"{_IN_ZSH}\n  _files -g '*.toml'"))
    if shell in _ALSO:
        print(_ALSO[shell])
    return 0
