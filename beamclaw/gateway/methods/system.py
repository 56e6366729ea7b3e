"""The machine, the node's log, and what goes on beside conversations."""

import os
import platform
import shutil
from functools import partial
from typing import Annotated, Any, Final, Literal

import trio

import supervision
from beamclaw.arguments import Range
from beamclaw.contracts import gateway, names
from beamclaw.contracts.commands import StopCommand
from beamclaw.contracts.ledger_reads import ReadCommands, ReadSessions
from beamclaw.contracts.ledger_rows import CommandRow, SessionRow
from beamclaw.contracts.logs import NAME as LOG
from beamclaw.contracts.logs import ReadLog
from beamclaw.contracts.sessions import abort
from beamclaw.gateway.auth.scopes import ADMIN, QUESTIONS, READ, WRITE
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.approvals import ms, visible
from beamclaw.gateway.methods._method import Context, NoParams, Text, Whole, method
from beamclaw.gateway.methods.health import uptime_ms
from beamclaw.values import frozen

# Sessions that are looked through for work in progress, the latest first.
MOST_SESSIONS: Final = 1_000
TaskStatus = Literal[
    "queued", "running", "completed", "failed", "cancelled", "timed_out"
]


@frozen(kw_only=True)
class TailParams:
    """Lines behind *cursor*, else the last."""

    cursor: Whole | None = None
    limit: Annotated[int, Range(1, 5_000)] = 500
    max_bytes: Annotated[int, Range(1, 1_000_000)] = 250_000


@frozen(kw_only=True)
class TasksParams:
    """Of one agent or session, or of a status."""

    status: TaskStatus | tuple[TaskStatus, ...] | None = None
    agent_id: Text | None = None
    session_key: Text | None = None
    limit: Annotated[int, Range(1, 500)] = 100
    cursor: str | None = None
    # Sent by the Control UI, although it is in no published schema. All that is listed
    # is in progress, so no end is there to sort by.
    sort_by: str | None = None


@method("system.info", scope=READ)
async def info(context: Context, params: NoParams) -> object:
    """The machine that the node runs on."""
    await trio.lowlevel.checkpoint()
    node, machine = context.node, os.uname()
    address = gateway.address()
    # A name and a path of the machine are for who administers it.
    owner = context.principal.may(ADMIN)
    host = machine.nodename if owner else "beamclaw"
    found: dict[str, Any] = {
        "machineName": host,
        "hostname": host,
        "platform": machine.sysname.lower(),
        "release": machine.release,
        "arch": machine.machine,
        "osLabel": f"{machine.sysname} {machine.release}",
        # OpenClaw names here what runs it.
        "nodeVersion": f"python {platform.python_version()}",
        "pid": os.getpid(),
        "processInstanceId": node.hall.boot_id or "0",
        "uptimeMs": uptime_ms(node),
        "cpuCount": os.cpu_count() or 1,
        "loadAverage": list(os.getloadavg()),
        **_memory(),
    }
    if address is not None:
        found["port"] = address.port
    data = node.config.data
    if owner:
        # A disk may take its time; the loop has none.
        disk = await node.reader.run(partial(shutil.disk_usage, data))
        found |= {
            "diskTotalBytes": disk.total,
            "diskAvailableBytes": disk.free,
            "diskPath": str(data),
        }
    return found


def _memory() -> dict[str, int]:
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        "memoryTotalBytes": page * os.sysconf("SC_PHYS_PAGES"),
        "memoryFreeBytes": page * os.sysconf("SC_AVPHYS_PAGES"),
    }


@method("logs.tail", scope=READ, params=TailParams)
async def tail(context: Context, params: TailParams) -> object:
    """The last lines of the node's log, secrets left out."""
    request = ReadLog(cursor=params.cursor, lines=params.limit, size=params.max_bytes)
    read = await supervision.call(LOG, request)
    found: dict[str, Any] = {
        "file": "standard error",
        "cursor": read.cursor,
        "size": read.size,
        "lines": list(read.lines),
    }
    if read.skipped:
        found |= {"truncated": True, "skippedBytes": read.skipped}
    return found | ({"reset": True} if read.reset else {})


