"""What a person can see of a node that runs. Nothing here waits in anybody's mailbox.

What is shown of a process is bounded in number and size, and goes through the redactor.
A command of an agent may see that a process is there and how it stands, but not what is
in it: that is the words of every conversation.
"""
# ruff: noqa: ARG001 -- all methods have one signature

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any, Final

import trio

import supervision
from beamclaw import machine
from beamclaw.config.redactor import redactor
from beamclaw.contracts import keys, names
from beamclaw.contracts.journal import UnreadableEventError
from beamclaw.contracts.ledger_reads import ReadJournal, ReadRun
from beamclaw.contracts.limits import GetLimits
from beamclaw.contracts.names import DEFAULT_TENANT
from beamclaw.contracts.providers import GetPermits
from beamclaw.shell import deeds, growth
from beamclaw.shell.finding import ROOT, name_of, wanted
from beamclaw.shell.request import (
    Failed,
    Method,
    Node,
    Params,
    Send,
    flag,
    in_words,
    text,
    whole,
)
from beamclaw.shell.show import show_process, show_value
from beamclaw.shell.slices import Ranking, Slices
from beamclaw.shell.values import Shower
from beamclaw.shell.waterfall import last_run, shown, waterfall
from beamclaw.shell.weighing import show_memory, weighed

_DEEPEST: Final = 100
_MOST_CHILDREN: Final = 100_000
_MOST_PROCESSES: Final = 1_000_000
# Processes in one event of a tree.
_ROWS: Final = 200
_MOST_MESSAGES: Final = 1_000
_MOST_SESSIONS: Final = 1_000
# Sessions that are looked at at all.
_LOOKED_AT: Final = 20_000
PATIENCE: Final = 1.0


def shower(node: Node) -> Shower:
    """Shows values as the configuration says."""
    limits = node.config.shell
    return Shower(
        redactor=redactor(node.config),
        items=limits.items,
        text=limits.text,
        depth=limits.depth,
    )


def of_person(node: Node, what: str) -> None:
    """Refuse a command of an agent.

    Raises:
        Failed: It is one.
    """
    if node.inner:
        raise Failed(
            "forbidden",
            f"a command of an agent {what}; a person does, at a terminal of their own",
        )


async def tree(node: Node, params: Params, send: Send) -> object:
    """The processes below ``root``, ``depth`` levels of them, the upper levels first.

    Of one supervisor ``most`` children (``shell.children``), in all ``limit`` processes
    (``shell.processes``). An event has some ``rows``; ``above`` is the number, in all
    rows, of the process above, and ``hidden`` counts children. The result: how many were
    ``shown``, and whether there were more, so that it was ``cut``.

    It is no single moment, see `supervision.walk`.
    """
    await trio.lowlevel.checkpoint()
    limits = node.config.shell
    limit = whole(params, "limit", limits.processes, most=_MOST_PROCESSES) or 1
    walking = supervision.walk(
        await wanted(node, params, "root", ROOT),
        depth=whole(params, "depth", None, most=_DEEPEST),
        most=whole(params, "most", limits.children, most=_MOST_CHILDREN),
    )
    now, scrub = trio.current_time(), redactor(node.config)
    slices, shown = Slices(limits.slice_seconds), 0
    rows: list[dict[str, Any]] = []
    for above, found in islice(walking, limit):
        rows.append({**show_process(found, now, scrub), "above": above})
        if len(rows) == _ROWS:
            # No more than these is in memory, however slowly they are taken.
            await send({"rows": rows})
            shown, rows = shown + len(rows), []
        await slices.pause()
    await send({"rows": rows})
    return {"shown": shown + len(rows), "cut": next(walking, None) is not None}


async def info(node: Node, params: Params, send: Send) -> object:
    """How ``process`` stands, who has started it, and what it holds in memory."""
    await trio.lowlevel.checkpoint()
    pid = await wanted(node, params)
    held = await weighed(pid, Slices(node.config.shell.slice_seconds))
    found = supervision.info(pid, depth=0)
    shown = _process(node, found)
    parent = None if found is None or found.parent is None else found.parent
    above = None if parent is None else supervision.info(parent, depth=0)
    return {
        **shown,
        "parent": None if above is None else name_of(above),
        "dropped": 0 if found is None else found.dropped,
        "waits": _innermost(found),
        "memory": show_memory(held),
        "children": [],
    }


def _process(node: Node, found: supervision.ProcessInfo | None) -> dict[str, Any]:
    if found is None:
        raise Failed("noprocess", "it has ended in this moment")
    return show_process(found, trio.current_time(), redactor(node.config))


async def state(node: Node, params: Params, send: Send) -> object:
    """What ``process`` says of itself: the names and values of its state."""
    with deeds.look(node, "state", params):
        of_person(node, "sees no state")
        await trio.lowlevel.checkpoint()
        return await _state(node, params)


async def _state(node: Node, params: Params) -> object:
    pid, show = await wanted(node, params), shower(node)
    try:
        found = supervision.state(pid, show=show)
    except supervision.NoProcess as error:
        raise Failed("noprocess", str(error)) from None
    except Exception as error:
        # `describe` is code of whoever has written the process.
        raise Failed("refused", f"it fails to say: {show.words(error)}") from error
    return {
        "pid": str(pid),
        "fields": {show.words(name): show(value) for name, value in found.items()},
    }


