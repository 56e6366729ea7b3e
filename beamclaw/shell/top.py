"""What changes from second to second, for ``beamclaw top``.

A look goes through all processes, so the time between two of them grows with what one
takes: it never costs more than a small share of a core, however many processes there are.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw import machine
from beamclaw.config.redactor import Redactor, redactor
from beamclaw.contracts import names
from beamclaw.contracts.crashes import crashes
from beamclaw.contracts.shell import nested
from beamclaw.shell.request import (
    Method,
    Node,
    Params,
    Send,
    flag,
    number,
    text,
    whole,
)
from beamclaw.shell.show import restarts_of, show_crashes, show_process
from beamclaw.shell.slices import Ranking, Slices
from beamclaw.shell.weighing import FIRST, SHARE, Scales, show_memory
from beamclaw.values import frozen

_LONGEST: Final = 3_600.0
_MOST: Final = 1_000
_DEEP: Final = 6
# Seconds that pass for one in which the look itself worked.
_TIMES: Final = 50.0
# Seconds up to the first event, before which whoever waits for it sees nothing.
_SOON: Final = 0.2
KEYS: Final = ("rate", "mailbox", "restarts", "uptime", "memory")


@frozen
class Row:
    """One process at one look; *rate* is in messages per second since the one before.

    *held* is what it held when it was counted last.
    """

    info: supervision.ProcessInfo
    rate: float
    restarts: int
    held: supervision.Memory | None = None

    def matches(self, part: str) -> bool:
        """Whether *part*, in small letters, is one of what people call the process."""
        return part in (self.info.name or self.info.id).casefold()

    def value(self, key: str) -> float:
        """What rows are ranked by under *key*, largest first; the youngest for uptime."""
        match key:
            case "rate":
                return self.rate
            case "mailbox":
                return self.info.mailbox
            case "restarts":
                return self.restarts
            case "memory":
                return 0 if self.held is None else self.held.bytes
            case _:
                return self.info.started_at or 0.0


@attrs.define
class Seen:
    """What one look keeps of all processes, which come oldest first.

    Attributes:
        rates: Of those that have taken a message since the look before.
        by: For each key the first of those that have *match* in their name; of equal
            ones the older process.
        oldest: The first of them as they come, if there is a *match*.
    """

    by: Mapping[str, Ranking[Row]]
    match: str = ""
    oldest: Ranking[Row] = attrs.field(factory=lambda: Ranking[Row](0), kw_only=True)
    processes: int = 0
    matched: int = 0
    messages: int = 0
    rate: float = 0.0
    rates: dict[supervision.Pid | None, float] = attrs.field(
        factory=dict[supervision.Pid | None, float]
    )

    def add(self, row: Row) -> None:
        """One more process."""
        self.processes += 1
        self.messages += row.info.mailbox
        self.rate += row.rate
        if row.rate:
            self.rates[row.info.pid] = row.rate
        if not row.matches(self.match):
            return
        self.matched += 1
        for key, ranking in self.by.items():
            ranking.add(row, -row.value(key))
        if self.match:
            self.oldest.add(row)


@attrs.define
class Sampler:
    """Looks again and again, *most* rows by each key; what was counted makes rates.

    With *match* rows are those that have it in their name, in small letters; the
    *branches* oldest of them are for a tree.
    """

    most: int
    match: str = ""
    branches: int = 0
    at: float = 0.0
    counts: dict[supervision.Pid, int] = attrs.field(factory=dict[supervision.Pid, int])
    cpu: float = 0.0
    restarts: int = 0
    scales: Scales = attrs.field(factory=Scales)

    async def look(self, now: float, slices: Slices) -> Seen:
        """All processes, in turns with others."""
        passed = now - self.at if self.at else 0.0
        by = {key: Ranking[Row](self.most) for key in KEYS}
        seen = Seen(by, self.match, oldest=Ranking(self.branches))
        counts: dict[supervision.Pid, int] = {}
        known = crashes()
        for pid in supervision.processes():
            info = supervision.info(pid, depth=0)
            if info is not None:
                before = self.counts.get(pid, info.messages if passed else 0)
                rate = (info.messages - before) / passed if passed else 0.0
                counts[pid] = info.messages
                self.scales.see(info)
                begun = restarts_of(info, known.of(info.name))
                seen.add(Row(info, rate, begun, self.scales.of(info)))
            await slices.pause()
        self.at, self.counts = now, counts
        return seen

    def share(self, passed: float) -> float | None:
        """Of one core, what the node used since this was asked last."""
        now = time.process_time()
        before, self.cpu = self.cpu, now
        return (now - before) / passed if before and passed > 0 else None


async def top(node: Node, params: Params, send: Send) -> object:
    """An event every ``every`` seconds (1), or less often where there is much to see.

    ``totals``; ``by``: for each of rate, mailbox, restarts, uptime and memory its first
    ``rows`` (30) processes; with ``tree`` the tree as `look.tree` gives it, with rates
    and memory, which is null where nothing was counted yet, and the last ``crashes``.
    The first event comes sooner, and has the rates of that time. With ``once`` only one
    event, after a whole interval. ``match``: only processes that have it in their name,
    in either case, and in the tree those above them; ``matched`` of the totals is how
    many have.
    """
    every = number(params, "every", 1.0, least=0.1, most=_LONGEST)
    sampler = Sampler(
        whole(params, "rows", 30, most=_MOST) or 0,
        text(params, "match", "").casefold(),
        node.config.shell.live_processes,
    )
    once = flag(params, "once")
    sampler.share(0.0)
    await sampler.look(trio.current_time(), _slices(node))
    await sampler.scales.weigh(FIRST, _slices(node))
    wait = every if once else min(every, _SOON)
    while True:
        await trio.sleep(wait)
        slices, now = _slices(node), trio.current_time()
        passed = now - sampler.at
        seen = await sampler.look(now, slices)
        show = partial(
            _row, scales=sampler.scales, now=now, scrub=redactor(node.config)
        )
        event: dict[str, Any] = {
            "totals": _totals(sampler, seen, passed),
            "by": {
                key: [
                    await _soon(show(row.info, row.rate), slices)
                    for row in ranking.ranked()
                ]
                for key, ranking in seen.by.items()
            },
        }
        if flag(params, "tree"):
            event["crashes"] = show_crashes(now, redactor(node.config))
            event["tree"] = nested(
                [
                    await _soon(
                        {**show(info, seen.rates.get(info.pid, 0.0)), "above": above},
                        slices,
                    )
                    for above, info in _tree(node, seen)
                ]
            )
        wait = max(every, slices.over() * _TIMES)
        await send(event)
        if once:
            return True
        # Has its own time, which does not make the looks rarer.
        await sampler.scales.weigh(passed * SHARE, _slices(node))


def _slices(node: Node) -> Slices:
    return Slices(node.config.shell.slice_seconds)


async def _soon(row: dict[str, object], slices: Slices) -> dict[str, object]:
    await slices.pause()
    return row


def _totals(sampler: Sampler, seen: Seen, passed: float) -> dict[str, object]:
    late: Any = {}
    if supervision.whereis(names.WATCHDOG) is not None:
        late = supervision.state(names.WATCHDOG)
    root = supervision.tree(depth=0)
    return {
        "processes": seen.processes,
        "matched": seen.matched,
        "messages": seen.messages,
        "rate": seen.rate,
        "restarts": supervision.statistics().restarts,
        "crashes": crashes().count,
        "cpu": sampler.share(passed),
        "resident": machine.resident(),
        "lag": late.get("lag"),
        "worst_lag": late.get("worst"),
        "uptime": sampler.at - (root.started_at or sampler.at),
        "seconds": passed,
    }


def _row(
    info: supervision.ProcessInfo,
    rate: float,
    *,
    scales: Scales,
    now: float,
    scrub: Redactor,
) -> dict[str, object]:
    return {
        **show_process(info, now, scrub),
        "rate": rate,
        "memory": show_memory(scales.of(info)),
    }


def _tree(
    node: Node, seen: Seen
) -> Iterable[tuple[int | None, supervision.ProcessInfo]]:
    limits = node.config.shell
    if seen.match:
        found = (row.info for row in seen.oldest.ranked())
        return islice(branches(found), limits.live_processes)
    walking = supervision.walk(depth=_DEEP, most=limits.children)
    return islice(walking, limits.live_processes)


def branches(
    found: Iterable[supervision.ProcessInfo],
) -> Iterator[tuple[int | None, supervision.ProcessInfo]]:
    """The tree of *found* and of those above them, as `supervision.walk` has one.

    Whoever is below nobody in the tree is left out; of the others nothing is hidden.
    """
    root = supervision.tree(depth=0)
    places = {root.pid: 0}
    yield None, attrs.evolve(root, hidden=0)
    for info in found:
        chain, at = list[supervision.ProcessInfo](), info
        while at is not None and at.pid not in places:
            chain.append(at)
            at = None if at.parent is None else supervision.info(at.parent, depth=0)
        if at is None:
            continue
        above = places[at.pid]
        for each in reversed(chain):
            yield above, attrs.evolve(each, hidden=0)
            above = places[each.pid] = len(places)


TOP: Final[Mapping[str, Method]] = {"look.top": top}