@method("tasks.list", scope=READ, params=TasksParams)
async def tasks(context: Context, params: TasksParams) -> object:
    """Commands that go on in the background, and sub-agents at work."""
    if not _wants_running(params.status):
        return {"tasks": []}
    wanted = [
        task
        for task in await _running(context)
        if params.agent_id in (None, task["agentId"])
        and params.session_key in (None, task["sessionKey"])
    ]
    return {"tasks": wanted[: params.limit]}


@frozen(kw_only=True)
class TaskParams:
    """Which task."""

    task_id: Text


@frozen(kw_only=True)
class CancelParams:
    """Which task, and why, in words."""

    task_id: Text
    reason: str = ""


@method("tasks.get", scope=READ, params=TaskParams)
async def task(context: Context, params: TaskParams) -> object:
    """One of them; what is over is in the conversations."""
    for each in await _running(context):
        if each["id"] == params.task_id:
            return {"task": each}
    raise invalid(f"no task {params.task_id[:100]!r} goes on", reason="task-not-found")


@method("tasks.cancel", scope=WRITE, params=CancelParams)
async def cancel(context: Context, params: CancelParams) -> object:
    """Stop one of them, a command with all that it has started."""
    found = [t for t in await _running(context) if t["id"] == params.task_id]
    if not found:
        return {"found": False, "cancelled": False, "reason": "nothing goes on"}
    chosen = found[0]
    if chosen["kind"] == "subagent":
        key = chosen["childSessionKey"]
        done = await abort(context.bus, context.tenant, key, chosen["id"])
    else:
        done = await _stop_command(context, chosen["id"])
    return {"found": True, "cancelled": done, "task": chosen}


async def _stop_command(context: Context, command: str) -> bool:
    name = names.command(context.tenant, command)
    try:
        return await context.bus.call(name, StopCommand())
    except supervision.CallFailed:
        return False  # it is over, and its process gone


async def _running(context: Context) -> list[dict[str, Any]]:
    ledger = names.of_tenant(context.tenant, "ledger")
    commands = await context.bus.call(ledger, ReadCommands())
    sessions = await context.bus.call(ledger, ReadSessions(MOST_SESSIONS))
    return [
        *(_command(row) for row in commands),
        *(_child(row) for row in sessions if row.parent and row.open_run),
    ]


def _wants_running(status: Any) -> bool:
    # What is over is in the conversations, and not listed here.
    given = (status,) if isinstance(status, str) else status
    return given is None or "running" in given


def _command(row: CommandRow) -> dict[str, Any]:
    return {
        "id": row.command_id,
        "kind": "exec",
        "runtime": "process",
        "status": "running",
        "title": visible(row.title)[:200],
        "agentId": row.agent,
        "sessionKey": row.session_key,
        "createdAt": ms(row.at),
        "startedAt": ms(row.at),
    }


def _child(row: SessionRow) -> dict[str, Any]:
    return {
        "id": row.open_run,
        "kind": "subagent",
        "runtime": "subagent",
        "status": "running",
        "title": visible(row.meta.label or row.key)[:200],
        "agentId": row.agent,
        "sessionKey": row.parent,
        "childSessionKey": row.key,
        "runId": row.open_run,
        "createdAt": ms(row.created_at),
        "updatedAt": ms(row.updated_at),
    }


@method("question.list", scope=QUESTIONS)
async def questions(context: Context, params: NoParams) -> object:
    """Questions with several answers to choose from: no tool here asks any."""
    await trio.lowlevel.checkpoint()
    return {"questions": []}


METHODS: Final = (
    info,
    tail,
    tasks,
    task,
    cancel,
    questions,
)
