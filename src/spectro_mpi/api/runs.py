"""Start runs from a notebook or a script, using processes on this machine, without MPI."""

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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

from spectro_mpi.api.arguments import count_of, one_of, path_of
from spectro_mpi.api.progress import notebook_bars, shown_bars
from spectro_mpi.errors import RunError, UserError
from spectro_mpi.phases.interface import Phase
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.settings.loading import config_from, load_config
from spectro_mpi.settings.schema import Config, PlotSettings, ScaleName
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.threads import limit_threads
from spectro_mpi.terminal.summary import WARNING

_DONE = (0, 3)
"""Exit codes of a run that finished: all items done, or some failed."""
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
    max_percentile: float | None = None,
    max_processing_percentile: float | None = None,
    colormap: str | None = None,
    zoom_minutes: float | None = None,
    install_signal_handlers: bool | None = None,
    ignore_progress: bool | None = None,
    ignore_progress_json: bool | None = None,
    retry: bool = False,
    show_progress: bool = True,
    settings: Path | str | Mapping[str, Any] | None = None,
) -> Run:
    """Reduce and draw all items of a directory, using processes on this machine.

    The run and its output are the same as with `mpirun -n N spectro-mpi`. A second call continues
    where the first stopped. If interrupted (Ctrl-C, a notebook's stop button), it finishes the
    current items and stops.

    Parameters
    ----------
    directory : path
        Directory to search for input files, recursively.
    output : path
        The run directory.
    y_scale, z_scale : {"linear", "log"}, optional
        Scale of the energy axis and of the colours. None: as in the settings (default: "log").
    flush_batch_size : int, optional
        Items written to disk together; a killed run loses at most this many finished ones and one
        for each worker, less one. None: as in the settings.
    log_flush_batch_size : int, optional
        Log records buffered before they are written.
    max_workers : int, optional
        Number of processes that compute. None: one for each core this process may use.
    orbit_timeout_seconds, instrument_timeout_seconds : float, optional
        An item, or an instrument of it, that takes longer is recorded as an error.
    max_percentile, max_processing_percentile : float, optional
        The colour scale ends at this percentile of all positive values, 0 to 100. Both names mean
        the same.
    colormap : str, optional
        A matplotlib colour map.
    zoom_minutes : float, optional
        Width of the zoom column around an event, minutes.
    install_signal_handlers : bool, optional
        Whether the processes of the run handle signals, so that Ctrl-C stops it cleanly. Handlers
        of the calling process are never changed. None: as in the settings.
    ignore_progress, ignore_progress_json : bool, optional
        Start over: remove earlier output. Both names mean the same. None: False.
    retry : bool
        Try failed items again.
    show_progress : bool
        Print the progress and a summary at the end.
    settings : path or mapping, optional
        All other settings, as a file or as a mapping: ``{"plot": {"dpi": 100}}``.

    Returns
    -------
    Run
        The run, for reading: `items`, `errors`, `figures`, `spectrogram`, …

    Raises
    ------
    UserError
        If arguments, settings or input are wrong; the message says what to do.
    RunError
        If the run could not continue; the message says why.
    """
    run: dict[str, Any] = {
        "flush_batch_size": flush_batch_size,
        "log_flush_batch_size": log_flush_batch_size,
        "orbit_timeout_seconds": orbit_timeout_seconds,
        "instrument_timeout_seconds": instrument_timeout_seconds,
        "install_signal_handlers": install_signal_handlers,
    }
    percentile = one_of(
        max_percentile=max_percentile, max_processing_percentile=max_processing_percentile
    )
    fresh = one_of(ignore_progress=ignore_progress, ignore_progress_json=ignore_progress_json)
    more: dict[str, dict[str, Any]] = {
        "extrema": {"max_percentile": percentile},
        "plot": {"colormap": colormap, "zoom_minutes": zoom_minutes},
    }
    config = config_of(settings, directory, output, y_scale, z_scale, run, more)
    return run_locally(
        config,
        max_workers=max_workers,
        fresh=False if fresh is None else fresh,
        retry=retry,
        show=show_progress,
    )


def compute_global_extrema(
    directory: Path | str,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    *,
    instrument_order: Sequence[str] | None = None,
    extrema_json_path: Path | str | None = None,
    max_percentile: float = 95.0,
    min_percentile: float = 0.1,
    flush_batch_size: int | None = None,
    max_workers: int | None = None,
    output: Path | str | None = None,
    show_progress: bool = False,
    settings: Path | str | Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Compute the common axis limits of all items of a directory.

    Parameters
    ----------
    directory : path
        Directory to search for input files, recursively.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axis and of the colours.
    instrument_order : sequence of str, optional
        Instruments to include. None: as in the settings (for FAST ees, eeb, ies, ieb).
    extrema_json_path : path, optional
        File to write the result to as JSON; an existing file is replaced.
    max_percentile : float
        The colour scale ends at this percentile of all positive values.
    min_percentile : float
        A log colour scale begins at this percentile of all positive values; 0: at the smallest.
    flush_batch_size : int, optional
        Items whose reduced data is written to disk together.
    max_workers : int, optional
        Number of processes that compute. None: one for each core this process may use.
    output : path, optional
        A run directory to keep the reduced data in, so that a second call reads only new items.
        None: keep nothing.
    show_progress : bool
        Print the progress.
    settings : path or mapping, optional
        All other settings, as a file or as a mapping.

    Returns
    -------
    dict
        ``{instrument}_{y_scale}_{z_scale}_{y|z}_{min|max}`` → limit, in eV, counts or energy flux;
        ``{instrument}-{category}_…`` for pitch-angle categories.

    Raises
    ------
    UserError
        If arguments, settings or input are wrong, or `extrema_json_path` cannot be written; the
        message says what to do.
    RunError
        If the run could not continue; the message says why.
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
                "extrema": {
                    "max_percentile": max_percentile,
                    "min_percentile": min_percentile,
                },
                "report": {"at_end": False},
            },
        )
        done = run_locally(config, phases=("reduce",), max_workers=max_workers, show=show_progress)
        extrema = done.extrema
    if extrema_json_path is not None:
        _write_json(path_of("extrema_json_path", extrema_json_path), extrema)
    return extrema


