"""Supervision against a model of it: the same random actions on both, compared each time.

The model is the rules of OTP written down naively, without tasks, mailboxes or time: a
death is a function call. Hypothesis makes up trees and what happens to them; after each
action and everything that follows from it both must agree on who lives, who was
restarted, who was told what, and who holds which name.

More of it, at random: ``MODEL_EXAMPLES=20000 pytest tests/supervision/test_model.py``.
"""

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import supervision
from supervision import (
    KILL,
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    ChildSpec,
    Crash,
    Down,
    Exit,
    Exited,
    Pid,
    _dynamic_supervisor,
    _life,
    _supervisor,
)
from supervision._restarts import RestartWindow
from supervision.testing import Recorder, assert_no_leaks, run, settle
from tests.supervision.stage import OnPurpose

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "300"))
NAMES = ("x", "y")
CHECKS = cast("list[HealthCheck]", list(HealthCheck))  # slow is what it is
WINDOW = 5  # seconds in which restarts are counted

Reason = str  # "normal", "shutdown", "killed", "noproc", "crash", or a term


# --- what is done, as values


@attrs.frozen
class Worker:
    """A child; its starts with these numbers fail, or choose not to run."""

    id: str
    restart: Any
    significant: bool = False
    fails: frozenset[int] = frozenset()
    ignores: frozenset[int] = frozenset()
    name: str | None = None


@attrs.frozen
class Tree:
    """A static supervisor; as a child of another one it has an id and a restart kind."""

    id: str
    restart: Any
    strategy: Any
    most: int
    auto: Any
    children: tuple["Worker | Tree", ...]
    significant: bool = False
    name: None = None


@attrs.frozen
class Do:
    """One action; *who* and *whom* count processes (or supervisors) from the newest."""

    what: str
    who: int = 0
    whom: int = 0
    term: Any = None


def kinds() -> st.SearchStrategy[str]:
    return st.sampled_from(["permanent", "transient", "temporary"])


@st.composite
def workers(draw: Any, id: str, *, significant: bool) -> Worker:
    restart = draw(kinds())
    starts = st.frozensets(st.integers(1, 4), max_size=2)
    troubled = draw(st.integers(0, 3)) == 0
    return Worker(
        id,
        restart,
        significant=significant
        and restart != "permanent"
        and draw(st.integers(0, 3)) > 0,
        fails=draw(starts) if troubled else frozenset(),
        ignores=draw(starts) if troubled and draw(st.booleans()) else frozenset(),
        name=draw(st.sampled_from([None, None, None, *NAMES])),
    )


@st.composite
def trees(draw: Any, id: str, depth: int) -> Tree:
    auto = draw(
        st.sampled_from(
            ["never", "never", "any_significant", "all_significant", "all_significant"]
        )
    )
    children: list[Worker | Tree] = []
    for number in range(draw(st.integers(1, 4))):
        inside = f"{id}{number}"
        if depth and draw(st.integers(0, 3)) == 0:
            children.append(draw(trees(inside, depth - 1)))
        else:
            children.append(draw(workers(inside, significant=auto != "never")))
    strategies = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
    return Tree(
        id,
        draw(kinds()),
        draw(strategies),
        draw(st.integers(0, 4)),
        auto,
        tuple(children),
    )


# What an example is mostly about, so that things come together that belong together.
THEMES = {
    "supervisors": (
        *("exit", "kill", "held", "held") * 2,
        *("sleep", "start tree", "start tree", "trap", "kill supervisor", "stop tree"),
        *("terminate", "restart", "delete", "start child", "monitor"),
    ),
    "ties": (
        *("link", "signal", "exit", "kill") * 3,
        *("spawn", "unlink", "monitor", "demonitor", "trap") * 2,
        *("register", "unregister", "send", "start tree"),
        *("join", "join", "leave"),
    ),
    "dynamic": (
        *("start dynamic",) * 6,
        *("exit", "kill", "terminate") * 2,
        *("held", "sleep", "trap", "link", "monitor", "kill supervisor", "delete"),
    ),
}
REASONS = ("normal", "shutdown", "crash", "term")
indices = st.integers(0, 9)


