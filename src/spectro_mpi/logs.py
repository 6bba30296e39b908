"""Buffered logging: a file a rank, written some records at a time, at once on errors."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging(folder: Path, rank: int, records: int) -> logging.Handler:
    """Log to `folder/rank-NNNN.log`; the file is made with the first record written to it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / f"rank-{rank:04d}.log", delay=True, encoding="utf-8")
    file.setFormatter(logging.Formatter(FORMAT))
    buffered = logging.handlers.MemoryHandler(records, flushLevel=logging.ERROR, target=file)
    root = logging.getLogger()
    root.addHandler(buffered)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    return buffered


def stop_logging(handler: logging.Handler) -> None:
    """Write what is held and close the file."""
    logging.getLogger().removeHandler(handler)
    handler.close()
