"""Items A to C, K: processes, links, signals, monitors, mailboxes, names, groups."""

from collections import Counter
from typing import Any

from tests.differential.scenario import Scenario, Trace

# A process about which nothing is known (yet).
NOBODY = (False, [], "none", [], [])


class Reader:
    """Goes through a trace, with what is known of plain processes before each step."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.known: dict[str, Any] = {}
        self.blocked: dict[str, Any] = {}
        self.labels: dict[str, bool] = {}
        # Pairs that are not linked any more, although both live.
        self.unlinked: set[frozenset[str]] = set()
        self.held: dict[str, str] = {}
        self.free: set[str] = set()
        self.joined: Counter[tuple[str, str]] = Counter()
        self.left: set[tuple[str, str]] = set()

    def item(self, number: int, what: str = "") -> None:
        self.counts[f"item {number}{': ' if what else ''}{what}"] += 1

    def step(self, action: Any, events: list[Any]) -> None:
        before = dict(self.known)
        for event in events:
            if event[0] == "state":
                self.known[event[1]] = event[2]
        ended = {event[1]: event[2] for event in events if event[0] == "ended"}
        self.ends(before, ended)
        match action:
            case ("cmd", here, commands):
                self.commands(before, ended, here, commands, events)
            case _:
                pass
        for name in [name for name in self.blocked if name in ended]:
            del self.blocked[name]
        for event in events:
            if event[0] == "did" and event[1] in self.blocked:
                self.received(before, event[1], self.blocked.pop(event[1]), event[2])
        self.names(before)

    def before_of(self, before: dict[str, Any], name: str) -> Any:
        found = before.get(name, NOBODY)
        return NOBODY if found == "dead" else found

    def now(self, name: str) -> Any:
        return self.before_of(self.known, name)

    # --- deaths

    def ends(self, before: dict[str, Any], ended: dict[str, Any]) -> None:
        for name, reason in ended.items():
            if name not in before and self.known.get(name) != "dead":
                continue  # no plain process
            self.item(1)
            if reason == "kill":
                self.item(6)
            if name in self.blocked:
                self.item(12)
            for other in self.before_of(before, name)[1]:
                if other in before and other != name:
                    self.linked(before, ended, name, other)
            for pair in [pair for pair in self.unlinked if name in pair]:
                self.unlinked.discard(pair)
                (other,) = pair - {name}
                if reason != "normal" and other not in ended:
                    self.item(9, "unlinked in time")
            for group in [key for key in self.joined if key[1] == name]:
                del self.joined[group]
                self.left.add(group)
        for watcher, state in self.known.items():
            if state != "dead":
                self.told(before, ended, watcher)

    def linked(
        self, before: dict[str, Any], ended: dict[str, Any], name: str, other: str
    ) -> None:
        reason = ended[name]
        if self.before_of(before, other)[0]:
            if ("exit", name, reason) in self.now(other)[4]:
                self.item(4)
        elif reason == "normal":
            if other not in ended:
                self.item(3, "normal is ignored")
        elif ended.get(other) == reason:
            self.item(3, "another reason spreads")

    def told(self, before: dict[str, Any], ended: dict[str, Any], watcher: str) -> None:
        trapping, *_, others = self.now(watcher)
        fresh = list(others)
        for one in self.before_of(before, watcher)[4]:
            if one in fresh:
                fresh.remove(one)
        downs = [one for one in fresh if one[0] == "down"]
        for _, _, whom, reason in downs:
            if reason == "noproc":
                self.item(15, "dead already")
            elif ended.get(whom) == reason:
                self.item(15, "dies later")
                if not trapping:
                    self.item(17)
            if whom in ("n1", "n2", "n3"):
                self.item(18)
        if len({one[1] for one in downs}) > len({one[2] for one in downs}):
            self.item(14)
        for one in fresh:
            if one[0] in ("join", "leave"):
                self.item(92, f"told of a {one[0]}")
            if one[0] == "timeout":
                self.item(23, "a timer")

    # --- commands

    def commands(
        self,
        before: dict[str, Any],
        ended: dict[str, Any],
        here: str,
        commands: list[Any],
        events: list[Any],
    ) -> None:
        if here in self.blocked or before.get(here, "dead") == "dead":
            return
        dids = [e[2] for e in events if e[0] == "did" and e[1] == here]
        if len(dids) < len(commands) and here not in ended:
            waiting = commands[len(dids)]
            if waiting[0] in ("recv", "call", "receive_response", "receive_any"):
                self.blocked[here] = waiting
        for command, did in zip(commands, dids, strict=False):
            if command[0] == "recv":
                self.received(before, here, command, did)
        if len(commands) == 1:
            did = dids[0] if dids else None
            self.command(before, ended, here, commands[0], did)

    def command(
        self,
        before: dict[str, Any],
        ended: dict[str, Any],
        here: str,
        command: Any,
        did: Any,
    ) -> None:
        mine = self.before_of(before, here)
        match command:
            case ("link", whom):
                self.link(before, here, whom, did)
            case ("exit", whom, reason) if did is True or here in ended:
                self.signal(before, ended, here, whom, reason)
            case ("unlink", whom, flush):
                was = [one for one in mine[4] if one[:2] == ("exit", whom)]
                now = [one for one in self.now(here)[4] if one[:2] == ("exit", whom)]
                if flush and len(now) < len(was):
                    self.item(9, "and flushed")
                if whom in mine[1]:
                    self.unlinked.add(frozenset((here, whom)))
            case ("spawn", name, how, _) if name in ended:
                self.spawned(ended, here, name, how)
            case ("trap", False) if did is True:
                if any(one[0] == "exit" for one in self.now(here)[4]):
                    self.item(11)
            case ("send", whom, _) if before.get(whom) == "dead":
                self.item(13, "to the dead")
            case ("send_name", *_) if did == "badarg":
                self.item(13, "to an unknown name")
            case ("demonitor", label, flush) if did is True:
                self.demonitored(mine, here, label, flush=flush)
            case ("register", _, name):
                if did == "badarg" and name in self.held.values():
                    self.item(88, "taken")
                elif did is True:
                    self.item(88, "registered")
                    if name in self.free:
                        self.item(89, "free again")
            case ("whereis", name) if name in self.free and did == "undefined":
                self.item(89, "free again")
            case _:
                self.group(command, did)

    def link(self, before: dict[str, Any], here: str, whom: str, did: Any) -> None:
        trapping, links, *_ = self.before_of(before, here)
        if did is True and whom in (here, *links):
            self.item(2, "itself" if whom == here else "again")
        if before.get(whom) == "dead":
            if did == "noproc":
                self.item(8, "raises")
            elif trapping and ("exit", whom, "noproc") in self.now(here)[4]:
                self.item(8, "is told")
        if did is True:
            self.unlinked.discard(frozenset((here, whom)))

    def signal(
        self,
        before: dict[str, Any],
        ended: dict[str, Any],
        here: str,
        whom: str,
        reason: Any,
    ) -> None:
        if before.get(whom, "dead") == "dead":
            return
        trapping = self.before_of(before, whom)[0]
        if reason == "kill" and ended.get(whom) == "killed":
            self.item(5, "of one that traps" if trapping else "of one that does not")
        if reason != "normal":
            return
        if whom == here:
            if not trapping and ended.get(whom) == "normal":
                self.item(7, "to itself")
        elif trapping and ("exit", here, "normal") in self.now(whom)[4]:
            self.item(7, "to one that traps")
        elif not trapping and whom not in ended:
            self.item(7, "to one that does not")

    def spawned(self, ended: dict[str, Any], here: str, name: str, how: Any) -> None:
        others = self.now(here)[4]
        if how == "link" and (
            ended.get(here) == ended[name] or ("exit", name, ended[name]) in others
        ):
            self.item(10, "linked")
        if how[0] == "monitor" and any(one[2:3] == (name,) for one in others):
            self.item(10, "monitored")

    def demonitored(self, mine: Any, here: str, label: str, *, flush: bool) -> None:
        def queued(others: list[Any]) -> bool:
            return any(one[:2] == ("down", label) for one in others)

        if queued(mine[4]):
            stays = queued(self.now(here)[4])
            self.item(16, "it stays" if stays else "it is flushed")
        elif label in self.labels:
            self.item(16, "again")
        else:
            self.item(16, "in time")
        self.labels[label] = flush

    def received(
        self, before: dict[str, Any], here: str, command: Any, did: Any
    ) -> None:
        if command[0] != "recv":
            return
        _, (anything, *numbers), whom, label, timeout = command
        *_, tags, others = self.before_of(before, here)
        if did == "timeout":
            self.item(23, "looks once" if timeout == 0 else "waits")
            if tags or others:
                self.item(23, "and loses nothing")
            return
        mine = [one for one in tags if anything or one[1] in numbers]
        if did in tags and did != tags[0] and not anything:
            self.item(22)
        also = [one for one in others if one[1] in (whom, label)]
        if mine and also:
            self.item(21)
        if len(tags) + len(others) > 5:
            self.item(24)

    # --- names and groups

    def names(self, before: dict[str, Any]) -> None:
        for name, state in self.known.items():
            was = self.before_of(before, name)[2]
            if was == "none":
                continue
            if state == "dead" and before.get(name) != "dead":
                self.free.add(was)
        self.held = {
            name: state[2]
            for name, state in self.known.items()
            if state != "dead" and state[2] != "none"
        }
        self.free -= set(self.held.values())

    def group(self, command: Any, did: Any) -> None:
        match command:
            case ("join", whom, group) if did == "ok":
                self.joined[group, whom] += 1
                self.left.discard((group, whom))
                if self.joined[group, whom] > 1:
                    self.item(92, "joined again")
            case ("leave", whom, group):
                if did == "ok":
                    self.joined[group, whom] -= 1
                    self.item(92, "left")
                elif did == "not_joined":
                    self.item(92, "not a member")
            case ("members", group):
                if len(set(did)) < len(did):
                    self.item(92, "a member twice")
                if any(key[0] == group for key in self.left):
                    self.item(92, "gone with the process")
            case _:
                pass


def read(scenario: Scenario, trace: Trace, counts: Counter[str]) -> None:
    """Count what *trace* shows of plain processes."""
    if scenario.family not in ("processes", "groups"):
        return
    reader = Reader(counts)
    for action, events in zip(("setup", *scenario.steps), trace, strict=False):
        reader.step(action, events)