async def mailbox(node: Node, params: Params, send: Send) -> object:
    """The messages that wait for ``process``, oldest first, ``most`` of them."""
    with deeds.look(node, "mailbox", params):
        of_person(node, "reads no mailbox")
        await trio.lowlevel.checkpoint()
        return await _mailbox(node, params)


async def _mailbox(node: Node, params: Params) -> object:
    pid, show = await wanted(node, params), shower(node)
    most = whole(params, "most", node.config.shell.items, most=_MOST_MESSAGES)
    found = supervision.info(pid, depth=0)
    with in_words():
        waiting = supervision.messages(pid, most)
    slices = Slices(node.config.shell.slice_seconds)
    return {
        "pid": str(pid),
        "waiting": 0 if found is None else found.mailbox,
        "messages": [each async for each in _shown(waiting, show, slices)],
    }


async def _shown(
    waiting: Iterable[object], show: Shower, slices: Slices
) -> AsyncIterator[Mapping[str, object]]:
    for message in waiting:
        yield _message(message, show)
        await slices.pause()


def _message(message: object, show: Shower) -> Mapping[str, object]:
    match message:
        case supervision.From():
            caller = (
                None if message.pid is None else supervision.info(message.pid, depth=0)
            )
            who = None if caller is None else name_of(caller)
            return {"kind": "call", "message": show(message.request), "from": who}
        case supervision.Cast():
            return {"kind": "cast", "message": show(message.message), "from": None}
        case _:
            return {"kind": "info", "message": show(message), "from": None}


async def waiting(node: Node, params: Params, send: Send) -> object:
    """Where ``process`` stands: its stack, outermost first."""
    await trio.lowlevel.checkpoint()
    pid = await wanted(node, params)
    found = supervision.info(pid, depth=0)
    with in_words():
        stack = supervision.wait_point(pid)
        # A session says what it waits for without standing still; nothing else is shown.
        said = supervision.state(pid, show=lambda _: None)
    return {
        "pid": str(pid),
        "status": "ended" if found is None else found.status,
        "suspended": found is not None and found.suspended,
        "mailbox": 0 if found is None else found.mailbox,
        "stack": [point(line) for line in stack],
        "for": said.get("preparing"),
    }


def point(line: str) -> Mapping[str, object]:
    """``file:line function`` in its parts; the file as one imports it."""
    place, _, function = line.rpartition(" ")
    file, _, number = place.rpartition(":")
    return {"file": _short(file), "line": int(number or 0), "function": function}


def _short(file: str) -> str:
    for mark in ("/site-packages/", "/dist-packages/", "/lib/python"):
        _, found, rest = file.rpartition(mark)
        if found:
            return rest
    for package in ("beamclaw", "supervision"):
        _, found, rest = file.rpartition(f"/{package}/")
        if found:
            return f"{package}/{rest}"
    return file


def _innermost(found: supervision.ProcessInfo | None) -> str | None:
    """The last place in code of ours where it stands, and none in a library."""
    if found is None or found.pid is None or found.status == "waiting":
        return None
    try:
        stack = [point(line) for line in supervision.wait_point(found.pid)]
    except supervision.NoProcess:
        return None
    ours = [each for each in stack if str(each["file"]).startswith("beamclaw/")]
    last = (ours or stack)[-1:]
    return "".join(f"{at['file']}:{at['line']} {at['function']}" for at in last) or None


async def sessions(node: Node, params: Params, send: Send) -> object:
    """The sessions that are awake; those that may be stuck first, ``most`` of them.

    With ``busy`` only those that have something to do: a turn, or messages that wait;
    the one whose turn stands longest first. ``found`` is how many there are of these.
    """
    most = whole(params, "most", 50, most=_MOST_SESSIONS) or 0
    busy = flag(params, "busy")
    pids = supervision.members(names.of_tenant(DEFAULT_TENANT, "awake"))
    slices, now = Slices(node.config.shell.slice_seconds), node.outside.wall()
    first, count = Ranking[dict[str, Any]](most), 0
    for pid in islice(pids, _LOOKED_AT):
        found = supervision.info(pid, depth=0)
        row = None if found is None else _session(found, now)
        if row is not None and (not busy or _has_work(row)):
            count += 1
            last = -(row["seconds"] or 0.0) if busy else row["uptime"]
            first.add(row, not row["stuck"], -row["mailbox"], last)
        await slices.pause()
    return {"awake": len(pids), "found": count, "sessions": list(first.ranked())}


def _has_work(row: Mapping[str, Any]) -> bool:
    return any(
        row[what] for what in ("stuck", "mailbox", "running", "pending", "waits")
    )


