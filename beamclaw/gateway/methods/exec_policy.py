"""What agents may run without asking, as OpenClaw's document: ``exec.approvals.*``.

The document is a view. Its defaults and the list under ``*`` are ``tools.exec`` of the
configuration, which is written by its one writer and holds from the next turn; the lists
of agents are what persons have allowed for good, and hold at once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs
import orjson

from beamclaw.config.schema import ExecConfig
from beamclaw.config.server import NAME, GetDocument, Write
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.contracts import grants as granted
from beamclaw.contracts.approvals import GrantRow
from beamclaw.contracts.command_policy import Mode
from beamclaw.gateway.auth.scopes import ADMIN
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.events.approvals import visible
from beamclaw.gateway.methods._method import Context, NoParams, Text, method
from beamclaw.gateway.methods.config import NOW, refused
from beamclaw.values import frozen

EVERYBODY: Final = "*"
_MODES: Final[Mapping[Mode, tuple[str, str]]] = {
    "off": ("full", "off"),
    "on-miss": ("allowlist", "on-miss"),
    "always": ("allowlist", "always"),
}


@frozen(kw_only=True)
class Defaults:
    """For all agents."""

    security: str | None = None
    ask: str | None = None
    ask_fallback: str | None = None
    auto_allow_skills: bool = False


@frozen(kw_only=True)
class Allowed:
    """One thing that is allowed."""

    pattern: str
    id: Text | None = None
    source: Literal["allow-always"] | None = None
    command_text: str | None = None
    arg_pattern: str | None = None
    last_used_at: float | None = None
    last_used_command: str | None = None
    last_resolved_path: str | None = None


@frozen(kw_only=True)
class OfAgent(Defaults):
    """For one agent, or for all of them under ``*``."""

    allowlist: tuple[Allowed, ...] = ()
    mcp_tools: tuple[Mapping[str, Any], ...] = ()


@frozen(kw_only=True)
class Policy:
    """The document."""

    version: int = 1
    socket: Mapping[str, Any] | None = None
    defaults: Defaults = attrs.field(factory=Defaults)
    agents: Mapping[str, OfAgent] = attrs.field(factory=dict[str, OfAgent])


@frozen(kw_only=True)
class SetParams:
    """The whole document, and the hash of the one that was read."""

    file: Policy
    base_hash: Text | None = None


@method("exec.approvals.get", scope=ADMIN)
async def get(context: Context, params: NoParams) -> object:
    """What agents may run without asking."""
    return _snapshot(context, await _grants(context))


@method("exec.approvals.set", scope=ADMIN, params=SetParams)
async def set_(context: Context, params: SetParams) -> object:
    """Change that: mode and lines hold from the next turn, what is taken back at once."""
    rows = await _grants(context)
    now = _snapshot(context, rows)
    if params.base_hash != now["hash"]:
        raise invalid(
            "read the document again and send its hash along as baseHash",
            code="CONFIG_STALE" if params.base_hash else "CONFIG_BASE_REQUIRED",
        )
    changes = wanted(context.node.config.tools.exec, params.file)
    gone = taken_back(rows, params.file)
    if changes:
        await _write(context, changes)
    by = context.principal.account
    for row in gone:
        at = context.outside.wall()
        await granted.revoke(context.bus, context.tenant, row.id, at=at, by=by)
    snapshot = _snapshot(context, await _grants(context))
    return snapshot | ({"holds": NOW} if changes else {})


def wanted(now: ExecConfig, file: Policy) -> dict[str, object]:
    """Keys of ``tools.exec`` that are to be different. Pure.

    Raises:
        MethodError: It asks for what there is not.
    """
    if file.version != 1 or file.socket:
        raise invalid("the document is of version 1, and has no socket here")
    everybody = file.agents.get(EVERYBODY, OfAgent())
    for of in (file.defaults, *file.agents.values()):
        if of.ask_fallback not in (None, "deny") or of.auto_allow_skills:
            raise invalid(
                "what nobody answers is denied here, and skills allow nothing: "
                "askFallback is deny, autoAllowSkills false"
            )
    for agent, of in file.agents.items():
        if of.security or of.ask or of.mcp_tools:
            raise invalid(f"agents.{agent}: only defaults and lists can be set here")
    if any(each.arg_pattern is not None for each in everybody.allowlist):
        raise invalid("a line here has its arguments in it; leave argPattern out")
    changes: dict[str, object] = {}
    mode = _mode(now.mode, file.defaults)
    if mode != now.mode:
        changes["mode"] = mode
    lines = [each.pattern for each in everybody.allowlist]
    if lines != list(now.allow):
        changes["allow"] = lines
    return changes


def _mode(now: Mode, defaults: Defaults) -> Mode:
    security, ask = _MODES[now]
    pair = (defaults.security or security, defaults.ask or ask)
    for mode, each in _MODES.items():
        if each == pair:
            return mode
    known = "; ".join(f"{security} with {ask}" for security, ask in _MODES.values())
    raise invalid(f"security {pair[0]} with ask {pair[1]} is none of {known}")


def taken_back(rows: Sequence[GrantRow], file: Policy) -> list[GrantRow]:
    """What is in no list any more. Pure.

    Raises:
        MethodError: Something is, that nobody was asked for.
    """
    left: set[tuple[str, str]] = set()
    for agent, of in file.agents.items():
        if agent != EVERYBODY:
            left |= {(agent, each.id or "") for each in of.allowlist}
    unknown = left - {(row.agent, str(row.id)) for row in rows}
    if unknown:
        agent = min(unknown)[0]
        raise invalid(
            f"agents.{agent}: what an agent is allowed for good comes from an answer to "
            f'a question; put lines under "{EVERYBODY}"'
        )
    return [row for row in rows if (row.agent, str(row.id)) not in left]


async def _grants(context: Context) -> tuple[GrantRow, ...]:
    return await granted.read_grants(context.bus, context.tenant)


async def _write(context: Context, changes: Mapping[str, object]) -> None:
    text = orjson.dumps({"tools": {"exec": dict(changes)}}).decode()
    try:
        document = await context.bus.call(NAME, GetDocument(), timeout=None)
        order = Order(
            how="patch",
            text=text,
            base=document.hash,
            must_say_base=True,
            by=context.principal.account,
            note="exec.approvals.set",
        )
        await context.bus.call(NAME, Write(order), timeout=None)
    except Refusal as refusal:
        raise refused(refusal) from None


def _snapshot(context: Context, rows: Sequence[GrantRow]) -> dict[str, Any]:
    config = context.node.config
    defaults = _defaults(config.tools.exec.mode)
    file = {
        "version": 1,
        "defaults": defaults,
        "agents": _lists(config.tools.exec.allow, rows),
    }
    return {
        "path": str(config.file or config.data),
        "exists": True,
        "hash": hashlib.sha256(orjson.dumps(file)).hexdigest(),
        "file": file,
        "resolvedDefaults": defaults,
    }


def _defaults(mode: Mode) -> dict[str, Any]:
    security, ask = _MODES[mode]
    return {
        "security": security,
        "ask": ask,
        "askFallback": "deny",
        "autoAllowSkills": False,
    }


def _lists(lines: Sequence[str], rows: Sequence[GrantRow]) -> dict[str, Any]:
    lists: dict[str, Any] = {}
    if lines:
        lists[EVERYBODY] = {"allowlist": [{"pattern": line} for line in lines]}
    for row in rows:
        of = lists.setdefault(row.agent, {"allowlist": []})
        of["allowlist"].append(
            {
                "id": str(row.id),
                "pattern": row.grant.pattern,
                "source": "allow-always",
                "commandText": visible(row.grant.words),
            }
        )
    return lists


METHODS: Final = (get, set_)