def _write_json(path: Path, content: Mapping[str, float]) -> None:
    """Write a JSON file for the user. Raises `UserError` if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


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
    """Run a pipeline using processes on this machine; returns the run when it has ended.

    Raises `UserError` or `RunError` with the message of the run.
    """
    import cloudpickle

    from spectro_mpi.mpi.request import Request

    if fresh not in (True, False):  # "no" would remove earlier output
        raise UserError(f"ignore_progress = {fresh!r}: expected True or False")
    request = Request(
        config=lambda: config,
        phases=phases,
        inventory=inventory,
        fresh=fresh,
        retry=retry,
        progress=notebook_bars() is None,
    )
    job = cloudpickle.dumps((_ranks(max_workers), request))
    process = _first_rank()
    last_lines: deque[str] = deque(maxlen=20)
    bars = notebook_bars() if show else None
    readers = [
        _relay(process.stdout, lambda line: print(line, end="", flush=True) if show else None),
        _relay(process.stderr, lambda line: None if _warn(line) else last_lines.append(line)),
    ]
    try:
        with process.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(b"%d\n" % os.getpid() + job)
        with shown_bars(config.run_dir, bars) if bars else nullcontext():
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
    message = "".join(last_lines).strip().removeprefix("spectro-mpi: ")
    if code == 2:
        raise UserError(message)
    if code not in (*_DONE, _STOPPED):
        raise RunError(message or f"the run ended with exit code {code}")
    return open_run(config.run_dir)


def _first_rank() -> subprocess.Popen[bytes]:
    """Start the process that waits for a request on standard input and starts the other ranks."""
    environment = dict(os.environ)
    limit_threads(environment)
    return subprocess.Popen(
        [sys.executable, "-m", "spectro_mpi.mpi.processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # so that Ctrl-C reaches the run only by way of us
    )


def _warn(line: str) -> bool:
    """Print a line of the run's standard error if it is a warning; returns whether it is one."""
    is_warning = line.startswith(WARNING)
    if is_warning:
        print(line, end="", file=sys.stderr, flush=True)
    return is_warning


def _ranks(max_workers: int | None) -> int:
    workers = cores_allowed() if max_workers is None else count_of("max_workers", max_workers)
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
    """The settings for the arguments of an API function, which override those in `settings`.

    Values that are None in `run` and in the tables of `more` are left out.
    """
    run_dir = path_of("output", output).absolute()
    tables = {**(more or {}), "run": run}
    table: dict[str, Any] = {
        "run_id": run_dir.name,
        "input": str(path_of("directory", directory).absolute()),
        "output": str(run_dir.parent),
        **{
            name: {key: value for key, value in keys.items() if value is not None}
            for name, keys in tables.items()
        },
    }
    scales = (y_scale, z_scale)
    if any(scales):
        default = PlotSettings.scales[0]
        pair = [scale or usual for scale, usual in zip(scales, default, strict=True)]
        table["plot"] = {**table.get("plot", {}), "scales": [pair]}
    if isinstance(settings, Mapping):
        return config_from(_merged(settings, table), Path.cwd(), "settings")
    if settings is None:
        return config_from(table, Path.cwd(), "arguments")
    return load_config(path_of("settings", settings), tuple(_overrides(table)), "arguments")


def _merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables merged recursively; `over` takes precedence."""
    merged = dict(table)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _overrides(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A table in the form of `-s` options; strings, numbers and lists in JSON are valid TOML."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _overrides(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(value)}"


@contextmanager
def _kept_or_not(output: Path | str | None) -> Iterator[Path]:
    if output is not None:
        yield path_of("output", output)
        return
    folder = Path(tempfile.mkdtemp(prefix="spectro-mpi-"))
    try:
        yield folder / "extrema"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _relay(stream: IO[bytes] | None, take: Callable[[str], object]) -> threading.Thread:
    """Start a thread that calls `take` with each line of a stream until the stream ends."""

    def life() -> None:
        for line in stream or ():
            take(line.decode(errors="replace"))

    thread = threading.Thread(target=life, daemon=True)
    thread.start()
    return thread
