"""Settings: TOML and overrides → a frozen, validated `Config`.

All settings are checked before anything starts. All mistakes are reported at once, with their keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.inert import is_inert
from spectro_mpi.settings.checking import RUN_ID_LETTERS, _check_meaning, is_run_id
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.mistakes import sentences
from spectro_mpi.settings.paths import RUNS
from spectro_mpi.settings.presets import preset_named
from spectro_mpi.settings.schema import (
    _PITCH_ANGLES,
    AxisLimits,
    Config,
    DataSettings,
    SettingsError,
)
from spectro_mpi.settings.toml import parsed_toml
from spectro_mpi.settings.versions import (
    SETTINGS,
    SETTINGS_VERSION,
    in_terms_of_today,
    version_of,
)
from spectro_mpi.system.digests import sha256_of
from spectro_mpi.system.words import nearest, reason

DEFAULT_FILE = "spectro-mpi.toml"
_OF_RUN = "config.toml"
"""The settings file in the directory of a run."""
_MOST_BYTES = 1 << 24
"""Largest settings of a run that are read."""


def load_config(
    path: Path | str | None, overrides: tuple[str, ...] = (), overridden_by: str = "-s"
) -> Config:
    """Read a settings file, complete it with defaults, and check it.

    `path` is a TOML file (None: `spectro-mpi.toml` in the current directory). Each of `overrides`
    is `key.path=value`, where the value is TOML, or a bare word, which is taken as a string.
    A file with the key `settings_version`, such as `config.toml` of a run directory, has the
    meaning and defaults of that version, and is complete: no categories are added to its own. If it
    is `config.toml` of a run directory, `output` and `run_id` are where the directory is now.
    `overridden_by` names the source of the overrides in messages.
    Raises `SettingsError` with a line for every mistake, `NewerVersionError` if the version is
    newer than this program's.
    """
    path = Path(DEFAULT_FILE) if path is None else Path(path)
    base = path.absolute().parent
    table = read_toml(path)
    is_frozen = SETTINGS in table and table.get("output") == RUNS
    if is_frozen:
        base = base.resolve()
        table["run_id"] = base.name  # the directory may have been renamed
    keys = _apply(table, overrides)
    if is_frozen and table["run_id"] == base.name and not is_run_id(base.name):
        raise SettingsError(
            f"{base}: can be read, but not continued under this name; rename it: the name of a run "
            f"directory is its run id: {RUN_ID_LETTERS}"
        )
    with _told_of(keys, str(path), overridden_by):
        return config_from(table, base, where=str(path))


def config_from_text(text: str, base: Path, where: str) -> Config:
    """Check settings in TOML; `base` and `where` as for `config_from`. Raises as `load_config`."""
    return config_from(parse_toml(text, where), base, where)


def load_table(table: dict[str, Any], overrides: tuple[str, ...], base: Path, where: str) -> Config:
    """Check a table of settings as `config_from`, with overrides as of `load_config`."""
    keys = _apply(table, overrides)
    with _told_of(keys, where):
        return config_from(table, base, where)


def load_frozen(path: Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read the settings of a run directory, which without `settings_version` are of version 1.

    `output` is where the directory is now, and `run_id` its name if that can be one. `overrides`
    are as of `load_config`. Raises as that.
    """
    base = path.absolute().parent.resolve()
    table = {SETTINGS: 1, **_read_frozen(path), "output": RUNS}
    if is_run_id(base.name):
        table["run_id"] = base.name
    keys = _apply(table, overrides)
    with _told_of(keys, str(path)):
        return _config_from(table, base, str(path), frozen=True)


def frozen_version(path: Path) -> int:
    """The version of the settings of a run directory. Raises as `load_config`."""
    return _version_of(_read_frozen(path), str(path))


