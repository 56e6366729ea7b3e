"""Plays scenarios on `supervision`; says the same as `difftest.erl`, line by line."""

import signal
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType
from typing import Any

import attrs
import trio
import trio.testing

import supervision
from supervision import ChildSpec, Pid, Ref
from supervision._process import Process, notify_end
from supervision.testing import Recorder

from .scenario import Action, Scenario, Trace

# Seconds of processor time after which a scenario counts as one that never rests.
PATIENCE = 5.0
# Units between an action and a time-out: less than that is not compared.
MARGIN = 0.13


class OnPurpose(Exception):
    """A crash that a scenario wants."""


class Return(Exception):
    """Leaves the body of a plain process."""


class Untimable(Exception):
    """A time-out falls so close to an action that real time could not tell."""


class NeverRests(BaseException):
    """A scenario kept the processor busy for too long."""


@attrs.frozen
class Ctl:
    """What a plain process has to do."""

    commands: list[Any]


@attrs.frozen
class Tag:
    """An ordinary message."""

    number: int


@attrs.frozen
class Do:
    """How a child has to end."""

    command: Any


@attrs.frozen
class Program(supervision.Call[Any]):
    """What a callback has to do and to return."""

    id: int
    effects: Any
    result: Any


@attrs.frozen
class Info:
    """A program that comes as a plain message."""

    program: Program


@attrs.frozen
class Answer:
    """A call that another server shall reply to."""

    sender: supervision.From


def program(term: Any) -> Program:
    return Program(*term)


def seconds(tenths: Any) -> float | None:
    return None if tenths == "infinity" else tenths / 10


# --- reasons and messages, as terms


def term_to_reason(term: Any) -> Any:
    match term:
        case ("shutdown", inner):
            return supervision.Shutdown(inner)
        case _:
            return _REASONS.get(term, term)


_REASONS: dict[Any, Any] = {
    "normal": supervision.NORMAL,
    "shutdown": supervision.SHUTDOWN,
    "kill": supervision.KILL,
    "killed": supervision.KILLED,
    "noproc": supervision.NOPROC,
}


def die(term: Any) -> Any:
    """End the calling process by itself."""
    if term == "return":
        raise Return
    if term == "crash":
        raise OnPurpose("boom")
    supervision.exit(term_to_reason(term))


