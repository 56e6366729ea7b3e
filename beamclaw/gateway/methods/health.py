"""How the node stands: ``health``, ``status``, ``system-presence``."""

import os
from collections.abc import Mapping
from typing import Any, Final

import trio

import supervision
from beamclaw.contracts import names
from beamclaw.contracts.sessions import GetSessionsStatus, SessionsStatus
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.methods._method import Context, NoParams, method
from beamclaw.gateway.methods._node import Node
from beamclaw.values import frozen

# Seconds that is waited for a part before it is left out.
PATIENCE: Final = 1.0


@frozen(kw_only=True)
class HealthParams:
    """Clients may ask for a closer look, and for what is not theirs to see."""

    probe: bool = False
    include_sensitive: bool = False


@method("health", scope=READ, params=HealthParams)
async def health(context: Context, params: HealthParams) -> object:
    """Whether the node is well, and its agents."""
    began = trio.current_time()
    figures = await _sessions(context)
    taken = round((trio.current_time() - began) * 1000)
    found = shape(
        context.node, context.now_ms, sessions=_awake(figures), duration_ms=taken
    )
    context.node.hall.set_health(found)
    return found


@method("status", scope=READ)
async def status(context: Context, params: NoParams) -> object:
    """Figures of the node, its sessions and its process."""
    node = context.node
    figures = await _sessions(context)
    return {
        "runtimeVersion": node.version(),
        "pid": os.getpid(),
        "uptimeMs": uptime_ms(node),
        "heartbeat": {
            "defaultAgentId": node.agents.default,
            "agents": [_heartbeat_of(agent) for agent in node.agents.ids],
        },
        "channelSummary": [],
        "queuedSystemEvents": [],
        "tasks": {"total": 0, "active": 0 if figures is None else figures.running},
        "sessions": {
            "count": _awake(figures),
            "recent": [],
            "defaults": {"model": None, "contextTokens": None},
            "byAgent": [],
        },
        "gateway": node.hall.statistics() | {"connections": node.floor.connections},
    }


@method("system-presence", scope=READ)
async def system_presence(context: Context, params: NoParams) -> object:
    """Who is connected, the latest first."""
    await trio.lowlevel.checkpoint()
    return context.node.hall.presence(context.tenant)


def shape(
    node: Node, now_ms: int, *, sessions: int = 0, duration_ms: int = 0
) -> dict[str, Any]:
    """How the node stands, in OpenClaw's shape; *sessions*: in memory."""
    default = node.agents.default
    store = {"path": "", "count": 0, "recent": list[object]()}
    return {
        "ok": True,
        "ts": now_ms,
        "durationMs": duration_ms,
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": 0,
        "defaultAgentId": default,
        "agents": [
            {
                "agentId": agent,
                "isDefault": agent == default,
                "heartbeat": _NO_HEARTBEAT,
                "sessions": store,
            }
            for agent in node.agents.ids
        ],
        "sessions": store | {"count": sessions},
    }


_NO_HEARTBEAT: Final[Mapping[str, object]] = {
    "enabled": False,
    "every": "0m",
    "everyMs": None,
    "prompt": "",
    "target": "none",
    "ackMaxChars": 0,
}


def uptime_ms(node: Node) -> int:
    """How long the gateway has been listening, in milliseconds."""
    return round((trio.current_time() - node.floor.started) * 1000)


async def _sessions(context: Context) -> SessionsStatus | None:
    door = names.of_tenant(context.tenant, "sessions")
    try:
        return await context.bus.call(door, GetSessionsStatus(), timeout=PATIENCE)
    except supervision.CallFailed:
        return None


def _awake(figures: SessionsStatus | None) -> int:
    return 0 if figures is None else figures.awake


def _heartbeat_of(agent: str) -> dict[str, object]:
    return {"agentId": agent, "enabled": False, "every": "0m", "everyMs": None}
