"""Get one file: resumed where it broke off, checked, and in its place only when it is whole.

`NAME.part` holds what has come so far, `NAME.part.json` which version of the file that is of. A
part is continued only if the server confirms that its file is still the same (If-Range with a
strong ETag or a date, and the total size); otherwise it starts over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.fetch.web import Answer, PassingError, RefusedError, Web
from spectro_mpi.inert import inert
from spectro_mpi.instruments.cdf_end import check_complete, is_cdf
from spectro_mpi.settings.parsing import as_type, read_json
from spectro_mpi.system.atomic import commit, part_path, write_atomic

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_MAGIC_BYTES = 8


@dataclass(frozen=True)
class Origin:
    """Which version of which file a part is of."""

    url: str
    validator: str = ""
    """A strong ETag, or a date (Last-Modified); empty: the part cannot be continued."""
    size: int = -1
    """Bytes of the whole file; -1: unknown."""


def transfer(
    web: Web, url: str, path: Path, most_bytes: int, on_bytes: Callable[[int], None]
) -> bool:
    """Get a CDF file and put it at `path`; returns whether it is ours.

    It is not if a whole file is there already when the transfer ends: that one is kept. `on_bytes`
    is called with the number of each group of bytes that has come; negative if they are dropped.

    Raises `RefusedError`, `PassingError`, `GivenUpError` as `Web.patiently`, and `OSError` if the
    file cannot be written.
    """
    part = _Part(part_path(path), on_bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        web.patiently(lambda: _attempt(web, url, part, most_bytes), lambda: part.size)
        check_complete(part.path)
    except InvalidCdfError as error:
        part.drop()
        why = str(error).removeprefix(f"{inert(str(part.path))}: ")
        raise RefusedError(f"the archive's file is not whole: {why}") from None
    finally:
        if not part.size:
            part.drop()
    part.note.unlink(missing_ok=True)
    if is_whole(path):
        part.path.unlink()
        return False
    commit(path)
    return True


def is_whole(path: Path, checksum: bool = False) -> bool:
    """Whether there is a whole CDF file at a path."""
    try:
        check_complete(path, checksum)
    except (InvalidCdfError, OSError):
        return False
    return True


class _Part:
    """What has come of a file so far, and the note which version of the file that is of."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        self.path, self.note = path, path.with_name(f"{path.name}.json")
        self._on_bytes = on_bytes
        self._counted = 0  # not what an earlier `fetch` has left

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def count(self, number: int) -> None:
        """Take notice of so many more bytes."""
        self._counted += number
        self._on_bytes(number)

    def drop(self) -> None:
        """Remove the part and its note, and count its bytes no longer."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.count(-self._counted)


def _attempt(web: Web, url: str, part: _Part, most: int) -> None:
    """Get what is missing of a part. Raises as `transfer`."""
    origin = _origin(part.note)
    done = part.size
    if done and (origin.url != url or not origin.validator):
        done = 0
    if 0 < origin.size == done:
        return  # it broke off between the last byte and the end
    headers = {"Range": f"bytes={done}-", "If-Range": origin.validator} if done else {}
    with web.get(url, headers) as answer:
        if done and not _continues(answer, origin, done):
            if answer.status != 200:
                part.drop()
                raise PassingError("the rest of the file could not be had; starting over")
            done = 0
        if answer.status != (206 if done else 200):
            raise RefusedError(f"the server answers {answer.status} to a request for all of it")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError("the server sends it compressed, although that was not asked for")
        total = origin.size if done else _total(answer)
        if max(total, done) > most:
            raise RefusedError(f"has {total} bytes, more than fetch.max_file_mb allows")
        if not done:
            part.drop()
            origin = Origin(url, _validator(answer), total)
            write_atomic(part.note, json.dumps(asdict(origin)).encode())
        with part.path.open("ab") as file:
            for chunk in answer.chunks():
                if not done and not is_cdf(chunk[:_MAGIC_BYTES]) and len(chunk) >= _MAGIC_BYTES:
                    kind = answer.headers.get("Content-Type", "something else")
                    part.drop()
                    raise RefusedError(f"is no CDF file: the server sends {inert(kind)}")
                file.write(chunk)
                file.flush()  # a kill loses nothing that has come
                done += len(chunk)
                part.count(len(chunk))
                if done > most or (0 <= total < done):
                    break
    if total >= 0 and done < total:
        raise PassingError(f"broke off after {done} of {total} bytes")
    if done > most or 0 <= total < done:
        part.drop()
        raise RefusedError(f"sends more than the {total if total >= 0 else most} bytes it may have")


def _continues(answer: Answer, origin: Origin, done: int) -> bool:
    """Whether an answer is the rest of the file that a part is of."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if answer.status != 206 or match is None:
        return False
    first, last, total = map(int, match.groups())
    same = _validator(answer)
    return (
        (first, total) == (done, origin.size)
        and last == total - 1
        and (not same or same == origin.validator)
    )


def _validator(answer: Answer) -> str:
    """What If-Range can name the version of a file by; empty: nothing."""
    tag = answer.headers.get("ETag", "").strip()
    if tag.startswith('"') and tag.endswith('"') and len(tag) > 2:
        return tag
    return answer.headers.get("Last-Modified", "").strip()


def _total(answer: Answer) -> int:
    length = answer.headers.get("Content-Length", "").strip()
    return int(length) if length.isdecimal() and len(length) < 19 else -1


def _origin(note: Path) -> Origin:
    try:
        return as_type(Origin, read_json(note))
    except (OSError, ValueError, TypeError, KeyError):
        return Origin("")