@st.composite
def actions(draw: Any) -> list[Do]:
    done = [Do("start tree", term=draw(trees("t", 1))), Do("spawn"), Do("spawn")]
    theme = THEMES[draw(st.sampled_from(sorted(THEMES)))]
    for step in range(draw(st.integers(5, 30))):
        what = draw(st.sampled_from(theme))
        term: Any = None
        if what in ("signal", "exit"):
            term = draw(st.sampled_from(REASONS))
        elif what in ("register", "unregister", "send"):
            term = draw(st.sampled_from(NAMES))
        elif what == "start tree":
            term = draw(trees(f"t{step}", 1))
        elif what in ("start child", "start dynamic"):
            significant = what == "start child" and draw(st.booleans())
            id = draw(st.sampled_from(["t0", f"n{step}"]))
            term = draw(workers(id, significant=significant))
        elif what == "sleep":
            term = draw(st.sampled_from([1, WINDOW, WINDOW + 1]))
        elif what == "trap":
            term = draw(st.integers(0, 3)) > 0
        elif what == "held":
            term = draw(
                st.lists(st.tuples(indices, st.sampled_from(REASONS)), max_size=3)
            )
        done.append(Do(what, draw(indices), draw(indices), term))
    return done


# --- the model


@attrs.define(eq=False)
class Process:
    """A process, as far as others can tell."""

    number: int
    sup: "Sup | None" = None  # the supervisor whose child it is
    is_sup: "Sup | None" = None  # what it does, if it is one itself
    alive: bool = True
    ending: Reason | None = None
    trap: bool = False
    links: set["Process"] = attrs.field(factory=set)
    monitors: dict[int, "Process"] = attrs.field(factory=dict)  # ref to watcher
    names: set[str] = attrs.field(factory=set)
    told: list[tuple[Any, ...]] = attrs.field(factory=list)


@attrs.define(eq=False)
class Entry:
    """A child, as its supervisor knows it."""

    spec: Worker | Tree
    process: Process | None = None
    retry: bool = False


@attrs.define(eq=False)
class Sup:
    """A supervisor."""

    spec: Tree
    process: Process
    entries: list[Entry] = attrs.field(factory=list)
    restarts: list[float] = attrs.field(factory=list)
    held: bool = False
    inbox: deque[tuple[Entry, Process | None, Reason]] = attrs.field(factory=deque)


class Refused(Exception):
    """What a request of the model ends with."""


# The supervisor of children that come and go; the one above it restarts it, empty.
DYNAMIC = Tree("dynamic", "permanent", "dynamic", 3, "never", ())
MOST_CHILDREN = 3


