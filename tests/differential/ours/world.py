"""One scenario that is being played: who there is, and what has happened."""

from collections import Counter
from typing import Any

import trio

import supervision
from supervision import Pid, Ref, Timer
from supervision._process import Process, notify_end

from .words import Ctl, OnPurpose, Tag, logical


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
        self.requests: dict[tuple[str, Pid], supervision.RequestId[Any]] = {}
        self.collections: dict[Pid, supervision.RequestIds[Any]] = {}
        self.timers: dict[tuple[str, Pid], Timer] = {}
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
            case supervision.TimedOut(timer, Tag(number)):
                labels = (key[0] for key, one in self.timers.items() if one is timer)
                return ("timeout", next(labels), number)
            case _:
                return self.group_event(message)

    def group_event(self, message: Any) -> Any:
        match message:
            case supervision.GroupJoined():
                kind = "join"
            case supervision.GroupLeft():
                kind = "leave"
            case _:
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
