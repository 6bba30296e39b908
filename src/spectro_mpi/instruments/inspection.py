"""Inspect CDF files: which variables can be drawn, why others cannot, and proposed settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from spectro_mpi.errors import InvalidCdfError, UserError
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader
from spectro_mpi.instruments.master import Remembering, WithMaster
from spectro_mpi.instruments.proposals import Drawable, drawable, why_not
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.system.untrusted import UntrustedCalls

_CPU_SECONDS = 7
_MEMORY_MB = 800
"""What inspecting a file may take, besides the program itself."""
_SILENT_SECONDS = 8
"""Longest wait for a file server that does not answer."""
_DATES = (
    (r"\d{4}-\d{2}-\d{2}", "%Y-%m-%d", "{date:%Y-%m-%d}"),
    (r"\d{4}_\d{2}_\d{2}", "%Y_%m_%d", "{date:%Y_%m_%d}"),
    (r"\d{8}T\d{6}", "%Y%m%dT%H%M%S", "{date}"),
    (r"\d{14}", "%Y%m%d%H%M%S", "{date}"),
    (r"\d{8}", "%Y%m%d", "{date}"),
    (r"\d{7}", "%Y%j", "{date:%Y%j}"),
)
_MASTER = re.compile(r"(.*[_-])0{8}([_-].*)?\.cdf", re.IGNORECASE)
"""Masters have zeros for a date."""
_TRIED = 3
"""Files of one pattern to open, if the first ones are damaged."""


@dataclass(frozen=True)
class Inspection:
    """The result of inspecting the files of one pattern."""

    path: Path
    """The file that was read."""
    files: int
    """Number of files of this pattern that were given."""
    title: str
    """Description of the file, from its global attributes."""
    pattern: str
    """Pattern that matches its name and the names of similar files."""
    drawable: tuple[Drawable, ...]
    """What a scientist would draw first is first."""
    others: tuple[tuple[str, str], ...]
    """(name, why it cannot be drawn) of the other variables."""
    master: str = ""
    """Path of a master that supplies what the file lacks."""
    is_of_names: bool = False
    """Whether only variables that the user has named are in it."""


def inspect_file(
    path: Path, names: Sequence[str] = (), everything: bool = False, master: Path | None = None
) -> Inspection:
    """Inspect the variables called `names` of a file, or all if there are none.

    `everything`: also support data. `master`: a file that supplies what this one lacks; None: one
    beside it, if it has no attributes.

    A separate process reads it, with limits of time and memory: a damaged file may need any amount
    of both. Raises `UserError` if a file cannot be read or has no variable of one of these names.
    """
    try:
        with UntrustedCalls(_CPU_SECONDS, _MEMORY_MB, _SILENT_SECONDS) as untrusted:
            return untrusted(_inspect_here, path, tuple(names), everything, master)
    except ChildProcessError:
        raise UserError(
            f"{path}: is damaged, or too large: reading it crashes or takes more than "
            f"{_CPU_SECONDS} s"
        ) from None
    except MemoryError:
        raise UserError(
            f"{path}: is damaged, or too large: reading it takes more than {_MEMORY_MB} MB"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None


def _inspect_here(
    path: Path, names: Sequence[str], everything: bool, master: Path | None
) -> Inspection:
    """Inspect a file in this process."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: is not a file")
    try:
        reader: CdfReader = Remembering(CdflibReader(path))
        if master is None and not any("DEPEND_0" in reader.attributes(n) for n in reader.names):
            master = _master_beside(path)
        if master is not None:
            reader = Remembering(WithMaster(reader, CdflibReader(master)))
        unknown = [name for name in names if name not in reader.names]
        if unknown:
            raise UserError(
                f"{path}: has no variable {', '.join(unknown)}; "
                f"`spectro-mpi inspect {path} --all` lists all variables"
            )
        return _inspect(reader, names, everything, str(master.absolute()) if master else "")
    except InvalidCdfError as error:
        raise UserError(str(error)) from None
    except (OSError, MemoryError, UserError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its axes
        raise UserError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


def inspect_files(
    paths: Sequence[Path],
    names: Sequence[str] = (),
    everything: bool = False,
    master: Path | None = None,
) -> list[Inspection]:
    """Inspect one file of each pattern among files and folders, which are searched recursively.

    Instruments have different names, whatever file they are of. Patterns of which no file can be
    read come last, with the reason as `title`. Raises `UserError` if there is no file, if none can
    be read, or if that is one of `paths` itself.
    """
    kinds: dict[str, list[Path]] = {}
    for path in dict.fromkeys(file for entry in paths for file in _files(entry)):
        kinds.setdefault(pattern_of(path.name), []).append(path)
    found, unread, errors = [], [], []
    for pattern, files in kinds.items():
        try:
            inspection = _first_whole(files, names, everything, master)
        except UserError as error:
            if not set(paths).isdisjoint(files):
                raise
            errors.append(error)
            why = f"left out: {str(error).removeprefix(f'{files[0]}: ')}"
            unread.append(Inspection(files[0], len(files), why, pattern, (), ()))
        else:
            found.append(replace(inspection, files=len(files)))
    if not found:
        raise errors[0]
    return [*_with_names(found), *unread]


def pattern_of(name: str) -> str:
    """A pattern for files named like `name`, with other dates, orbits and versions."""
    stem = re.sub(r"\.cdf$", "", name, flags=re.IGNORECASE)
    stem, version = re.sub(r"([_-][vV])\d+(?:[._]r?\d+)*$", r"\1", stem), stem
    end = "{version}.cdf" if stem != version else ".cdf"
    pattern = ""
    for part in re.split(r"([_-])", _with_date(stem)):
        if "{date" in pattern and re.fullmatch(r"\d{6}", part):
            part = "*" if "{time}" in pattern else "{time}"
        elif "{date" in pattern and re.fullmatch(r"\d{4,5}", part) and "{orbit}" not in pattern:
            part = "{orbit}"
        elif "{" not in part and re.fullmatch(r"\d{8,14}", part):
            part = "*"
        pattern += part
    if "{" not in pattern:
        pattern = "{item}" if end == ".cdf" else re.sub(r"^.*(?=[_-][vV]$)", "{item}", pattern)
    try:
        matched = FilePattern(pattern + end).match(name)
    except ValueError:
        matched = None
    return pattern + end if matched else "{item}.cdf"


def _files(entry: Path) -> list[Path]:
    """The files that an argument names: itself, or the CDF files in a folder, without masters."""
    if not entry.is_dir():
        return [entry]
    try:
        files = sorted(path for path in entry.rglob("*") if path.suffix.lower() == ".cdf")
    except OSError as error:
        raise UserError(f"{entry}: cannot be searched: {error.strerror or error}") from None
    files = [path for path in files if not _MASTER.fullmatch(path.name)]
    if not files:
        raise UserError(f"{entry}: holds no CDF file")
    return files


def _first_whole(
    files: Sequence[Path], names: Sequence[str], everything: bool, master: Path | None
) -> Inspection:
    """The inspection of the first file that can be read."""
    for file in files[: _TRIED - 1]:
        try:
            return inspect_file(file, names, everything, master)
        except UserError:
            if file is files[-1]:
                raise
    return inspect_file(files[min(len(files), _TRIED) - 1], names, everything, master)


def _master_beside(path: Path) -> Path | None:
    """The master of a file in its folder, by its name; of several, that of the highest version."""
    for candidate in sorted(path.parent.glob("*_00000000_*"), reverse=True):
        match = _MASTER.fullmatch(candidate.name)
        if match and path.name.lower().startswith(match[1].lower()) and candidate != path:
            return candidate
    return None


def _inspect(reader: CdfReader, names: Sequence[str], everything: bool, master: str) -> Inspection:
    of_file = reader.global_attributes()
    titles = (of_file.get(key, "").partition(">")[2] for key in ("Source_name", "Descriptor"))
    title = of_file.get("Logical_source_description", "") or ", ".join(filter(None, titles))
    pattern = pattern_of(reader.path.name)
    found, others = [], []
    for name in sorted(reader.names):
        if names and name not in names:
            continue
        why = why_not(reader, name, explicit=bool(names) or everything)
        if why:
            others.append((name, why))
            continue
        plain = InstrumentTable(name=_instrument(name), file=pattern, value=name, master=master)
        try:
            found.append(drawable(reader, plain))
        except InvalidCdfError as error:
            why = str(error).removeprefix(f"{reader.path}: ").removeprefix(f"{name} ")
            others.append((name, why.replace(f' in [[instrument]] "{plain.name}"', "")))
    found.sort(key=lambda variable: (variable.rank, variable.name))
    return Inspection(
        reader.path,
        1,
        title or "no description",
        pattern,
        tuple(found),
        tuple(others),
        master,
        is_of_names=bool(names),
    )


def _with_names(inspections: Sequence[Inspection]) -> list[Inspection]:
    """The same, with names of instruments that differ: by what the patterns do not share."""
    words = [_words_of(inspection.pattern) for inspection in inspections]
    shared = set.intersection(*map(set, words)) if words else set()
    used: set[str] = set()
    renamed = []
    for inspection, parts in zip(inspections, words, strict=True):
        apart = "_".join(part for part in parts if part not in shared)
        variables = []
        for variable in inspection.drawable:
            name = "_".join(filter(None, (variable.table.name, apart)))
            unused = (name, *(f"{name}_{number}" for number in range(2, len(used) + 3)))
            name = next(each for each in unused if each not in used)
            used.add(name)
            variables.append(replace(variable, table=replace(variable.table, name=name)))
        renamed.append(replace(inspection, drawable=tuple(variables)))
    return renamed


def _words_of(pattern: str) -> list[str]:
    """The words of a pattern, as names of instruments may have them."""
    plain = re.sub(r"\{.*?\}|\.cdf$", "_", pattern.lower())
    return [word for word in re.split(r"[^a-z0-9]+", plain) if word and word != "v"]


def _with_date(stem: str) -> str:
    """The stem with a placeholder for the first date in it, if there is one."""
    for regex, date_format, place in _DATES:
        for match in re.finditer(rf"(?<!\d){regex}(?!\d)", stem):
            try:
                year = datetime.strptime(match[0], date_format).year
            except ValueError:
                continue
            if 1957 <= year <= 2100:
                return stem[: match.start()] + place + stem[match.end() :]
    return stem


def _instrument(variable: str) -> str:
    """A valid instrument name for a variable."""
    return re.sub(r"[^a-z0-9]+", "_", variable.lower()).strip("_") or "instrument"


def folders_of(inspections: Iterable[Inspection], paths: Sequence[Path]) -> list[Path]:
    """The folders to search for the files: those given, and those of the files given."""
    given = [path if path.is_dir() else path.parent for path in paths]
    folders = [path.resolve() for path in given or [one.path.parent for one in inspections]]
    return [
        folder
        for folder in dict.fromkeys(folders)
        if not any(other in folder.parents for other in folders)
    ]
