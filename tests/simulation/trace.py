"""What happened in a world, in order: for people, for its hash, and to time faults by."""

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs
import trio

# Points of the program. A world that comes to its end reaches twenty thousand at most.
MOST = 120_000


@attrs.define(eq=False)
class Trace:
    """The events of one world.

    Attributes:
        keep: Whether to keep the lines; the hash is of all of them in any case.
        count: Events so far.
        points: Points of the program that were reached so far.
        due: At which number of them *reached* is called, once.
        enough: Is told why this world is given up: there are more points than in any
            that ends, or somebody asks for ever.
    """

    keep: bool = False
    lines: list[str] = attrs.field(factory=list[str])
    count: int = 0
    points: int = 0
    due: int | None = None
    reached: Callable[[str], None] | None = None
    enough: Callable[[str], None] | None = None
    _inside: Callable[[str], None] | None = None
    _hash: "hashlib._Hash" = attrs.field(factory=hashlib.sha256)

    def note(self, who: str, what: str) -> None:
        """*who* did *what*, now."""
        line = f"{trio.current_time():14.6f}  {who:12}  {what}"
        self._hash.update(line.encode() + b"\n")
        self.count += 1
        if self.keep:
            self.lines.append(line)

    def point(self, name: str) -> None:
        """The program is at a point, see :mod:`beamclaw.contracts.points`."""
        self.points += 1
        self._hash.update(name.encode())
        if self.keep:
            self.lines.append(f"{'':16}.            {name}")
        if self.points == self.due and self.reached is not None:
            self.due = None
            self.reached(name)
        if self.points == MOST:
            self.give_up("it goes on and on")
        if self._inside is not None:
            self._inside(name)

    def give_up(self, why: str) -> None:
        """This world does not end."""
        if self.enough is not None:
            self.enough(why)

    @contextmanager
    def inside(self, look: Callable[[str], None]) -> Generator[None]:
        """Have *look* called at each point in the block, where it may raise."""
        self._inside = look
        try:
            yield
        finally:
            self._inside = None

    @property
    def digest(self) -> str:
        """Stands for every event, its order and its time."""
        return self._hash.hexdigest()[:16]
