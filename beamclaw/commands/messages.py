"""What the processes of commands understand, beside what others may ask of them."""

from typing import Literal

import supervision
from beamclaw.contracts.commands import Ended, Launcher
from beamclaw.values import frozen


@frozen(kw_only=True)
class Settings:
    """How commands are held.

    Attributes:
        max_running: Commands at once.
        kill_seconds: Between the request to end and the end by force.
        output_chars: Characters of output that are kept of each.
        keep_finished: Commands that are kept when they are over.
        keep_seconds: For how long.
    """

    max_running: int = 64
    kill_seconds: float = 5.0
    output_chars: int = 200_000
    keep_finished: int = 50
    keep_seconds: float = 1800.0


State = Literal["starting", "running", "over"]


@frozen(kw_only=True)
class Known:
    """The value of a command's name: what can be seen without asking it.

    Attributes:
        scope: The key of the session that may use it.
        title: How it reads.
        since: When it began, or was over, on the node's own clock.
        noted: Its row stands in the ledger until its session was told of its end, or is
            deleted.
        program: Its file; *folder*: where it works.
        carries: Why what it is given to read has to be agreed to; empty: it need not.
    """

    scope: str
    title: str
    state: State
    since: float
    noted: bool = False
    program: str = ""
    folder: str = ""
    carries: str = ""


@frozen(kw_only=True)
class View:
    """How a command stands.

    Attributes:
        new: What it has said since the last time that somebody has polled.
        total: Characters that it ever said; *lost* of them are not kept any more.
        waiting: Bytes of input that it has not read yet.
    """

    id: str
    title: str
    state: State
    pid: int | None
    seconds: float
    total: int
    lost: int
    ended: Ended | None = None
    new: str = ""
    waiting: int = 0


@frozen
class GetLauncher(supervision.Call[Launcher]):
    """To the door: what starts programs; it is started if need be."""


@frozen
class Finished:
    """Cast to the door: a command that is kept is over."""


@frozen
class Look(supervision.Call[View]):
    """How does it stand?"""


@frozen
class AwaitBegun(supervision.Call[View]):
    """The reply comes when it runs, or could not be started."""


@frozen
class AwaitOver(supervision.Call[View]):
    """The reply comes when it is over."""


@frozen
class Poll(supervision.Call[View]):
    """What it says next: the reply comes with something new, or when it is over.

    It comes after *seconds* in any case.
    """

    seconds: float


@frozen
class Read(supervision.Call[str]):
    """All of its output that is kept; with *most*, only the last characters of it."""

    most: int | None = None


@frozen
class LeaveAlone(supervision.Call[View]):
    """It goes on when its owner is gone, and is kept for a while when it is over.

    Then *teller*, if there is one, gets a `CommandOver`.
    """

    teller: str | None


@frozen
class Type(supervision.Call[int]):
    """Give it this to read; the reply is how many bytes wait before it.

    Raises:
        NotWritten: It reads no more, or not fast enough.
    """

    data: bytes
    eof: bool = False


class NotWritten(Exception):  # noqa: N818 -- a situation
    """In words for the model."""


@frozen
class End(supervision.Call[View]):
    """End it, with all that it has started; the reply comes when it is over."""


@frozen
class Forget:
    """Cast: nobody wants to know anything of it any more."""


@frozen
class CommandOver:
    """Cast to who tells sessions of their commands."""

    id: str
    view: View
    tail: str


@frozen
class TellAgain:
    """Cast: if it is over, say so to *teller*; else when it is."""

    teller: str


@frozen(kw_only=True)
class NoteCommand(supervision.Call[None]):
    """To who tells of commands: this one goes on in the background.

    When the reply is there, its session will hear of its end, whatever dies.
    """

    id: str
    session_key: str
    agent: str
    title: str