def config_from(table: dict[str, Any], base: Path, where: str = "settings") -> Config:
    """Check a table of settings, in which relative paths are relative to `base`.

    `where` names the table in messages. Raises as `load_config`, also for a path of `input`,
    `output` or the table of events with line ends, other control characters, or bytes that are not
    UTF-8: job scripts, logs and the settings of the run could not hold it as text.
    """
    config = _config_from(table, base, where, frozen=False)
    if mistakes := [f"{where}: {mistake}" for mistake in _paths_that(config, _is_no_text)]:
        raise SettingsError(*mistakes)
    return config


def _paths_that(config: Config, is_wrong: Callable[[str], bool]) -> Iterator[str]:
    """A sentence for each path in the settings that is wrong."""
    paths = {
        "input": config.inputs,
        "output": (config.output,),
        "phases": config.phases,
        "plot.events": (config.plot.events,),
        "instrument.master": tuple(table.master for table in config.instrument),
    }
    for key, of_key in paths.items():
        for path in filter(is_wrong, of_key):
            yield (
                f'{key} = "{path}": has characters or bytes that are no text; give that folder or '
                "file another name"
            )


def _is_no_text(path: str) -> bool:
    return not is_inert(path)


def _has_zero(path: str) -> bool:
    """Whether the system would refuse a path whatever it is for."""
    return "\0" in path


def _config_from(table: dict[str, Any], base: Path, where: str, frozen: bool) -> Config:
    """As `config_from`. `frozen`: the table says what a run was made with: no file is looked at."""
    table = _completed(table, where)
    _select_all_instruments(table)
    for name, key in (("select", "orbits"), ("slurm", "time"), ("pbs", "time")):
        part = table.get(name)
        if isinstance(part, dict) and type(part.get(key)) is int:
            # A single orbit, or a time in minutes, may be written as a number, without quotes.
            table[name] = part | {key: str(part[key])}
    if isinstance(table.get("axes"), dict):
        table["axes"] = _flatten_axes(table["axes"])
    mistakes: list[str] = []
    config = _validate(table, mistakes)
    if config is not None:
        mistakes += [*_check_meaning(config), *_paths_that(config, _has_zero)]
    if config is not None and not mistakes:
        config = replace(
            config,
            instrument=tuple(
                _with_master(each, base, frozen, mistakes) for each in config.instrument
            ),
        )
    if mistakes or config is None:
        raise SettingsError(*(f"{where}: {mistake}" for mistake in mistakes))
    plot = config.plot
    if plot.events:
        plot = replace(plot, events=str((base / plot.events).resolve()))
    return replace(
        config,
        input=_resolved(config.input, base),
        output=str((base / config.output).resolve()),
        phases=tuple(_with_path(entry, base) for entry in config.phases),
        plot=plot,
    )


def _completed(table: dict[str, Any], where: str) -> dict[str, Any]:
    """A table with the defaults of the version it names, or else today's categories."""
    if SETTINGS in table:
        table = in_terms_of_today(table, _version_of(table, where))
    elif isinstance(table.get("pitch_angles", {}), dict):
        given = table.get("pitch_angles", {})
        # Whoever names all of the default categories decides on their order.
        all_named = _PITCH_ANGLES.keys() <= given.keys()
        table = table | {"pitch_angles": {**({} if all_named else _PITCH_ANGLES), **given}}
    else:
        table = dict(table)
    if isinstance(table.get("pitch_angles"), dict):
        # An empty list removes a category. A direction may stand in a list: so `to_toml` writes it.
        table["pitch_angles"] = {
            name: given[0] if isinstance(given, list) and _is_one_table(given) else given
            for name, given in table["pitch_angles"].items()
            if given != []
        }
    return table


def _is_one_table(given: list[Any]) -> bool:
    return len(given) == 1 and isinstance(given[0], dict)


def _version_of(table: dict[str, Any], where: str) -> int:
    try:
        return version_of(table, where, SETTINGS)
    except (TypeError, ValueError):
        value = json.dumps(table[SETTINGS], default=str)
        raise SettingsError(
            f"{where}: {SETTINGS} = {value}: should be 1 to {SETTINGS_VERSION}"
        ) from None


