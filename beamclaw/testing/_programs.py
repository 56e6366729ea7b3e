"""Programs that are played: what starts commands, without a process of the system.

A few programs are known by name, and do on the clock of the test what the real ones do:
``echo``, ``cat``, ``sleep``, ``true``, ``false``, and ``sh -c`` with those behind one
another. A test gives others as a `Play`.
"""

import re
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

import attrs
import trio

from beamclaw.contracts.commands import CannotStart, Ended, Launch
from beamclaw.values import frozen


@frozen
class Say:
    """The program writes this."""

    data: bytes


@frozen
class Pause:
    """It works for so many seconds."""

    seconds: float


@frozen
class ReadAll:
    """It reads to the end of its input, and writes what *answer* makes of that."""

    answer: Callable[[bytes], bytes] = bytes


@frozen
class Exit:
    """It ends."""

    code: int


Step = Say | Pause | ReadAll | Exit
Play = Callable[[Launch], Iterable[Step]]
"""What a program does, step by step; without an `Exit` it ends with 0."""

_SCRIPT: Final = re.compile(r"\s*(?:;|&&|\n)\s*")


def known_programs(launch: Launch) -> Iterator[Step]:
    """The programs that are known by name.

    Raises:
        CannotStart: It is another one.
    """
    name, *arguments = launch.argv
    name = name.rpartition("/")[2]
    if name == "sh" and arguments[:1] == ["-c"]:
        for line in _SCRIPT.split(arguments[1]):
            if line:
                yield from _named(*shlex.split(line))
    else:
        yield from _named(name, *arguments)


def _named(name: str, *arguments: str) -> Iterator[Step]:
    match name:
        case "echo":
            yield Say(f"{' '.join(arguments)}\n".encode())
        case "sleep":
            yield Pause(float(arguments[0]))
        case "cat":
            yield ReadAll()
        case "true":
            pass
        case "false":
            yield Exit(1)
        case _:
            raise CannotStart("No such file or directory")


@attrs.define(eq=False)
class Programs:
    """Starts programs; its `open` stands in `beamclaw.contracts.outside.Outside`.

    Attributes:
        play: What programs do.
        over: Is told how each has come to its end.
        typed: Is told what each is given to read.
        started: What was started, in order.
        commands: Those that were not let go.
    """

    play: Play = known_programs
    over: Callable[[Launch, Ended], object] | None = None
    typed: Callable[[Launch, bytes], object] | None = None
    started: list[Launch] = attrs.field(factory=list[Launch])
    commands: "list[PlayedCommand]" = attrs.field(factory=list["PlayedCommand"])
    _launcher: "PlayedLauncher | None" = None
    _pids: Iterator[int] = attrs.field(factory=lambda: count(1_000_001))

    async def open(self) -> "PlayedLauncher":
        """A launcher, as `beamclaw.contracts.commands.OpenLauncher`."""
        await trio.lowlevel.checkpoint()
        self._launcher = PlayedLauncher(self)
        return self._launcher

    def begin(self, launch: Launch) -> "PlayedCommand":
        """A command is started."""
        command = PlayedCommand(self, launch, iter(self.play(launch)), next(self._pids))
        self.started.append(launch)
        self.commands.append(command)
        return command

    @property
    def running(self) -> list[str]:
        """The last arguments of those that have not ended."""
        return [each.launch.argv[-1] for each in self.commands if not each.is_over]

    def lose(self) -> None:
        """The launcher dies, and all commands with it."""
        if self._launcher is not None:
            self._launcher.close()


@attrs.define(eq=False)
class PlayedLauncher:
    """See :class:`beamclaw.contracts.commands.Launcher`."""

    _programs: Programs
    _lost: trio.Event = attrs.field(factory=trio.Event)

    async def launch(self, launch: Launch, kill_seconds: float) -> "PlayedCommand":
        """See the Protocol."""
        await trio.lowlevel.checkpoint()
        if self._lost.is_set():
            raise CannotStart("no command can be started: the launcher has ended")
        return self._programs.begin(launch)

    async def wait_lost(self) -> str:
        """See the Protocol."""
        await self._lost.wait()
        return "it was ended"

    def close(self) -> None:
        """See the Protocol."""
        self._lost.set()
        for command in [*self._programs.commands]:
            command.finish(Ended(by="loss", words="the launcher has ended"))


@attrs.define(eq=False)
class PlayedCommand:
    """See :class:`beamclaw.contracts.commands.Watched`."""

    _programs: Programs
    launch: Launch
    _steps: Iterator[Step]
    _pid: int
    _failed: str = ""
    _input: bytearray = attrs.field(factory=bytearray)
    _eof: trio.Event = attrs.field(factory=trio.Event)
    _over: trio.Event = attrs.field(factory=trio.Event)
    _begun: trio.Event = attrs.field(factory=trio.Event)
    _ended: Ended | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    async def read(self, most: int) -> bytes:
        """See the Protocol; the program goes on while somebody reads."""
        await trio.lowlevel.checkpoint()
        while self._ended is None:
            try:
                step = next(self._steps, Exit(0))
            except CannotStart as error:
                self._failed = str(error)
                self.finish(Ended(by="start", words=self._failed))
                return b""
            self._begun.set()
            match step:
                case Say(data):
                    return data
                case Pause(seconds):
                    with trio.move_on_after(seconds):
                        await self._over.wait()
                case ReadAll(answer):
                    await self._eof.wait()
                    if self._input and self._ended is None:
                        return answer(bytes(self._input))
                case Exit(code):
                    self.finish(Ended(by="itself", code=code))
        return b""

    async def write(self, data: bytes) -> None:
        """See the Protocol."""
        await trio.lowlevel.checkpoint()
        if self._ended is not None:
            raise BrokenPipeError("it does not read any more")
        self._input += data
        if data and self._programs.typed is not None:
            self._programs.typed(self.launch, data)

    async def end_input(self) -> None:
        """See the Protocol."""
        await trio.lowlevel.checkpoint()
        self._eof.set()

    async def wait_begun(self) -> int:
        """See the Protocol."""
        await self._begun.wait()
        if self._failed:
            raise CannotStart(self._failed)
        return self._pid

    async def wait_ended(self) -> Ended:
        """See the Protocol."""
        await self._over.wait()
        assert self._ended is not None
        return self._ended

    def signal(self, number: int) -> None:
        """See the Protocol."""
        self.finish(Ended(by="itself", signal=number))

    def end(self, seconds: float) -> None:
        """See the Protocol."""
        self.signal(signal.SIGTERM)

    def close(self) -> None:
        """See the Protocol."""
        self.signal(signal.SIGTERM)
        if self in self._programs.commands:
            self._programs.commands.remove(self)

    def finish(self, ended: Ended) -> None:
        """It is over; the first word counts."""
        if self._ended is None:
            self._ended = ended
            if self._programs.over is not None:
                self._programs.over(self.launch, ended)
            self._begun.set()
            self._eof.set()
            self._over.set()
