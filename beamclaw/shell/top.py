"""What changes from second to second, for ``beamclaw top``.

A look goes through all processes, so the time between two of them grows with what one
takes: it never costs more than a small share of a core, however many processes there are.
"""

import heapq
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw.config.redactor import Redactor, redactor
from beamclaw.contracts import names
from beamclaw.shell import growth
from beamclaw.shell.request import Method, Node, Params, Send, flag, number, whole
from beamclaw.shell.show import show_process
from beamclaw.values import frozen

# Processes that are looked at between two moments in which others run.
_AT_ONCE: Final = 250
_LONGEST: Final = 3_600.0
_MOST: Final = 1_000
_DEEP: Final = 6
# Seconds that pass for one in which the look itself worked.
_TIMES: Final = 50.0
KEYS: Final = ("rate", "mailbox", "restarts", "uptime")


@frozen
class Row:
    """One process at one look; *rate* is in messages per second since the one before."""

    info: supervision.ProcessInfo
    rate: float

    def value(self, key: str) -> float:
        """What rows are ranked by under *key*, largest first; the youngest for uptime."""
        match key:
            case "rate":
                return self.rate
            case "mailbox":
                return self.info.mailbox
            case "restarts":
                return self.info.restarts
            case _:
                return self.info.started_at or 0.0


def ranked(rows: Iterable[Row], key: str, most: int) -> list[Row]:
    """The first *most* rows under *key*; of equal ones the older process."""
    return heapq.nsmallest(
        most,
        rows,
        key=lambda row: (
            -row.value(key),
            0 if row.info.pid is None else row.info.pid.serial,
        ),
    )


@attrs.define
class Sampler:
    """Looks again and again; what was counted at the last look makes rates."""

    at: float = 0.0
    counts: dict[supervision.Pid, int] = attrs.field(factory=dict[supervision.Pid, int])
    cpu: float = 0.0
    restarts: int = 0

    async def look(self, now: float) -> tuple[list[Row], float]:
        """All processes, and the seconds that this took, in turns with others."""
        passed = now - self.at if self.at else 0.0
        rows: list[Row] = []
        counts: dict[supervision.Pid, int] = {}
        spent, begun = 0.0, time.perf_counter()
        for index, pid in enumerate(supervision.processes()):
            if index % _AT_ONCE == _AT_ONCE - 1:
                spent += time.perf_counter() - begun
                await trio.lowlevel.checkpoint()
                begun = time.perf_counter()
            info = supervision.info(pid, depth=0)
            if info is not None:
                before = self.counts.get(pid, info.messages if passed else 0)
                rate = (info.messages - before) / passed if passed else 0.0
                counts[pid] = info.messages
                rows.append(Row(info, rate))
        self.at, self.counts = now, counts
        return rows, spent + time.perf_counter() - begun

    def share(self, passed: float) -> float | None:
        """Of one core, what the node used since this was asked last."""
        now = time.process_time()
        before, self.cpu = self.cpu, now
        return (now - before) / passed if before and passed > 0 else None


async def top(node: Node, params: Params, send: Send) -> object:
    """An event every ``every`` seconds (1), or less often where there is much to see.

    ``totals``; ``by``: for each of rate, mailbox, restarts and uptime its first ``rows``
    (30) processes; with ``tree`` the tree as `look.tree` gives it, with rates. With
    ``once`` only one event, after a whole interval.
    """
    every = number(params, "every", 1.0, least=0.1, most=_LONGEST)
    most = whole(params, "rows", 30, most=_MOST) or 0
    sampler, scrub = Sampler(), redactor(node.config)
    _, spent = await sampler.look(trio.current_time())
    sampler.share(0.0)
    while True:
        await trio.sleep(max(every, spent * _TIMES))
        now = trio.current_time()
        passed = now - sampler.at
        rows, spent = await sampler.look(now)
        event = {
            "totals": _totals(sampler, rows, passed),
            "by": {
                key: [_row(row, now, scrub) for row in ranked(rows, key, most)]
                for key in KEYS
            },
        }
        if flag(params, "tree"):
            rates = {str(row.info.pid): row.rate for row in rows if row.rate}
            event["tree"] = _with_rates(_tree(node, now, scrub), rates)
        await send(event)
        if flag(params, "once"):
            return True


def _totals(sampler: Sampler, rows: list[Row], passed: float) -> dict[str, object]:
    seen: Any = {}
    if supervision.whereis(names.WATCHDOG) is not None:
        seen = supervision.state(names.WATCHDOG)
    root = supervision.tree(depth=0)
    return {
        "processes": len(rows),
        "messages": sum(row.info.mailbox for row in rows),
        "rate": sum(row.rate for row in rows),
        "restarts": supervision.statistics().restarts,
        "cpu": sampler.share(passed),
        "resident": growth.resident(),
        "lag": seen.get("lag"),
        "worst_lag": seen.get("worst"),
        "uptime": sampler.at - (root.started_at or sampler.at),
        "seconds": passed,
    }


def _row(row: Row, now: float, scrub: Redactor) -> dict[str, object]:
    shown = show_process(row.info, now, scrub)
    del shown["children"]
    return {**shown, "rate": row.rate}


def _tree(node: Node, now: float, scrub: Redactor) -> dict[str, Any]:
    found = supervision.tree(depth=_DEEP, most=node.config.shell.children)
    return show_process(found, now, scrub)


def _with_rates(process: dict[str, Any], rates: Mapping[str, float]) -> dict[str, Any]:
    process["rate"] = rates.get(process["pid"], 0.0)
    for child in process["children"]:
        _with_rates(child, rates)
    return process


TOP: Final[Mapping[str, Method]] = {"look.top": top}