def differing_keys(old: Config, new: Config) -> list[str]:
    """Dotted keys whose values differ, sorted; `instrument.NAME.key` of `[[instrument]]` tables.

    It is `instrument` if the names of the tables differ, or their order.
    """
    before, after = _flat(_by_name(old)), _flat(_by_name(new))
    return sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))


def _by_name(config: Config) -> dict[str, Any]:
    """The settings, with tables of instruments by name, and the order of their names."""
    table = asdict(config)
    named = {each["name"]: each for each in table["instrument"]}
    return {
        **table,
        "instrument": tuple(named),
        **{f"instrument.{name}": each for name, each in named.items()},
    }


def read_toml(path: Path) -> dict[str, Any]:
    """Read a settings file, without checking it. Raises `SettingsError`."""
    if path.suffix.lower() == ".cdf" and path.exists():
        word = shlex.quote(str(path))
        raise SettingsError(
            f"{path}: is a CDF file, not a settings file; `spectro-mpi draw {word} -o figure.png` "
            f"draws it, `spectro-mpi inspect {word} > {DEFAULT_FILE}` writes settings for files "
            "like it"
        )
    try:
        # Some editors begin a file with a byte order mark, which utf-8-sig skips.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        others = [str(path.with_name(other.name)) for other in path.parent.glob("*.toml")]
        hint = nearest(str(path), others) or (
            "; name another, or create one with `spectro-mpi demo DIR`, or for files of yours with "
            f"`spectro-mpi inspect FILE > {DEFAULT_FILE}`"
        )
        raise SettingsError(f"{path}: there is no such settings file{hint}") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a directory, {_what_to_do_with(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {reason(error)}") from None
    return parse_toml(text, str(path))


def _what_to_do_with(folder: Path) -> str:
    """What a directory named instead of a settings file is, and what to do with it."""
    word = shlex.quote(str(folder))
    if (folder / _OF_RUN).is_file():
        return f"that of a run; to continue it, name its settings file, or {word}/{_OF_RUN}"
    if (folder / DEFAULT_FILE).is_file():
        return f"not a settings file; did you mean {word}/{DEFAULT_FILE}?"
    return (
        f"not a settings file; `spectro-mpi inspect {word} > {DEFAULT_FILE}` writes settings for "
        "the CDF files in it, `spectro-mpi draw FILE.cdf -o figure.png` draws one of them"
    )


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse settings, without checking them. Raises `SettingsError`."""
    try:
        return parsed_toml(text)
    except ValueError as error:
        raise SettingsError(f"{where}: is not valid TOML: {error}") from None


def _read_frozen(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"{path}: is damaged: it has {path.stat().st_size} bytes")
    except OSError:
        pass  # reading says what is wrong
    table = read_toml(path)
    if "run_id" not in table:  # all versions write it
        raise SettingsError(
            f"{path}: is cut off or emptied, since it has no run_id; restore it, or start over "
            "with --fresh"
        )
    return table


@contextlib.contextmanager
def _told_of(keys: list[str], file: str, source: str = "-s") -> Iterator[None]:
    """Report mistakes that overrides of `keys` have made as of the `source` of overrides."""
    try:
        yield
    except SettingsError as error:
        lines = (_of_override(str(line), file, keys, source) for line in error.args)
        raise type(error)(*lines) from None


def _of_override(sentence: str, file: str, keys: list[str], source: str) -> str:
    """A mistake in a settings file; if an override has made it, of the `source` of overrides."""
    mistake = sentence.removeprefix(f"{file}: ")
    if any(re.match(rf"{re.escape(key)}(\.[^ =:]+)*( =|:)", mistake) for key in keys):
        return f"{source}: {mistake}"
    return sentence


def _apply(table: dict[str, Any], overrides: tuple[str, ...]) -> list[str]:
    """Set values of a table; returns their dotted keys."""
    return [_apply_override(table, override) for override in overrides]


def _apply_override(table: dict[str, Any], override: str) -> str:
    """Set a value of a table; returns its dotted key."""
    key, equals, value = override.partition("=")
    try:
        if not equals:
            raise ValueError
        parts = _path_of(parsed_toml(f"{key} = 0"))
    except ValueError:
        raise SettingsError(f"-s {override}: expected key=value, as in plot.dpi=100") from None
    try:
        parsed = parsed_toml(f"value = {value}")["value"]
    except ValueError:
        # Shells remove quotes, so a bare word is taken as a string.
        parsed = value.strip()
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise SettingsError(f"-s {override}: {part} is a value, not a table")
    table[parts[-1]] = parsed
    return ".".join(parts)


def _path_of(table: dict[str, Any]) -> list[str]:
    """The parts of the key of nested tables that hold a single value."""
    path = []
    value: Any = table
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return path


def _validate(table: dict[str, Any], mistakes: list[str]) -> Config | None:
    # Slow to import, and needed on one rank only. Its search for plugins reads the metadata of all
    # packages that are installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from pydantic import TypeAdapter, ValidationError

    try:
        # By way of JSON, so that arrays become tuples although types are strict.
        return TypeAdapter(Config).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        mistakes += sentences(error.errors(), table)
        return None
    except RecursionError:
        mistakes.append("is nested too deeply")
        return None


def _select_all_instruments(table: dict[str, Any]) -> None:
    """Without a selection, select all instruments of the preset or of the tables."""
    select, data = table.get("select", {}), table.get("data", {})
    if not isinstance(select, dict) or select.get("instruments"):
        return
    names: list[Any] = []
    tables = table.get("instrument")
    if isinstance(tables, list):
        names = [entry.get("name") for entry in tables if isinstance(entry, dict)]
    elif isinstance(data, dict) and "instruments" not in select:
        with contextlib.suppress(UserError):
            names = list(preset_named(str(data.get("preset", DataSettings.preset))).instruments)
    if names:
        table["select"] = select | {"instruments": list(dict.fromkeys(filter(None, names)))}


def _flatten_axes(axes: dict[str, Any]) -> dict[str, Any]:
    """[axes.ees.upgoing] and [axes."ees.upgoing"] → "ees.upgoing"; [axes.ees] → "ees"."""
    limits = {limit.name for limit in fields(AxisLimits)}
    flat: dict[str, Any] = {}
    for name, table in axes.items():
        if not isinstance(table, dict):
            flat[name] = table
            continue
        direct = {k: v for k, v in table.items() if k in limits or not isinstance(v, dict)}
        if direct or not table:
            flat[name] = direct
        flat |= {f"{name}.{k}": v for k, v in table.items() if k not in direct}
    return flat


def _resolved(entry: str | tuple[str, ...], base: Path) -> str | tuple[str, ...]:
    """A path or several, absolute."""
    if isinstance(entry, str):
        return str((base / entry).resolve())
    return tuple(str((base / one).resolve()) for one in entry)


def _with_master(
    table: InstrumentTable, base: Path, frozen: bool, mistakes: list[str]
) -> InstrumentTable:
    """A table with the absolute path of its master and, unless `frozen`, the digest of its content.

    A master that is not there is a mistake, unless a run was made with it.
    """
    if not table.master:
        return table
    path = (base / table.master).resolve()
    digest = table.master_sha256
    if not frozen:
        try:
            digest = sha256_of(path)
        except OSError as error:
            if not digest:
                mistakes.append(
                    f'instrument {table.name}: master = "{table.master}" cannot be read: '
                    f"{error.strerror or error}"
                )
    return replace(table, master=str(path), master_sha256=digest)


def _with_path(entry: str, base: Path) -> str:
    """An entry of `phases`, with the absolute path if it names a file."""
    path, colon, name = entry.rpartition(":")
    return f"{(base / path).resolve()}:{name}" if colon and path.endswith(".py") else entry


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
