"""The process of one command: holds it, keeps what it says, ends it when nobody wants it.

Three processes work for it, see :mod:`beamclaw.commands.holding`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw.commands import holding
from beamclaw.commands.hiding import Hiding
from beamclaw.commands.messages import (
    AwaitBegun,
    AwaitOver,
    CommandOver,
    End,
    Finished,
    Forget,
    Known,
    LeaveAlone,
    Look,
    NotWritten,
    Poll,
    Read,
    Settings,
    State,
    TellAgain,
    Type,
    View,
)
from beamclaw.commands.ring import Gathered, Ring
from beamclaw.contracts import names
from beamclaw.contracts.commands import (
    AwaitEnd,
    Ended,
    EndedBy,
    Ran,
    StartCommand,
    StopCommand,
    Watched,
)
from beamclaw.contracts.points import point
from beamclaw.values import frozen

# Seconds that the launcher may take to begin a command.
START_SECONDS: Final = 10.0
# Seconds for the rest of the output of a command that is over.
REST_SECONDS: Final = 1.0
# Bytes of input that may wait until the command reads them.
MOST_INPUT: Final = 1024 * 1024
# Characters of output that go with the news that it is over.
TOLD: Final = 2_000


@frozen
class _Time:
    """A time is over; for *whom*, if somebody waits for it."""

    what: str
    whom: supervision.From | None = None


class CommandServer(supervision.Server):
    """Registered as `names.command`; see the module.

    Args:
        tenant: Whose.
        order: The command.
        settings: How it is held.
    """

    # What others see of it; from the first moment on.
    _known: Known

    def __init__(self, tenant: str, order: StartCommand, settings: Settings) -> None:
        self._tenant = tenant
        self._order = order
        self._settings = settings
        self._door = names.of_tenant(tenant, "launcher")
        self._name = names.command(tenant, order.id)
        self._ring = Ring(settings.output_chars, Hiding(order.secrets))
        self._gathered = None if order.most is None else Gathered(order.most)
        self._watched: Watched | None = None
        self._reader: supervision.Pid | None = None
        self._writer: supervision.Pid | None = None
        self._pid: int | None = None
        self._state: State = "starting"
        self._wanted = True
        # Whether it goes on without its owner, and who wants to know of its end.
        self._alone = False
        self._teller: str | None = None
        # Why we have ended it; None: we have not.
        self._by: EndedBy | None = None
        self._ended: Ended | None = None
        self._said = False
        self._polled = 0
        self._waiting = 0
        self._eof = order.eof
        self._owner: supervision.Ref | None = None
        self._since = 0.0
        self._seconds = 0.0
        self._beginners = list[supervision.From]()
        self._awaiting = list[supervision.From]()
        # The reader looks at it, so it stays the same one.
        self._pollers = list[supervision.From]()

    async def init(self) -> supervision.Continue:
        """Whoever begins it does not wait for it."""
        self._since = trio.current_time()
        self._owner = supervision.monitor(self._order.owner)
        self._show()
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """Have it started."""
        me, sink = supervision.self_pid(), self._gathered or self._ring
        self._reader = self._work(
            holding.read,
            me,
            self._door,
            self._order.launch,
            self._settings.kill_seconds,
            sink,
            self._pollers,
        )
        self._after(START_SECONDS, "start")
        for seconds in (self._order.seconds, self._order.launch.seconds):
            if seconds is not None:
                self._after(seconds, "timeout")

    @staticmethod
    def _work(fn: Callable[..., Awaitable[None]], *args: object) -> supervision.Pid:
        with point("command.hold"):
            return supervision.spawn_link(fn, *args)

    def _after(
        self, seconds: float, what: str, whom: supervision.From | None = None
    ) -> None:
        supervision.send_after(seconds, supervision.self_pid(), _Time(what, whom))

    def _show(self) -> None:
        order = self._order
        self._known = Known(
            scope=order.scope,
            title=order.title,
            state=self._state,
            since=trio.current_time(),
            noted=self._teller is not None,
            program=order.launch.path or order.launch.argv[0],
            folder=order.launch.cwd,
            carries=order.carries,
        )
        supervision.update_value(self._name, self._known)

    # --- what happens

    async def handle_info(  # noqa: C901 -- a case for each event
        self, message: object
    ) -> supervision.Stop | None:
        """Something has happened to it, or to its owner."""
        match message:
            case holding.Held(watched):
                self._hold(watched)
            case holding.Begun(pid):
                self._begun(pid)
            case holding.Failed(words):
                self._said = True
                self._is_over(Ended(by="start", words=words))
            case holding.News():
                self._answer_pollers()
            case holding.Said(too_much):
                if too_much:
                    self._end("output")
                self._said = True
                self._ring.finish()
                self._finish()
            case holding.Over(ended):
                self._is_over(ended)
            case holding.Written(size, failed):
                self._waiting -= size
                self._eof = self._eof or failed
            case _Time("keep"):
                return supervision.Stop(supervision.NORMAL)
            case _Time(what, whom):
                self._time(what, whom)
            case supervision.Down():
                self._unwanted()
            case _:
                await super().handle_info(message)
        return self._stop_if_unwanted()

    def _begun(self, pid: int) -> None:
        if self._state == "starting":
            self._pid, self._state = pid, "running"
            self._show()
            self._answer_beginners()

    def _hold(self, watched: Watched) -> None:
        me = supervision.self_pid()
        self._watched = watched
        self._work(holding.wait, me, watched)
        self._writer = self._work(holding.write, me, watched)
        if self._order.data or self._order.eof:
            self._type(Type(self._order.data, self._order.eof))
        if self._by is not None:
            watched.end(self._settings.kill_seconds)

    def _time(self, what: str, whom: supervision.From | None) -> None:
        match what:
            case "start" if self._state == "starting":
                self._said = True
                words = f"it was not begun within {START_SECONDS:g} s"
                self._is_over(Ended(by="start", words=words))
            case "timeout":
                self._end("timeout")
            case "rest":
                self._said = True
                self._finish()
            case "poll" if whom in self._pollers:
                self._pollers.remove(whom)
                self._answer_poll(whom)
            case _:
                pass

    def _unwanted(self) -> None:
        self._wanted = False
        self._end("order")

    def _end(self, by: EndedBy) -> None:
        if self._by is None and self._ended is None:
            self._by = by
            if self._watched is not None:
                with point("command.end"):
                    self._watched.end(self._settings.kill_seconds)

    def _is_over(self, ended: Ended) -> None:
        if self._ended is not None:
            return
        if self._by is not None and ended.by == "itself":
            ended = attrs.evolve(ended, by=self._by)
        self._ended = ended
        self._after(REST_SECONDS, "rest")
        self._finish()

    def _finish(self) -> None:
        """Once it is over, and all that it has said is here."""
        ended = self._ended
        if ended is None or not self._said or self._state == "over":
            return
        self._state = "over"
        self._seconds = trio.current_time() - self._since
        self._show()
        for pid in filter(None, (self._reader, self._writer)):
            # They would take us along: to be ended is not to end normally.
            supervision.unlink(pid, flush=True)
            with point("command.let-go"):
                supervision.exit(pid, supervision.SHUTDOWN)
        self._answer_beginners()
        for sender in self._awaiting:
            self._answer(sender)
        self._awaiting.clear()
        self._answer_pollers()
        self._emit(ended)
        if self._alone:
            self._tell_over()
            with point("command.finished"):
                supervision.cast(self._door, Finished())
        self._after(self._settings.keep_seconds, "keep")

    def _emit(self, ended: Ended) -> None:
        supervision.emit(
            "beamclaw.command.ended",
            {
                "seconds": self._seconds,
                "cpu_seconds": ended.cpu_seconds,
                "characters": self._ring.total,
                "left": ended.left,
                "stuck": ended.stuck,
                "starved": ended.starved,
            },
            {
                "tenant": self._tenant,
                "command": self._order.id,
                "by": ended.by,
                "code": ended.code,
                "signal": ended.signal,
            },
        )

    def _tell_over(self) -> None:
        if self._teller is None:
            return
        news = CommandOver(self._order.id, self._view(), self._ring.tail(TOLD))
        with point("command.over"):
            supervision.cast(self._teller, news)

    def _stop_if_unwanted(self) -> supervision.Stop | None:
        if self._state == "over" and not self._wanted:
            return supervision.Stop(supervision.NORMAL)
        return None

    # --- what is asked of it

    async def handle_call(  # noqa: C901 -- a table
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """See :mod:`beamclaw.commands.messages`."""
        match request:
            case Look():
                return self._view()
            case Read(most):
                return self._ring.text() if most is None else self._ring.tail(most)
            case LeaveAlone(teller):
                return self._leave_alone(teller)
            case AwaitEnd() | AwaitOver():
                self._await(sender)
            case AwaitBegun():
                self._beginners.append(sender)
                if self._state != "starting":
                    self._answer_beginners()
            case StopCommand():
                going_on = self._state != "over"
                self._end("order")
                return going_on
            case End():
                self._end("order")
                self._await(sender)
            case Poll(seconds):
                self._poll(seconds, sender)
            case Type():
                self._typed(request, sender)
            case _:
                return await super().handle_call(request, sender)
        return supervision.NO_REPLY

    async def handle_cast(self, message: object) -> supervision.Stop | None:
        """Nobody wants it any more; or somebody may not have heard of its end."""
        match message:
            case Forget():
                self._unwanted()
            case TellAgain(teller) if self._alone:
                self._teller = teller
                if self._state == "over":
                    self._tell_over()
            case TellAgain():
                pass  # its call has not left it yet, and will say who is to tell
            case _:
                await super().handle_cast(message)
        return self._stop_if_unwanted()

    def _await(self, sender: supervision.From) -> None:
        if self._state == "over":
            self._answer(sender)
        else:
            self._awaiting.append(sender)

    def _poll(self, seconds: float, sender: supervision.From) -> None:
        self._pollers.append(sender)
        if self._state == "over" or self._ring.total > self._polled:
            self._answer_pollers()
        else:
            self._after(seconds, "poll", sender)

    def _answer(self, sender: supervision.From) -> None:
        said: object = self._view()
        if isinstance(sender.request, AwaitEnd):
            assert self._ended is not None
            output = b"" if self._gathered is None else self._gathered.whole()
            said = Ran(self._ended, output)
        self._reply(sender, said)

    def _answer_beginners(self) -> None:
        for sender in self._beginners:
            self._reply(sender, self._view())
        self._beginners.clear()

    def _answer_pollers(self) -> None:
        pollers = [*self._pollers]
        self._pollers.clear()
        for sender in pollers:
            self._answer_poll(sender)

    def _answer_poll(self, sender: supervision.From) -> None:
        new = self._ring.text(self._polled)
        self._polled = self._ring.total
        self._reply(sender, attrs.evolve(self._view(), new=new))

    @staticmethod
    def _reply(sender: supervision.From, said: object) -> None:
        with point("command.answer"):
            supervision.reply(sender, said)

    def _leave_alone(self, teller: str | None) -> View:
        assert self._owner is not None
        supervision.demonitor(self._owner, flush=True)
        self._alone, self._teller = True, teller
        self._polled = self._ring.total
        self._known = attrs.evolve(self._known, noted=teller is not None)
        supervision.update_value(self._name, self._known)
        if self._state == "over":
            self._tell_over()
        return self._view()

    def _typed(self, job: Type, sender: supervision.From) -> None:
        refusal = ""
        if self._state == "over":
            refusal = "it is over"
        elif self._eof or self._writer is None:
            refusal = "it reads no more"
        elif self._waiting + len(job.data) > MOST_INPUT:
            refusal = f"{self._waiting} bytes wait already, and it does not read them"
        if refusal:
            with point("command.refuse"):
                supervision.reply_error(sender, NotWritten(refusal))
            return
        self._eof = job.eof
        before = self._waiting
        self._type(job)
        self._reply(sender, before)

    def _type(self, job: Type) -> None:
        assert self._writer is not None
        self._waiting += len(job.data)
        with point("command.type"):
            supervision.send(self._writer, job)

    def _view(self) -> View:
        over = self._state == "over"
        seconds = self._seconds if over else trio.current_time() - self._since
        return View(
            id=self._order.id,
            title=self._order.title,
            state=self._state,
            pid=self._pid,
            seconds=seconds,
            total=self._ring.total,
            lost=self._ring.lost,
            ended=self._ended if over else None,
            waiting=self._waiting,
        )

    def describe(self) -> dict[str, object]:
        """What can be said without what it says, or is given."""
        view: dict[str, object] = attrs.asdict(self._view(), recurse=False)
        del view["new"]
        return view | {"session": self._order.scope}
