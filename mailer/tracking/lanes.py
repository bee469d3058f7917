"""Who takes in which hits: on PostgreSQL two lanes side by side, each with half of the mails. Pure.

All hits of a mail are in one lane, so a lane judges as if it were alone; each has a place of its own in a spool file,
which moves with its rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

_PARTED = "#"


class Lane(NamedTuple):
    """Mails whose id leaves `number` when divided by `parts`."""

    number: int
    parts: int

    def place(self, file: str) -> str:
        """Return what the lane's place in a file is called."""
        return file if self.parts == 1 else f"{file}{_PARTED}{self.number + 1}of{self.parts}"

    def reached(self, positions: Mapping[str, int], file: str) -> int:
        """Return the offset that the lane reached; where it has not begun, that of who read all mails before."""
        return positions.get(self.place(file), positions.get(file, 0))


EVERY = Lane(0, 1)
"""The lane of all mails."""
_HALVES = (Lane(0, 2), Lane(1, 2))


def list_lanes(*, is_sqlite: bool) -> tuple[Lane, ...]:
    """Return the lanes of an ingester; SQLite has one writer at a time anyway."""
    return (EVERY,) if is_sqlite else _HALVES


def lane_of(message_id: int) -> int:
    """Return the number of the lane that a mail is in, where there are lanes."""
    return message_id % len(_HALVES)


def reached_by_all(lanes: tuple[Lane, ...], positions: Mapping[str, int], file: str) -> int:
    """Return the offset up to which nobody has anything left to read."""
    return min(lane.reached(positions, file) for lane in lanes)


def file_of(place: str) -> str:
    """Return the file that a place is in."""
    return place.partition(_PARTED)[0]