class Model:
    """The rules."""

    def __init__(self) -> None:
        self.now: float = 0
        self.processes: list[Process] = []
        self.sups: list[Sup] = []
        self.dynamic = self.new_dynamic()
        self.names: dict[str, Process] = {}
        self.group: list[Process] = []  # as often as each has joined
        self.refs: dict[int, tuple[Process, Process]] = {}
        self.starts: dict[int, int] = {}  # of each worker's spec
        self.dying: deque[Process] = deque()

    def new_dynamic(self) -> Sup:
        process = self.make()
        sup = process.is_sup = Sup(DYNAMIC, process)
        self.sups.append(sup)
        return sup

    # processes

    def make(self, sup: Sup | None = None) -> Process:
        process = Process(len(self.processes), sup)
        self.processes.append(process)
        return process

    def signal(self, to: Process, sender: Process, reason: Reason) -> None:
        """An exit signal arrives."""
        if not to.alive:
            return
        if to.trap:
            to.told.append(("exit", sender.number, reason))
        elif reason != "normal":
            self.end(to, reason)

    def end(self, process: Process, reason: Reason) -> None:
        """The first reason wins, except over a kill."""
        if process.ending is None or reason == "killed":
            process.ending = reason
        if process not in self.dying:
            self.dying.append(process)

    def run_deaths(self) -> None:
        while self.dying:
            process = self.dying.popleft()
            assert process.ending is not None
            self.die(process, process.ending)

    def die(self, process: Process, reason: Reason) -> None:
        """Everything that others learn of a death."""
        process.alive = False
        for name in process.names:
            del self.names[name]
        self.group = [member for member in self.group if member is not process]
        links, process.links = process.links, set()
        for other in links:
            other.links.discard(process)
            self.signal(other, process, reason)
        for ref, watcher in process.monitors.items():
            watcher.told.append(("down", ref, process.number, reason))
        for ref, (watcher, target) in list(self.refs.items()):
            if process in (watcher, target):
                target.monitors.pop(ref, None)
                del self.refs[ref]
        for entry in process.sup.entries if process.sup else ():
            if entry.process is process and process.sup is not None:
                process.sup.inbox.append((entry, process, reason))
        if process is self.dynamic.process:
            self.dynamic = self.new_dynamic()

    def rest(self) -> None:
        """Let everything happen that follows from what was done."""
        while True:
            self.run_deaths()
            busy = [sup for sup in self.sups if sup.inbox and not sup.held]
            if not busy:
                return
            sup = busy[0]
            if not sup.process.alive:
                sup.inbox.clear()
                continue
            entry, process, reason = sup.inbox.popleft()
            if process is None:
                if entry.retry and entry in sup.entries:
                    self.recover(sup, entry)
            elif entry.process is process:
                self.child_ended(sup, entry, reason)

    # supervisors

    def start_tree(self, spec: Tree, parent: Sup | None) -> Process | None:
        process = self.make(parent)
        sup = process.is_sup = Sup(spec, process)
        self.sups.append(sup)
        sup.entries = [Entry(child) for child in spec.children]
        for entry in list(sup.entries):
            if not self.start(sup, entry):
                self.stop(sup, sup.entries)
                process.alive = False
                return None
        return process

    def start(self, sup: Sup, entry: Entry) -> bool:
        """Start a child; says whether that went well."""
        entry.retry = False
        spec = entry.spec
        if isinstance(spec, Tree):
            entry.process = self.start_tree(spec, sup)
            return entry.process is not None
        if spec.name in self.names:
            return False
        number = self.starts[id(spec)] = self.starts.get(id(spec), 0) + 1
        if number in spec.fails:
            return False
        if number in spec.ignores:
            if spec.restart == "temporary" or sup.spec is DYNAMIC:
                sup.entries.remove(entry)
            return True
        process = entry.process = self.make(sup)
        if spec.name is not None:
            process.names.add(spec.name)
            self.names[spec.name] = process
        return True

    def stop(self, sup: Sup, entries: list[Entry]) -> None:
        """Terminate children in reverse order; temporary ones are forgotten."""
        for entry in reversed(list(entries)):
            entry.retry = False
            process, entry.process = entry.process, None
            if process is not None and process.alive:
                self.stop_process(process, "shutdown")
        for entry in list(entries):
            forgotten = entry.spec.restart == "temporary" or sup.spec is DYNAMIC
            if forgotten and entry in sup.entries:
                sup.entries.remove(entry)

    def stop_process(self, process: Process, reason: Reason) -> None:
        """What a child does when its parent tells it to end."""
        if process.is_sup is not None:
            self.stop(process.is_sup, process.is_sup.entries)
            self.die(process, reason)
        elif process.ending is None:
            process.ending = reason
            self.die(process, reason)
        self.run_deaths()

    def kill_sup(self, sup: Sup) -> None:
        children = [entry.process for entry in sup.entries]
        for entry in sup.entries:
            entry.process = None
        for child in children:
            if child is not None and child.alive:
                self.stop_process(child, "killed")
        self.die(sup.process, "killed")

    def child_ended(self, sup: Sup, entry: Entry, reason: Reason) -> None:
        entry.process = None
        kind = entry.spec.restart
        abnormal = reason not in ("normal", "shutdown")
        if kind == "permanent" or (kind == "transient" and abnormal):
            self.recover(sup, entry)
            return
        if kind == "temporary" or sup.spec is DYNAMIC:
            sup.entries.remove(entry)
        left = [
            other
            for other in sup.entries
            if other.spec.significant and (other.process or other.retry)
        ]
        auto = sup.spec.auto
        last = auto == "any_significant" or (auto == "all_significant" and not left)
        if entry.spec.significant and last:
            self.finish(sup)

    def finish(self, sup: Sup) -> None:
        """Stop the children and end with shutdown."""
        self.stop(sup, sup.entries)
        self.die(sup.process, "shutdown")

    def recover(self, sup: Sup, entry: Entry) -> None:
        sup.restarts = [at for at in sup.restarts if self.now - at <= WINDOW]
        sup.restarts.append(self.now)
        if len(sup.restarts) > sup.spec.most:
            sup.entries.remove(entry)
            self.finish(sup)
            return
        at = sup.entries.index(entry)
        match sup.spec.strategy:
            case "one_for_one" | "dynamic":
                group = [entry]
            case "one_for_all":
                group = list(sup.entries)
            case _:
                group = sup.entries[at:]
        self.stop(sup, [other for other in group if other is not entry])
        for other in [kept for kept in group if kept in sup.entries]:
            if not self.start(sup, other):
                other.retry = True
                sup.inbox.append((other, None, ""))
                return

    # requests

    def find(self, sup: Sup, number: int) -> Entry:
        if not sup.entries:
            raise Refused("NotFound")
        return sup.entries[number % len(sup.entries)]

    def restart_child(self, sup: Sup, entry: Entry) -> None:
        if sup.spec is DYNAMIC:
            raise Refused("ChildError")
        if entry.process is not None:
            raise Refused("ChildRunning")
        if not self.start(sup, entry):
            taken = isinstance(entry.spec, Worker) and entry.spec.name in self.names
            raise Refused("AlreadyStarted" if taken else "StartFailed")

    def delete_child(self, sup: Sup, entry: Entry) -> None:
        if sup.spec is DYNAMIC:
            raise Refused("ChildError")
        if entry.process is not None:
            raise Refused("ChildRunning")
        sup.entries.remove(entry)

    def start_child(self, sup: Sup, spec: Worker) -> None:
        if sup.spec is DYNAMIC and len(sup.entries) >= MOST_CHILDREN:
            raise Refused("BadChildSpec" if spec.significant else "MaxChildren")
        if spec.significant and sup.spec.auto == "never":
            raise Refused("BadChildSpec")
        for entry in sup.entries:
            if entry.spec.id == spec.id and sup.spec is not DYNAMIC:
                taken = entry.process is not None
                raise Refused("AlreadyStarted" if taken else "AlreadyPresent")
        entry = Entry(spec)
        sup.entries.append(entry)
        if not self.start(sup, entry):
            sup.entries.remove(entry)
            raise Refused(
                "AlreadyStarted" if spec.name in self.names else "StartFailed"
            )