class World:
    """One scenario that is being played."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.pids: dict[str, Pid] = {}
        self.names: dict[Pid, str] = {}
        self.plain: list[str] = []
        self.seen: dict[str, Any] = {}
        self.refs: dict[Ref, str] = {}
        self.labels: dict[tuple[str, Pid], Ref] = {}
        # Of the dynamic supervisor: restart kind, shutdown, and how children are.
        self.template: tuple[Any, ...] = ()
        self.blocked: set[str] = set()
        self.incarnations: Counter[str] = Counter()
        self.starting: list[tuple[Any, Process]] = []
        self.ends: dict[Process, Any] = {}
        self.events: list[Any] = []

    # --- what happens

    def ev(self, event: Any) -> None:
        self.events.append(event)

    def name_of(self, pid: Pid | None) -> str:
        return "unknown" if pid is None else self.names.get(pid, "unknown")

    def know(self, name: str, pid: Pid) -> None:
        self.pids[name] = pid
        self.names[pid] = name

    def watch(self, name: str) -> None:
        pid = supervision.self_pid()
        self.know(name, pid)
        process = pid.process

        def ended(down: supervision.Down) -> None:
            reason = self.reason(down.reason)
            self.ends[process] = reason
            self.ev(("ended", name, reason))

        notify_end(process, ended)

    def born(self, id: str) -> tuple[int, str]:
        self.incarnations[id] += 1
        number = self.incarnations[id]
        self.watch(f"{id}#{number}")
        self.pids[id] = supervision.self_pid()
        return number, f"{id}#{number}"

    def reason(self, reason: Any) -> Any:
        match reason:
            case supervision.Shutdown(None):
                return "shutdown"
            case supervision.Shutdown(supervision.StartFailed() as failed):
                return ("shutdown", ("failed", failed.id, self.reason(failed.reason)))
            case supervision.Shutdown(term):
                return ("shutdown", term)
            case supervision.Crash(error):
                return self.error(error)
            case supervision.Exited(supervision.Kill()):
                return "kill"
            case supervision.Exited(term):
                return term
            case _:
                return str(reason)

    def error(self, error: BaseException) -> Any:
        match error:
            case OnPurpose():
                return ("crash", str(error))
            case supervision.BadReturn():
                return "bad_return"
            case supervision.BadChildSpec():
                return "bad_spec"
            case supervision.AlreadyStarted():
                return ("already_started", self.name_of(error.pid))
            case _:
                return ("crash", repr(error))

    def message(self, message: Any) -> Any:
        match message:
            case Tag(number):
                return ("tag", number)
            case supervision.Exit(pid, reason):
                return ("exit", self.name_of(pid), self.reason(reason))
            case supervision.Down(ref, pid, reason, name):
                whom = self.name_of(pid) if name is None else logical(name)
                return ("down", self.refs[ref], whom, self.reason(reason))
            case _:
                return self.group_event(message)

    def group_event(self, message: Any) -> Any:
        kind = {"GroupJoined": "join", "GroupLeft": "leave"}.get(type(message).__name__)
        if kind is None:
            return "other"
        whom = sorted(map(self.name_of, message.pids))
        return (kind, self.refs[message.ref], whom)

    def canonical(self, messages: list[Any]) -> Any:
        seen = [self.message(one) for one in messages]
        tags = [one for one in seen if one[0] == "tag"]
        return tags, sorted((one for one in seen if one[0] != "tag"), key=repr)

    # --- steps

    def look(self) -> None:
        """Note what has changed about plain processes, and what has been started."""
        for label, process in tuple(self.starting):
            if process.status == "starting" and process.alive:
                continue
            self.starting.remove((label, process))
            if process.status == "running":
                result: Any = ("ok", self.name_of(process.pid))
            elif process.status == "ignored":
                result = "ignore"
            else:
                result = ("error", self.ends.get(process))
            self.ev(("result", label, result))
        for name in self.plain:
            now = self.state(self.pids[name].process)
            if self.seen.get(name) != now:
                self.seen[name] = now
                self.ev(("state", name, now))

    def state(self, process: Process | None) -> Any:
        if process is None:
            return "dead"
        links = sorted(self.name_of(other.pid) for other in process.links or ())
        kept = [one for one in process.mailbox or () if not isinstance(one, Ctl)]
        named = logical(process.names[0]) if process.names else "none"
        tags, others = self.canonical(kept)
        return (process.trapping, links, named, tags, others)


def logical(name: str) -> str:
    return name.partition("_")[0]


async def play_here(scenario: Scenario, clock: trio.testing.MockClock) -> Trace:
    """Play *scenario* in the Trio run that we are in."""
    trace: Trace = []
    async with (
        supervision.open_supervisor([], grace=0.0) as root,
        trio.open_nursery() as nursery,
    ):
        world = World(nursery)
        home = root.process.parent_pid
        world.know("d", home)
        world.pids["parent"] = home
        for part in scenario.setup:
            await act(world, part, clock)
            await settle(world)
        world.look()
        trace.append(world.events)
        for action in scenario.steps:
            world.events = []
            await act(world, action, clock)
            await settle(world)
            world.look()
            trace.append(world.events)
        world.events = []
        nursery.cancel_scope.cancel()
        clock.autojump_threshold = 0
    return trace


async def settle(world: World) -> None:
    await trio.testing.wait_all_tasks_blocked()


async def advance(clock: trio.testing.MockClock, units: float) -> None:
    """Let time pass; each time-out fires at its own moment."""
    left = units
    while True:
        await trio.testing.wait_all_tasks_blocked()
        until = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if until > left:
            break
        until = max(until, 0.0)
        clock.jump(until)
        left -= until
        if left < MARGIN or units - MARGIN < left < units:
            raise Untimable
    clock.jump(left)


def play(scenario: Scenario) -> Trace | str:
    """Play *scenario* on `supervision`; a string says why there is no trace."""
    clock = trio.testing.MockClock()
    before = signal.signal(signal.SIGVTALRM, _never_rests)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        with Recorder.attached():
            return trio.run(play_here, scenario, clock, clock=clock)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - what a fault did is a result
        error = _leaf(error)
        if isinstance(error, Untimable):
            return "late"
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _never_rests(signum: int, frame: FrameType | None) -> None:
    raise NeverRests


# --- actions


async def act(world: World, action: Action, clock: trio.testing.MockClock) -> None:
    match action:
        case ("advance", units):
            await advance(clock, units)
        case ("plain", name):
            start_plain(world, name, "loop", supervision.spawn)
        case ("cmd", name, commands):
            # What a blocked process would do later, at once, has no defined order.
            if name in world.pids and name not in world.blocked:
                supervision.send(world.pids[name], Ctl(commands))
        case ("signal" | "parent", name, reason):
            if name in world.pids:
                supervision.exit(world.pids[name], term_to_reason(reason))
        case ("root", name, what):
            pid = supervision.spawn(start_of(world, name, what))
            world.starting.append((0, pid.process))
        case ("tell", id, command):
            if id in world.pids:
                supervision.send(world.pids[id], Do(command))
        case ("req", number, sup, request):
            client(world, number, partial(answer, world, sup, request))
        case ("server", name, trap, init, term):
            pid = supervision.spawn(partial(Actor, world, name, trap, init, term))
            world.starting.append((name, pid.process))
        case ("cast", name, todo):
            if name in world.pids:
                supervision.cast(world.pids[name], program(todo))
        case ("info", name, todo):
            if name in world.pids:
                supervision.send(world.pids[name], Info(program(todo)))
        case ("call", number, name, todo, timeout):
            client(world, number, partial(call, world, name, todo, timeout))
        case ("stop", number, name, reason, timeout):
            client(world, number, partial(stop, world, name, reason, timeout))
        case _:
            raise ValueError(action)


def client(world: World, number: int, ask: Callable[[], Awaitable[Any]]) -> None:
    """Ask somebody something, in a task of its own."""

    async def run() -> None:
        world.ev(("result", number, await ask()))

    world.nursery.start_soon(run)


# --- plain processes


def start_plain(world: World, name: str, body: Any, spawn: Any) -> Any:
    spawned = spawn(plain, world, name, body)
    world.plain.append(name)
    world.plain.sort()
    world.know(name, spawned[0] if isinstance(spawned, tuple) else spawned)
    return spawned


async def plain(world: World, name: str, body: Any) -> None:
    world.watch(name)
    try:
        if body == "trap":
            supervision.trap_exits(True)
        elif body != "loop":
            die(body)
        while True:
            ctl = await supervision.receive(Ctl)
            for command in ctl.commands:
                world.ev(("did", name, await do(world, command)))
    except Return:
        return


async def do(world: World, command: Any) -> Any:
    here = supervision.self_pid()
    match command:
        case ("spawn", name, how, body):
            return "skip" if name in world.pids else spawn_as(world, name, how, body)
        case ("die", reason):
            die(reason)
        case ("trap", flag):
            return supervision.trap_exits(flag)
        case ("demonitor", label, flush):
            ref = world.labels.get((label, here))
            return "skip" if ref is None else supervision.demonitor(ref, flush=flush)
        case ("recv", tags, exits, down, timeout):
            world.blocked.add(world.name_of(here))
            got = await recv(world, tags, exits, down, seconds(timeout))
            world.blocked.discard(world.name_of(here))
            return got
        case "flush":
            return world.canonical(await drain())
        case ("send_name", name, number):
            try:
                supervision.send(real(name), Tag(number))
            except supervision.NoSuchName:
                return "badarg"
            return "ok"
        case ("unregister", name):
            try:
                supervision.unregister(real(name))
            except supervision.NoSuchName:
                return "badarg"
            return True
        case ("whereis", name):
            pid = supervision.whereis(real(name))
            return "undefined" if pid is None else world.name_of(pid)
        case ("monitor_name", name, label):
            return note_ref(world, supervision.monitor(real(name)), label)
        case ("members", group):
            return sorted(map(world.name_of, supervision.members(group)))
        case ("broadcast", group, number):
            return supervision.broadcast(group, Tag(number))
        case ("monitor_group", group, label):
            monitor_group: Any = vars(supervision)["monitor_group"]
            members = sorted(map(world.name_of, supervision.members(group)))
            note_ref(world, monitor_group(group), label)
            return members
        case ("demonitor_group", label):
            ref = world.labels.get((label, here))
            if ref is None:
                return "skip"
            supervision.demonitor(ref)
            return "ok"
        case (_, name, *_) if name in world.pids:
            return await do_to(world, world.pids[name], command)
        case _:
            return "skip"
    return None


async def do_to(world: World, pid: Pid, command: Any) -> Any:
    match command:
        case ("send", _, number):
            supervision.send(pid, Tag(number))
            return "ok"
        case ("link", _):
            try:
                supervision.link(pid)
            except supervision.NoProcess:
                return "noproc"
            return True
        case ("unlink", _, flush):
            supervision.unlink(pid, flush=flush)
            return "ok"
        case ("monitor", _, label):
            return note_ref(world, supervision.monitor(pid), label)
        case ("exit", _, reason):
            supervision.exit(pid, term_to_reason(reason))
            if pid is supervision.self_pid():
                # Erlang would end it there and then, Trio does at a checkpoint.
                await trio.lowlevel.checkpoint()
            return True
        case ("alive", _):
            return supervision.is_alive(pid)
        case ("register", _, name):
            if pid.process is not None and pid.process.names:
                return "skip"  # in Erlang a process has at most one local name
            try:
                supervision.register(real(name), pid=pid)
            except (supervision.NameTaken, supervision.NoProcess):
                return "badarg"
            return True
        case ("join", _, group):
            try:
                supervision.join(group, pid)
            except supervision.NoProcess:
                return "noproc"
            return "ok"
        case ("leave", _, group):
            try:
                supervision.leave(group, pid)
            except supervision.NoProcess:
                return "noproc"
            except supervision.NotAMember:
                return "not_joined"
            return "ok"
        case ("call", name, todo, timeout):
            here = world.name_of(supervision.self_pid())
            world.blocked.add(here)
            got = await call(world, name, todo, timeout)
            world.blocked.discard(here)
            return got
        case _:
            raise ValueError(command)


def real(name: str) -> str:
    return name + "_"


def spawn_as(world: World, name: str, how: Any, body: Any) -> Any:
    match how:
        case "plain":
            start_plain(world, name, body, supervision.spawn)
        case "link":
            start_plain(world, name, body, supervision.spawn_link)
        case (_, label):
            _, ref = start_plain(world, name, body, supervision.spawn_monitor)
            note_ref(world, ref, label)
    return "ok"


def note_ref(world: World, ref: Ref, label: str) -> Any:
    world.refs[ref] = label
    world.labels[label, supervision.self_pid()] = ref
    return "ok"


async def recv(
    world: World, tags: Any, exits: str, down: str, timeout: float | None
) -> Any:
    anything, *numbers = tags
    ref = world.labels.get((down, supervision.self_pid()))
    whom = world.pids.get(exits)

    def accepts(message: object) -> bool:
        match message:
            case Tag(number):
                return anything or number in numbers
            case supervision.Exit(pid, _):
                return exits == "any" or pid is whom
            case supervision.Down(got, _, _, _):
                return got is ref
            case _:
                return False

    match: Any = Tag if anything and (exits, down) == ("none", "none") else accepts
    try:
        return world.message(await supervision.receive(match, timeout=timeout))
    except supervision.ReceiveTimeout:
        return "timeout"


async def drain() -> list[Any]:
    found: list[Any] = []
    try:
        while True:
            found.append(
                await supervision.receive(lambda m: not isinstance(m, Ctl), timeout=0)
            )
    except supervision.ReceiveTimeout:
        return found


# --- supervisors


def start_of(world: World, id: str, what: Any) -> Callable[[], Any]:
    match what:
        case ("sup", strategy, intensity, auto, children):

            def start_sup() -> supervision.Supervisor:
                _, name = world.born(id)
                world.ev(("init", name, "sup"))
                return supervision.Supervisor(
                    [spec_of(world, child) for child in children],
                    strategy=strategy,
                    max_restarts=intensity,
                    max_seconds=3600.0,
                    auto_shutdown=auto,
                )

            return start_sup
        case ("dynamic", intensity, restart, grace, trap, term):

            def start_dynamic() -> supervision.DynamicSupervisor:
                _, name = world.born(id)
                world.ev(("init", name, "sup"))
                world.template = (restart, grace, trap, term)
                return supervision.DynamicSupervisor(
                    max_restarts=intensity, max_seconds=3600.0
                )

            return start_dynamic
        case ("worker", plan, trap, term):
            return partial(Worker, world, id, plan, trap, term)
        case _:
            raise ValueError(what)


def shutdown_of(grace: Any) -> Any:
    return supervision.BRUTAL_KILL if grace == "brutal_kill" else seconds(grace)


def spec_of(world: World, child: Any) -> ChildSpec:
    id, restart, grace, significant, what = child
    return ChildSpec(
        id,
        start_of(world, id, what),
        restart=restart,
        shutdown=shutdown_of(grace),
        significant=significant,
        type="worker" if what[0] == "worker" else "supervisor",
    )


async def answer(world: World, sup: str, request: Any) -> Any:
    pid = world.pids.get(sup)
    if pid is None:
        return "skip"
    try:
        return await ask(world, pid, request)
    except supervision.NoProcess:
        return ("exit", "noproc")
    except supervision.ServerExited as ended:
        return ("exit", world.reason(ended.reason))
    except supervision.ChildError as refusal:
        return ("error", refused(world, refusal))


def refused(world: World, error: supervision.ChildError) -> Any:
    match error:
        case supervision.NotFound():
            return "not_found"
        case supervision.ChildRunning():
            return "running"
        case supervision.ChildRestarting():
            return "restarting"
        case supervision.AlreadyPresent():
            return "already_present"
        case supervision.StartFailed():
            return world.reason(error.reason)
        case _:
            return world.error(error)


async def ask(world: World, sup: Pid, request: Any) -> Any:
    match request:
        case ("start", child):
            pid = await supervision.start_child(sup, spec_of(world, child))
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("start_dynamic", id, plan):
            restart, grace, trap, term = world.template
            what = ("worker", plan, trap, term)
            child = spec_of(world, (id, restart, grace, False, what))
            pid = await supervision.start_child(sup, child)
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("terminate", id):
            await supervision.terminate_child(sup, id)
        case ("terminate_pid", id):
            if id not in world.pids:
                return "skip"
            await supervision.terminate_child(sup, world.pids[id])
        case ("restart", id):
            pid = await supervision.restart_child(sup, id)
            return ("ok", "undefined" if pid is None else world.name_of(pid))
        case ("delete", id):
            await supervision.delete_child(sup, id)
        case "which":
            children = await supervision.which_children(sup)
            return [listed(world, sup, child) for child in children]
        case "count":
            found = await supervision.count_children(sup)
            return (found.specs, found.active, found.supervisors, found.workers)
        case ("spec", id):
            spec = await supervision.get_child_spec(sup, id)
            return (
                "ok",
                spec.id,
                spec.restart,
                tenths(spec.shutdown),
                spec.significant,
            )
        case "suspend":
            await supervision.sys.suspend(sup, timeout=None)
        case "resume":
            await supervision.sys.resume(sup, timeout=None)
        case ("stop", reason):
            await supervision.stop(sup, term_to_reason(reason))
    return "ok"


def listed(world: World, sup: Pid, child: supervision.ChildInfo) -> Any:
    id = "none" if world.name_of(sup).startswith("dyn") else child.id
    if child.pid is not None:
        return (id, world.name_of(child.pid), child.type)
    resting = "restarting" if child.status == "restarting" else "undefined"
    return (id, resting, child.type)


def tenths(grace: Any) -> Any:
    if grace is None:
        return "infinity"
    return "brutal_kill" if grace is supervision.BRUTAL_KILL else round(grace * 10)


class Worker(supervision.Server):
    """A child; its starts go according to a plan."""

    def __init__(self, world: World, id: str, plan: Any, trap: bool, term: str) -> None:
        self.world = world
        self.id = id
        self.plan = plan
        self.term = term
        self.trap_exit = trap  # pyright: ignore[reportAttributeAccessIssue]

    async def init(self) -> Any:
        number, self.name = self.world.born(self.id)
        outcome = self.plan[min(number, len(self.plan)) - 1]
        self.world.ev(("init", self.name, outcome))
        match outcome:
            case "ok":
                return None
            case "ignore":
                return supervision.abc.Ignore()
            case ("stop", reason):
                return supervision.Stop(term_to_stop(reason))
            case _:
                return die(outcome)

    async def handle_info(self, message: object) -> Any:
        match message:
            case Do(("stop", reason)):
                return supervision.Stop(term_to_stop(reason))
            case Do(command):
                return die(command)
            case supervision.TIMEOUT:
                self.world.ev(("cb", self.name, "timeout", 0))
            case _:
                seen = self.world.message(message)
                self.world.ev(("cb", self.name, "message", seen))
        return None

    async def terminate(self, reason: supervision.ExitReason) -> None:
        self.world.ev(("term", self.name, self.world.reason(reason)))
        if self.term == "hang":
            await trio.sleep_forever()
        if self.term == "crash":
            raise OnPurpose("ouch")


def term_to_stop(term: Any) -> Any:
    """A reason as a callback returns it, where no `kill` is special."""
    reason = term_to_reason(term)
    return reason if isinstance(reason, supervision.ExitReason) else as_exited(reason)


def as_exited(term: Any) -> supervision.Exited:
    return supervision.Exited(term)


# --- servers


class Actor(Worker):
    """A server whose callbacks do what the messages say."""

    def __init__(
        self, world: World, name: str, trap: bool, init: Any, term: str
    ) -> None:
        super().__init__(world, name, [], trap, term)
        self.name = name
        self.first = init
        self.stashed: list[supervision.From] = []

    async def init(self) -> Any:
        self.world.watch(self.name)
        self.world.ev(("init", self.name, self.first[0]))
        match self.first:
            case ("ok", then):
                return then_of(then)
            case ("ignore",):
                return supervision.abc.Ignore()
            case ("stop", reason):
                return supervision.Stop(term_to_stop(reason))
            case ("bad",):
                return "nonsense"
            case (_, reason):
                return die(reason)

    async def handle_call(self, request: Any, sender: supervision.From) -> Any:
        return await self.run("call", request, sender)

    async def handle_cast(self, message: Any) -> Any:
        return await self.run("cast", message, None)

    async def handle_continue(self, term: Any) -> Any:
        return await self.run("continue", program(term), None)

    async def handle_info(self, message: object) -> Any:
        if isinstance(message, Info):
            return await self.run("info", message.program, None)
        if isinstance(message, Answer):
            supervision.reply(message.sender, self.name)
            return None
        return await super().handle_info(message)

    async def run(
        self, kind: str, todo: Program, sender: supervision.From | None
    ) -> Any:
        self.world.ev(("cb", self.name, kind, todo.id))
        for effect in todo.effects:
            await self.effect(effect, sender)
        match todo.result:
            case ("reply", value, then):
                if sender is None:
                    return then_of(then)
                after = then_of(then)
                return value if after is None else supervision.Reply(value, after)
            case ("noreply", then):
                if sender is None:
                    return then_of(then)
                return supervision.abc.NoReply(then_of(then))
            case ("stop", reason, value) if sender is not None:
                return supervision.Stop(term_to_stop(reason), value)
            case ("stop", reason, *_):
                return supervision.Stop(term_to_stop(reason))
            case "bad":
                return supervision.abc.Ignore()
            case (_, reason):
                return die(reason)

    async def effect(self, effect: Any, sender: supervision.From | None) -> None:
        match effect:
            case "stash" if sender is not None:
                self.stashed.append(sender)
            case ("reply_now", value) if sender is not None:
                supervision.reply(sender, value)
            case ("reply_stashed", value) if self.stashed:
                supervision.reply(self.stashed.pop(0), value)
            case ("hand_over", server) if sender is not None:
                if server in self.world.pids:
                    supervision.send(self.world.pids[server], Answer(sender))
            case ("sleep", length):
                await trio.sleep(length / 10)
            case ("call", server, todo, timeout) if server in self.world.pids:
                result = await call(self.world, server, todo, timeout)
                self.world.ev(("nested", self.name, result))
            case _:
                pass


def then_of(then: Any) -> Any:
    match then:
        case ("timeout", length):
            return supervision.Timeout(length / 10)
        case ("continue", todo):
            return supervision.Continue(todo)
        case _:
            return None


async def call(world: World, server: str, todo: Any, timeout: Any) -> Any:
    if server not in world.pids:
        return "skip"
    try:
        value = await supervision.call(
            world.pids[server], program(todo), timeout=seconds(timeout)
        )
    except supervision.CallFailed as failed:
        return ("exit", failure(world, failed))
    return ("reply", value)


async def stop(world: World, server: str, reason: Any, timeout: Any) -> Any:
    if server not in world.pids:
        return "skip"
    try:
        await supervision.stop(
            world.pids[server], term_to_reason(reason), timeout=seconds(timeout)
        )
    except supervision.CallFailed as failed:
        return ("exit", failure(world, failed))
    return "ok"


def failure(world: World, error: supervision.CallFailed) -> Any:
    match error:
        case supervision.ServerExited():
            return world.reason(error.reason)
        case supervision.CallTimeout():
            return "timeout"
        case supervision.CallingSelf():
            return "calling_self"
        case _:
            return "noproc"
