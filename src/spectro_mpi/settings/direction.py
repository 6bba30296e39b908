"""Categories of pitch angle by direction, which depend on where the spacecraft is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Le


@dataclass(frozen=True)
class Direction:
    """A category that follows the hemisphere: exactly one of the first three is set."""

    toward: Literal["", "earth"] = ""
    """Toward earth: around pitch angle 0 in the northern hemisphere, 180 in the southern."""
    away: Literal["", "earth"] = ""
    """Away from earth: around pitch angle 180 in the northern hemisphere, 0 in the southern."""
    losscone: Literal["", "down", "up"] = ""
    """The loss cone toward earth ("down"), or that away from it ("up"), which is often empty."""
    within: Annotated[float, Gt(0), Le(180)] | None = None
    """Degrees to either side of the direction; a loss cone has its own width."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def is_downward(self) -> bool:
        """Whether it is the direction toward earth."""
        return bool(self.toward) or self.losscone == "down"

    def __str__(self) -> str:
        """What it is, as row labels say it: "within 30° of earthward"."""
        if self.losscone:
            return f"loss cone, {'earthward' if self.is_downward else 'away from earth'}"
        return f"within {self.within:g}° of {'earthward' if self.toward else 'anti-earthward'}"


def mistakes_of_direction(name: str, direction: Direction) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each."""
    given = [key for key in ("toward", "away", "losscone") if getattr(direction, key)]
    if len(given) != 1:
        yield (
            f'pitch_angles.{name}: expected one of toward = "earth", away = "earth", '
            f'losscone = "down" and losscone = "up", got {" and ".join(given) or "none"}'
        )
    elif direction.losscone and direction.within is not None:
        yield f"pitch_angles.{name}.within: a loss cone has its own width; leave it out"
    elif not direction.losscone and direction.within is None:
        yield f"pitch_angles.{name}: expected within, the degrees to either side, such as 30"