def connected(process: Process) -> set[Process]:
    """Everybody whom links reach from it."""
    found, new = {process}, [process]
    while new:
        for other in new.pop().links - found:
            found.add(other)
            new.append(other)
    return found


# --- the real thing


class Puppet(supervision.Server):
    """Does what it is told, and keeps what else it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def handle_info(self, message: Any) -> None:
        if isinstance(message, partial):
            message()
        else:
            self.seen.append(message)


def start_of(spec: Worker, starts: list[int]) -> Any:
    starts.append(1)
    if len(starts) in spec.fails:
        raise OnPurpose
    return Ignores() if len(starts) in spec.ignores else Puppet()


class Ignores(supervision.Server):
    async def init(self) -> Any:
        return supervision.Ignore()


def real_spec(spec: Worker | Tree) -> ChildSpec:
    if isinstance(spec, Worker):
        return ChildSpec(
            spec.id,
            partial(start_of, spec, []),
            restart=spec.restart,
            significant=spec.significant,
            name=spec.name,
        )
    start = partial(
        supervision.Supervisor,
        [real_spec(child) for child in spec.children],
        strategy=spec.strategy,
        max_restarts=spec.most,
        max_seconds=WINDOW,
        auto_shutdown=spec.auto,
    )
    return ChildSpec(spec.id, start, restart=spec.restart, type="supervisor")


def word(reason: supervision.ExitReason) -> Reason:
    if isinstance(reason, Exited):
        return str(reason.term)
    words = {NORMAL: "normal", SHUTDOWN: "shutdown", KILLED: "killed", NOPROC: "noproc"}
    return "crash" if isinstance(reason, Crash) else words[reason]


def real(reason: Reason) -> Any:
    words = {"normal": NORMAL, "shutdown": SHUTDOWN}
    return OnPurpose() if reason == "crash" else words.get(reason, reason)


def leave(reason: Reason) -> None:
    if reason == "crash":
        raise OnPurpose
    supervision.exit(real(reason))


# --- both, side by side


class Both:
    """Does each action twice and compares."""

    def __init__(self, root: Pid) -> None:
        self.root = root
        self.lab = self.below_root(0)
        self.model = Model()
        self.pids: dict[Process, Pid] = {}
        self.numbers: dict[Pid, int] = {}
        self.refs: dict[supervision.Ref, int] = {}
        self.know(self.model.dynamic.process, self.below_root(1))

    def below_root(self, number: int) -> Pid:
        pid = supervision.tree(self.root).children[number].pid
        assert pid is not None
        return pid

    def know(self, process: Process, pid: Pid) -> None:
        """A process of the model is this one from now on."""
        if process in self.pids:
            assert self.pids[process] is pid, f"{process.number} is another process"
        else:
            assert pid not in self.numbers, f"{process.number} should be a new process"
            self.pids[process] = pid
            self.numbers[pid] = process.number

    async def do(self, action: Do) -> None:
        for process in self.model.processes:
            process.told.clear()
            if (puppet := self.puppet(process)) is not None:
                puppet.seen.clear()
        await getattr(self, action.what.replace(" ", "_"))(action)
        await settle()
        self.model.rest()
        self.compare()

    def compare(self) -> None:
        self.know(self.model.dynamic.process, self.below_root(1))
        for sup in self.model.sups:
            if sup.process.alive and sup.process in self.pids:
                self.compare_children(sup)
        for process in self.model.processes:
            if process not in self.pids:
                continue
            pid = self.pids[process]
            assert supervision.is_alive(pid) == process.alive, f"{process.number} {pid}"
            if process.alive and process.is_sup is None:
                assert self.told(process) == sorted(process.told), process.number
        members = [self.numbers[pid] for pid in supervision.members("group")]
        assert sorted(members) == sorted(each.number for each in self.model.group)
        holders = {entry.name: entry.pid for entry in supervision.names()}
        assert holders == {
            name: self.pids[process] for name, process in self.model.names.items()
        }

    def compare_children(self, sup: Sup) -> None:
        pid = self.pids[sup.process]
        info = supervision.info(pid)
        assert info is not None, f"supervisor {sup.spec.id} has ended"
        assert [child.id for child in info.children] == [
            entry.spec.id for entry in sup.entries
        ]
        for child, entry in zip(info.children, sup.entries, strict=True):
            assert (child.pid is not None) == (entry.process is not None), child.id
            assert child.status in ("waiting", "undefined"), child
            if child.pid is not None and entry.process is not None:
                self.know(entry.process, child.pid)

    def puppet(self, process: Process) -> Puppet | None:
        pid = self.pids.get(process)
        if pid is None or pid.process is None:
            return None
        behaviour = pid.process.behaviour
        return behaviour if isinstance(behaviour, Puppet) else None

    def told(self, process: Process) -> list[tuple[Any, ...]]:
        puppet = self.puppet(process)
        assert puppet is not None
        return sorted(self.plain(message) for message in puppet.seen)

    def plain(self, message: Any) -> tuple[Any, ...]:
        match message:
            case Exit(pid, reason):
                return ("exit", self.numbers[pid], word(reason))
            case Down(ref, pid, reason):
                assert pid is not None
                return ("down", self.refs[ref], self.numbers[pid], word(reason))
            case _:
                return ("info", message)

    def some(self, number: int, *, alive: bool = True) -> Process | None:
        known = [
            process
            for process in self.model.processes
            if process in self.pids
            and process.is_sup is None
            and (process.alive or not alive)
        ]
        return known[-1 - number % len(known)] if known else None

    def some_victim(self, action: Do) -> Process | None:
        """A child rather than somebody else; now and then one that traps exits."""
        alive = [each for each in self.pids if each.alive and each.is_sup is None]
        children = [each for each in alive if each.sup is not None]
        trapping = [each for each in alive if each.trap]
        tied = [each for each in alive if each.links]
        wanted = (children, trapping, alive, tied)[action.whom % 4] or alive
        return wanted[action.who % len(wanted)] if wanted else None

    def some_sup(self, number: int) -> Sup | None:
        known = [sup for sup in self.model.sups if sup.process.alive]
        return known[-1 - number % len(known)] if known else None

    async def tell(self, process: Process, fn: Callable[..., Any], *args: Any) -> Any:
        """Have a process do something; returns what that returned or raised."""
        outcome: list[Any] = []

        def do() -> None:
            try:
                outcome.append(fn(*args))
            except supervision.SupervisionError as error:
                outcome.append(error)

        supervision.send(self.pids[process], partial(do))
        await settle()
        return outcome[0] if outcome else None

    # actions

    async def spawn(self, action: Do) -> None:
        process = self.model.make()
        self.know(process, supervision.spawn(Puppet))

    async def start_tree(self, action: Do) -> None:
        process = self.model.start_tree(action.term, None)
        spec = attrs.evolve(real_spec(action.term), restart="temporary")
        try:
            pid = await supervision.start_child(self.lab, spec)
        except supervision.StartFailed:
            assert process is None
        else:
            assert process is not None
            assert pid is not None
            self.know(process, pid)
        # Others are known by their parents, once those are.
        for sup in self.model.sups:
            if sup.process.alive and sup.process in self.pids:
                self.compare_children(sup)

    async def signal(self, action: Do) -> None:
        who, whom = self.some(action.who), self.some(action.whom, alive=False)
        if who is None or whom is None:
            return
        await self.tell(who, supervision.exit, self.pids[whom], real(action.term))
        if who is whom and action.term == "normal" and not who.trap:
            self.model.end(whom, "normal")
        else:
            self.model.signal(whom, who, action.term)

    async def exit(self, action: Do) -> None:
        if (who := self.some_victim(action)) is not None:
            supervision.send(self.pids[who], partial(leave, action.term))
            self.model.end(who, action.term)

    async def kill(self, action: Do) -> None:
        if (who := self.some_victim(action)) is not None:
            supervision.exit(self.pids[who], KILL)
            self.model.end(who, "killed")

    async def held(self, action: Do) -> None:
        """Have children die one after the other before their supervisor hears of one."""
        sup = self.some_sup(action.who)
        if sup is None:
            return
        pid = self.pids[sup.process]
        await supervision.sys.suspend(pid)
        sup.held = True
        for number, reason in action.term:
            children = [each.process for each in sup.entries]
            alive = [each for each in children if each in self.pids and each.alive]
            if alive and (who := alive[number % len(alive)]).is_sup is None:
                supervision.send(self.pids[who], partial(leave, reason))
                self.model.end(who, reason)
                await settle()
                self.model.rest()
                for other in self.model.sups:
                    if other.process.alive and not other.held:
                        self.compare_children(other)
        sup.held = False
        if supervision.is_alive(pid):
            await supervision.sys.resume(pid)

    async def link(self, action: Do) -> None:
        who, whom = self.some(action.who), self.some(action.whom, alive=False)
        if who is None or whom is None or not self.may_link(who, whom):
            return
        got = await self.tell(who, supervision.link, self.pids[whom])
        if whom is who:
            return
        if whom.alive:
            who.links.add(whom)
            whom.links.add(who)
        elif who.trap:
            who.told.append(("exit", whom.number, "noproc"))
        else:
            assert isinstance(got, supervision.NoProcess)

    @staticmethod
    def may_link(who: Process, whom: Process) -> bool:
        """Whether the deaths that follow would come in an order that is promised.

        Two signals that race for one process (a chain of links, and its supervisor) may
        give it either reason. So at most one of those that are tied together is a child,
        or they are two children and nobody else. And a name that one of them holds may
        be wanted by a restart before or after it is free: so they hold none.
        """
        tied = connected(who) | connected(whom)
        if any(process.names for process in tied):
            return False
        children = [process for process in tied if process.sup is not None]
        return len(children) <= 1 or len(tied) == 2

    async def unlink(self, action: Do) -> None:
        tied = [each for each in self.pids if each.links] or list(self.pids)
        who = tied[action.who % len(tied)]
        others = sorted(who.links, key=lambda each: each.number)
        whom = others[0] if others else self.some(action.whom, alive=False)
        if who.alive and who.is_sup is None and whom is not None:
            await self.tell(who, supervision.unlink, self.pids[whom])
            who.links.discard(whom)
            whom.links.discard(who)

    async def monitor(self, action: Do) -> None:
        who, whom = self.some(action.who), self.some(action.whom, alive=False)
        if action.whom == 0 and (sup := self.some_sup(action.whom)) is not None:
            whom = sup.process
        if who is None or whom is None:
            return
        number = len(self.refs)
        outcome = await self.tell(who, supervision.monitor, self.pids[whom])
        self.refs[outcome] = number
        if whom.alive:
            whom.monitors[number] = who
            self.model.refs[number] = (who, whom)
        else:
            who.told.append(("down", number, whom.number, "noproc"))

    async def demonitor(self, action: Do) -> None:
        monitors = [each for each in self.refs.items() if each[1] in self.model.refs]
        if monitors:
            ref, number = monitors[action.who % len(monitors)]
            watcher, target = self.model.refs.pop(number)
            await self.tell(watcher, supervision.demonitor, ref)
            target.monitors.pop(number, None)

    async def trap(self, action: Do) -> None:
        if (who := self.some(action.who)) is not None:
            before = await self.tell(who, supervision.trap_exits, action.term)
            assert before == who.trap
            who.trap = action.term

    async def register(self, action: Do) -> None:
        who = self.some(action.who)
        if who is not None and not who.links:
            outcome = await self.tell(who, supervision.register, action.term)
            taken = action.term in self.model.names
            assert isinstance(outcome, supervision.NameTaken) == taken
            if not taken:
                who.names.add(action.term)
                self.model.names[action.term] = who

    async def unregister(self, action: Do) -> None:
        who = self.model.names.get(action.term)
        if who is not None and who in self.pids:
            await self.tell(who, supervision.unregister, action.term)
            who.names.discard(action.term)
            del self.model.names[action.term]

    async def join(self, action: Do) -> None:
        if (who := self.some(action.who)) is not None:
            await self.tell(who, supervision.join, "group")
            self.model.group.append(who)

    async def leave(self, action: Do) -> None:
        group = self.model.group
        who = group[action.who % len(group)] if group else self.some(action.who)
        if who is not None:
            got = await self.tell(who, supervision.leave, "group")
            assert isinstance(got, supervision.NotAMember) == (who not in group)
            if who in group:
                group.remove(who)

    async def send(self, action: Do) -> None:
        holder = self.model.names.get(action.term)
        if holder is None:
            with pytest.raises(supervision.NoSuchName):
                supervision.send(action.term, "hello")
        else:
            supervision.send(action.term, "hello")
            holder.told.append(("info", "hello"))

    async def kill_supervisor(self, action: Do) -> None:
        if (sup := self.some_sup(action.who)) is not None:
            supervision.exit(self.pids[sup.process], KILL)
            self.model.kill_sup(sup)

    async def stop_tree(self, action: Do) -> None:
        sup = self.some_sup(action.who)
        if sup is not None and sup.process.sup is None and sup.spec is not DYNAMIC:
            await supervision.terminate_child(self.lab, self.pids[sup.process])
            self.model.stop_process(sup.process, "shutdown")

    async def sleep(self, action: Do) -> None:
        await trio.sleep(action.term)
        self.model.now += action.term

    async def request(
        self, number: int, asks: Callable[..., Any], models: Callable[[Sup], Any]
    ) -> None:
        sup = self.some_sup(number)
        if sup is None:
            return
        wanted, got = "", ""
        try:
            models(sup)
        except Refused as refused:
            wanted = str(refused)
        try:
            await asks(self.pids[sup.process])
        except supervision.ChildError as refused:
            got = type(refused).__name__
        assert got == wanted

    async def terminate(self, action: Do) -> None:
        await self._of_child(
            action,
            supervision.terminate_child,
            lambda sup, e: self.model.stop(sup, [e]),
        )

    async def restart(self, action: Do) -> None:
        await self._of_child(
            action, supervision.restart_child, self.model.restart_child
        )

    async def delete(self, action: Do) -> None:
        await self._of_child(action, supervision.delete_child, self.model.delete_child)

    async def _of_child(
        self,
        action: Do,
        asks: Callable[[Pid, str], Any],
        models: Callable[[Sup, Entry], Any],
    ) -> None:
        sup = self.some_sup(action.who)
        if sup is None:
            return
        if sup.entries:
            entry = self.model.find(sup, action.whom)
            id = entry.spec.id
            # Of several an id means the newest.
            entry = [each for each in sup.entries if each.spec.id == id][-1]
            await self.request(
                action.who, lambda pid: asks(pid, id), lambda sup: models(sup, entry)
            )
        else:
            with pytest.raises(supervision.ChildError):
                await asks(self.pids[sup.process], "nobody")

    async def start_dynamic(self, action: Do) -> None:
        sups = [sup for sup in self.model.sups if sup.process.alive]
        which = len(sups) - 1 - sups.index(self.model.dynamic)
        await self.start_child(attrs.evolve(action, who=which))

    async def start_child(self, action: Do) -> None:
        spec = real_spec(action.term)
        await self.request(
            action.who,
            lambda pid: supervision.start_child(pid, spec),
            lambda sup: self.model.start_child(sup, action.term),
        )


async def play(done: list[Do]) -> None:
    lab = ChildSpec("lab", supervision.DynamicSupervisor, type="supervisor")
    start = partial(supervision.DynamicSupervisor, max_children=MOST_CHILDREN)
    dynamic = ChildSpec("dynamic", start, type="supervisor")
    async with supervision.open_supervisor([lab, dynamic], max_restarts=1000) as root:
        both = Both(root)
        for action in done:
            await both.do(action)


def check(done: list[Do], seed: int) -> None:
    with Recorder.attached(), assert_no_leaks(memory=False):
        run(play, done, seed=seed)


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    derandomize="MODEL_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=CHECKS,
)
@given(actions(), st.integers(0, 9))
def test_supervision_does_what_the_model_does(done: list[Do], seed: int):
    check(done, seed)


# --- that it would notice


def one_restart_too_many(patch: pytest.MonkeyPatch) -> None:
    has_room = RestartWindow.has_room

    def has_more_room(window: Any, now: float) -> bool:
        return has_room(window, now) or len(window._times) == window.max_restarts

    patch.setattr(RestartWindow, "has_room", has_more_room)


def no_window(patch: pytest.MonkeyPatch) -> None:
    def has_room(window: Any, now: float) -> bool:
        return len(window._times) < window.max_restarts

    patch.setattr(RestartWindow, "has_room", has_room)


def all_is_rest(patch: pytest.MonkeyPatch) -> None:
    concerned = _supervisor.concerned
    instead: dict[Any, Any] = {"one_for_all": "rest_for_one"}
    patch.setattr(
        _supervisor,
        "concerned",
        lambda strategy, *args: concerned(instead.get(strategy, strategy), *args),
    )


def transient_is_permanent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_supervisor, "wants_restart", lambda kind, _: kind != "temporary")


def temporary_comes_back(patch: pytest.MonkeyPatch) -> None:
    async def stop_all(engine: Any, children: Any) -> None:
        for child in reversed(children):
            await engine.stop_child(child)

    patch.setattr(_supervisor.StaticEngine, "_stop_all", stop_all)


def stale_ends_count(patch: pytest.MonkeyPatch) -> None:
    handle = _supervisor.StaticEngine._handle_end

    async def handle_end(engine: Any, ended: Any) -> Any:
        if ended.process not in engine.by_process and engine.children():
            child = engine.children()[0]
            if child.process is not None:
                engine.by_process[ended.process] = child
                child.process = ended.process
        return await handle(engine, ended)

    patch.setattr(_supervisor.StaticEngine, "_handle_end", handle_end)


def any_for_all(patch: pytest.MonkeyPatch) -> None:
    ends = _supervisor.ends_supervisor
    patch.setattr(
        _supervisor,
        "ends_supervisor",
        lambda auto, **options: ends(
            "any_significant" if auto == "all_significant" else auto, **options
        ),
    )


def normal_ends_the_linked(patch: pytest.MonkeyPatch) -> None:
    def signal(process: Any, sender: Pid, reason: Any) -> None:
        if process.trapping:
            process.deliver(Exit(sender, reason))
        else:
            process.end(reason)

    patch.setattr(_life.Process, "signal", signal)


def kill_can_be_trapped(patch: pytest.MonkeyPatch) -> None:
    def kill(process: Any) -> None:
        process.signal(supervision.Pid(), KILLED)

    patch.setattr(_life.Process, "kill", kill)


def half_an_unlink(patch: pytest.MonkeyPatch) -> None:
    def unlink(pid: Pid) -> None:
        here = _life.current_process()
        here.links = {other for other in here.links or () if other.pid is not pid}

    patch.setattr(supervision, "unlink", unlink)


def demonitor_forgets_to(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(supervision, "demonitor", lambda ref: True)


def the_dead_are_not_told_of(patch: pytest.MonkeyPatch) -> None:
    monitor = supervision.monitor

    def watch(pid: Pid) -> Any:
        if supervision.is_alive(pid):
            return monitor(pid)
        return supervision.Ref(None, pid, None)

    patch.setattr(supervision, "monitor", watch)


def one_child_too_many(patch: pytest.MonkeyPatch) -> None:
    admit = _dynamic_supervisor.DynamicEngine._admit

    def admit_more(engine: Any, spec: ChildSpec, dest: Any) -> Any:
        engine._max_children = MOST_CHILDREN + 1
        return admit(engine, spec, dest)

    patch.setattr(_dynamic_supervisor.DynamicEngine, "_admit", admit_more)


def dynamic_restarts_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_dynamic_supervisor, "wants_restart", lambda kind, reason: True)


def an_id_means_the_oldest(patch: pytest.MonkeyPatch) -> None:
    def find(engine: Any, key: Any) -> Any:
        for child in engine.children():
            if key in (child.spec.id, child.pid):
                return child
        raise supervision.NotFound

    patch.setattr(_dynamic_supervisor.DynamicEngine, "find", find)


def leaving_once_is_leaving(patch: pytest.MonkeyPatch) -> None:
    leave = supervision.leave

    def leave_all(group: str) -> None:
        leave(group)
        while supervision.self_pid() in supervision.members(group):
            leave(group)

    patch.setattr(supervision, "leave", leave_all)


FAULTS = [
    one_restart_too_many,
    no_window,
    all_is_rest,
    transient_is_permanent,
    temporary_comes_back,
    stale_ends_count,
    any_for_all,
    normal_ends_the_linked,
    kill_can_be_trapped,
    half_an_unlink,
    demonitor_forgets_to,
    the_dead_are_not_told_of,
    one_child_too_many,
    dynamic_restarts_all,
    an_id_means_the_oldest,
    leaving_once_is_leaving,
]


class Found(Exception):
    """The model and the faulty supervision differ."""


@pytest.mark.slow
@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant, monkeypatch, leaks):
    leaks.ignore = True

    @settings(
        max_examples=20 * EXAMPLES,  # it ends with the first that shows it
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=CHECKS,
    )
    @given(actions(), st.integers(0, 9))
    def search(done: list[Do], seed: int) -> None:
        try:
            check(done, seed)
        except BaseException as error:
            raise Found from error

    with monkeypatch.context() as patch:
        plant(patch)
        with pytest.raises(Found):
            search()