def _session(found: supervision.ProcessInfo, now: float) -> dict[str, Any]:
    prefix = names.session(DEFAULT_TENANT, "")
    assert found.pid is not None
    said: Mapping[str, Any] = supervision.state(found.pid)
    started, since = found.started_at or 0.0, said.get("since")
    return {
        "key": (found.name or found.id).removeprefix(prefix),
        "name": found.name,
        "pid": str(found.pid),
        "status": "suspended" if found.suspended else found.status,
        "mailbox": found.mailbox,
        "pending": said.get("pending", 0),
        "run": said.get("run"),
        "running": said.get("running", False),
        "uptime": trio.current_time() - started,
        # For how long its turn stands where it does.
        "seconds": None if since is None else max(0.0, now - since),
        "waits": _innermost(found) or said.get("preparing") or said.get("waits_for"),
        # Messages wait and it takes none: it is suspended, or inside a callback.
        "stuck": found.suspended or (found.mailbox > 0 and found.status == "running"),
    }


async def turn(node: Node, params: Params, send: Send) -> object:
    """Where the time of a turn of ``session`` went: of ``run``, else of the last one."""
    of_person(node, "sees no turn")
    with in_words():
        key = str(keys.resolve(text(params, "session", "main"), "main"))
        ledger = names.of_tenant(DEFAULT_TENANT, "ledger")
        events = await node.bus.call(ledger, ReadJournal(key))
        run_id = text(params, "run", "") or last_run(events)
        if run_id is None:
            raise Failed("refused", f"there has been no turn in {key}")
        row = await node.bus.call(ledger, ReadRun(run_id))
    if row is None or row.session_key != key:
        raise Failed("refused", f"there is no turn {run_id} in {key}")
    try:
        found = waterfall(run_id, events, row.queued_at)
    except UnreadableEventError as error:
        raise Failed("refused", str(error)) from None
    scrub = redactor(node.config).scrub
    drawn = shown(found, node.outside.wall())
    spans = [{**span, "what": scrub(str(span["what"]))} for span in drawn["spans"]]
    return {"session": key, **drawn, "spans": spans}


async def limits(node: Node, params: Params, send: Send) -> object:
    """How the caps, and the permits of each provider, stand."""
    permits = {
        names.of_key(name, key): await _ask(
            node, names.permits(name, key), GetPermits()
        )
        for name, provider in node.config.providers.items()
        for key in range(provider.key_count)
    }
    caps = await _ask(node, names.of_tenant(DEFAULT_TENANT, "limits"), GetLimits())
    return {"limits": caps, "providers": permits}


async def _ask(node: Node, endpoint: str, request: supervision.Call[Any]) -> object:
    try:
        return show_value(await node.bus.call(endpoint, request, timeout=PATIENCE))
    except supervision.CallFailed as error:
        return {"unavailable": redactor(node.config).scrub(str(error))}


async def slow(node: Node, params: Params, send: Send) -> object:
    """Who held up the loop, the one that took most time first."""
    await trio.lowlevel.checkpoint()
    if supervision.whereis(names.WATCHDOG) is None:
        raise Failed("unavailable", "there is no watchdog at the moment; ask again")
    seen: Any = supervision.state(names.WATCHDOG)
    now, scrub = trio.current_time(), redactor(node.config).scrub
    return {
        "lag": seen["lag"],
        "worst": seen["worst"],
        "lags": seen["lags"],
        "threshold": seen["threshold"],
        "culprits": [
            {
                **row,
                "who": scrub(row["who"]),
                "stack": [point(line) for line in row["stack"]],
            }
            for row in culprits(seen["recent"], now)
        ],
    }


def culprits(lags: Iterable[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """What was seen of each that held up the loop, most seconds in all first."""
    found: dict[str, dict[str, Any]] = {}
    for lag in lags:
        who = lag["name"] or lag["id"] or lag["task"] or "no process"
        row = found.setdefault(
            who, {"who": who, "times": 0, "seconds": 0.0, "worst": 0.0}
        )
        row["times"] += 1
        row["seconds"] += lag["seconds"]
        row["worst"] = max(row["worst"], lag["seconds"])
        row["ago"] = now - lag["at"]
        row["stack"] = lag["stack"]
    return sorted(found.values(), key=lambda row: -row["seconds"])


async def leaks(node: Node, params: Params, send: Send) -> object:
    """What there is in memory, and what has grown; ``mark``: count from now on."""
    of_person(node, "marks nothing")
    mark = flag(params, "mark")
    objects, resident, descriptors = await node.outside.worker().run(_counted)
    figures = supervision.statistics()
    now = growth.Count(
        at=trio.current_time(),
        objects=objects,
        processes=figures.processes,
        messages=figures.messages,
        resident=resident,
        descriptors=descriptors,
    )
    found = growth.grown(now, node.marks.last)
    if mark:
        node.marks.last = now
    return {**found, "marked": mark}


def _counted() -> tuple[dict[str, int], int | None, int | None]:
    return growth.objects(), machine.resident(), machine.descriptors()


LOOKING: Final[Mapping[str, Method]] = {
    "look.tree": tree,
    "look.info": info,
    "look.state": state,
    "look.mailbox": mailbox,
    "look.waiting": waiting,
    "look.sessions": sessions,
    "look.turn": turn,
    "look.limits": limits,
    "look.slow": slow,
    "look.leaks": leaks,
}
