"""Runs started from a notebook or a script, on processes of this machine; no MPI is needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.phases.interface import Phase
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.settings.loading import config_from, load_config
from spectro_mpi.settings.schema import Config, ScaleName
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.threads import limit_threads

_DONE = (0, 3)
"""Exit codes of a run that has come to its end."""
_STOPPED = 75


def plot_directory(
    directory: Path | str,
    output: Path | str = "runs/fast",
    *,
    y_scale: ScaleName | None = None,
    z_scale: ScaleName | None = None,
    flush_batch_size: int | None = None,
    log_flush_batch_size: int | None = None,
    max_workers: int | None = None,
    orbit_timeout_seconds: float | None = None,
    instrument_timeout_seconds: float | None = None,
    ignore_progress: bool = False,
    retry: bool = False,
    show_progress: bool = True,
    settings: Path | str | Mapping[str, Any] | None = None,
) -> Run:
    """Reduce and draw all items of a directory, on processes of this machine.

    The same run as `mpirun -n N spectro-mpi`, and the same output. Called again, it goes on where
    it was; interrupted (Ctrl-C, a notebook's stop button), it finishes what is in hand and stops.

    Parameters
    ----------
    directory : path
        Searched for input files, with all below it.
    output : path
        The run directory.
    y_scale, z_scale : {"linear", "log"}, optional
        Scale of the energy axis and of the colours. None: as the settings say ("linear", "log").
    flush_batch_size : int, optional
        Items a shard: a killed run loses at most so many less one.
    log_flush_batch_size : int, optional
        Log records held back.
    max_workers : int, optional
        Processes that compute. None: one for each core this process may use.
    orbit_timeout_seconds, instrument_timeout_seconds : float, optional
        Longer than that, an item or one instrument of it is a recorded error.
    ignore_progress : bool
        Start over: earlier output is removed.
    retry : bool
        Try failed items again.
    show_progress : bool
        Print how far it is, and what it tells at its end.
    settings : path or mapping, optional
        A settings file, or settings as a mapping, for all else: ``{"plot": {"dpi": 100}}``.

    Returns
    -------
    Run
        The run, for reading: `items`, `errors`, `figures`, `spectrogram`, …

    Raises
    ------
    UserError
        What is wrong with the arguments, settings or input, in a sentence.
    RunError
        Why the run could not go on.
    """
    run: dict[str, Any] = {
        "flush_batch_size": flush_batch_size,
        "log_flush_batch_size": log_flush_batch_size,
        "orbit_timeout_seconds": orbit_timeout_seconds,
        "instrument_timeout_seconds": instrument_timeout_seconds,
    }
    config = config_of(settings, directory, output, y_scale, z_scale, run)
    return run_locally(
        config, max_workers=max_workers, fresh=ignore_progress, retry=retry, show=show_progress
    )


def compute_global_extrema(
    directory: Path | str,
    y_scale: ScaleName = "linear",
    z_scale: ScaleName = "log",
    *,
    instrument_order: Sequence[str] | None = None,
    extrema_json_path: Path | str | None = None,
    max_percentile: float = 95.0,
    flush_batch_size: int | None = None,
    max_workers: int | None = None,
    output: Path | str | None = None,
    show_progress: bool = False,
    settings: Path | str | Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Find the common axis limits of all items of a directory.

    Parameters
    ----------
    directory : path
        Searched for input files, with all below it.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axis and of the colours.
    instrument_order : sequence of str, optional
        The instruments to look at. None: as the settings say (of FAST ees, eeb, ies, ieb).
    extrema_json_path : path, optional
        Where to write the result as JSON; a file that is there is replaced.
    max_percentile : float
        The colours end at this percentile of all finite positive values.
    flush_batch_size : int, optional
        Items a shard of the reduced data.
    max_workers : int, optional
        Processes that compute. None: one for each core this process may use.
    output : path, optional
        A run directory that keeps the reduced data: called again, only new items are read. None:
        nothing is kept.
    show_progress : bool
        Print how far it is.
    settings : path or mapping, optional
        A settings file, or settings as a mapping, for all else.

    Returns
    -------
    dict
        ``{instrument}_{y_scale}_{z_scale}_{y|z}_{min|max}`` → limit, in eV, counts or energy flux;
        ``{instrument}-{category}_…`` for pitch-angle categories.

    Raises
    ------
    UserError
        What is wrong with the arguments, settings or input, in a sentence.
    RunError
        Why the run could not go on.
    """
    with _kept_or_not(output) as run_dir:
        run = {"flush_batch_size": flush_batch_size}
        select = {} if instrument_order is None else {"instruments": list(instrument_order)}
        config = config_of(
            settings,
            directory,
            run_dir,
            y_scale,
            z_scale,
            run,
            {
                "select": select,
                "extrema": {"max_percentile": max_percentile},
                "report": {"at_end": False},
            },
        )
        done = run_locally(config, phases=("reduce",), max_workers=max_workers, show=show_progress)
        extrema = done.extrema
    if extrema_json_path is not None:
        path = Path(extrema_json_path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, (json.dumps(extrema, indent=1, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    return extrema


def run_locally(
    config: Config,
    *,
    phases: tuple[Phase | str, ...] | None = None,
    inventory: Inventory | None = None,
    max_workers: int | None = None,
    fresh: bool = False,
    retry: bool = False,
    show: bool = True,
) -> Run:
    """Run a pipeline on processes of this machine; the run, when it has come to its end.

    Raises `UserError` and `RunError` with the sentence that ended it.
    """
    import cloudpickle

    from spectro_mpi.mpi.request import Request

    request = Request(
        config=lambda: config, phases=phases, inventory=inventory, fresh=fresh, retry=retry
    )
    job = cloudpickle.dumps((_ranks(max_workers), request))
    environment = dict(os.environ)
    limit_threads(environment)
    process = subprocess.Popen(
        [sys.executable, "-m", "spectro_mpi.mpi.processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    last_words: deque[str] = deque(maxlen=20)
    readers = [
        _relay(process.stdout, lambda line: print(line, end="", flush=True) if show else None),
        _relay(process.stderr, last_words.append),
    ]
    try:
        with process.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(job)
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    except BaseException:
        process.kill()
        raise
    finally:
        for reader in readers:
            reader.join()
    words = "".join(last_words).strip().removeprefix("spectro-mpi: ")
    if code == 2:
        raise UserError(words)
    if code not in (*_DONE, _STOPPED):
        raise RunError(words or f"the run ended with exit code {code}")
    return open_run(config.run_dir)


def _ranks(max_workers: int | None) -> int:
    if max_workers is not None and (max_workers < 1 or max_workers != int(max_workers)):
        raise UserError(f"max_workers = {max_workers}: a whole number of at least 1 is wanted")
    workers = int(max_workers or cores_allowed())
    return workers + 2 if workers > 1 else 1


def config_of(
    settings: Path | str | Mapping[str, Any] | None,
    directory: Path | str,
    output: Path | str,
    y_scale: str | None,
    z_scale: str | None,
    run: Mapping[str, Any],
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """The settings a function's arguments mean, on top of `settings`."""
    run_dir = Path(output).absolute()
    table: dict[str, Any] = {
        "run_id": run_dir.name,
        "input": str(Path(directory).absolute()),
        "output": str(run_dir.parent),
        **(more or {}),
        "run": {name: value for name, value in run.items() if value is not None},
    }
    scales = (y_scale, z_scale)
    if any(scales):
        pair = [one or default for one, default in zip(scales, ("linear", "log"), strict=True)]
        table["plot"] = {"scales": [pair]}
    if isinstance(settings, Mapping):
        return config_from(_merged(settings, table), Path.cwd(), "settings")
    if settings is None:
        return config_from(table, Path.cwd(), "arguments")
    return load_config(Path(settings), tuple(_overrides(table)))


def _merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables, and where they meet what is in `over`."""
    merged = dict(table)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _overrides(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A table as `-s` takes it; JSON's strings, numbers and lists are TOML's."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _overrides(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(value)}"


@contextmanager
def _kept_or_not(output: Path | str | None) -> Iterator[Path]:
    if output is not None:
        yield Path(output)
        return
    folder = Path(tempfile.mkdtemp(prefix="spectro-mpi-"))
    try:
        yield folder / "extrema"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _relay(stream: IO[bytes] | None, take: Callable[[str], object]) -> threading.Thread:
    """Hand the lines of a stream to `take`, until it ends."""

    def life() -> None:
        for line in stream or ():
            take(line.decode(errors="replace"))

    thread = threading.Thread(target=life, daemon=True)
    thread.start()
    return thread
