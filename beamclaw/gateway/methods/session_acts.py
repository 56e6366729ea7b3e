"""What is done with whole sessions: ``sessions.create``, ``patch``, ``reset``, ``delete``."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import attrs
import trio

from beamclaw.arguments import Length, Null
from beamclaw.contracts import keys, lifecycle
from beamclaw.contracts.ledger_errors import HasWork
from beamclaw.contracts.ledger_rows import SessionRow
from beamclaw.contracts.lifecycle import (
    BeginSession,
    DeleteSession,
    ForkSession,
    NoSuchSession,
    PatchSession,
    PutAway,
    ResetSession,
)
from beamclaw.contracts.messages import ThinkingLevel
from beamclaw.contracts.session_meta import changed
from beamclaw.contracts.sessions import QueueMode, read_answering, read_run
from beamclaw.contracts.sessions import abort as abort_run
from beamclaw.gateway.auth.scopes import ADMIN, WRITE
from beamclaw.gateway.errors import invalid, unavailable
from beamclaw.gateway.methods import _faults
from beamclaw.gateway.methods import _talking as talking
from beamclaw.gateway.methods._handing import hand_in
from beamclaw.gateway.methods._method import (
    Context,
    Text,
    Whole,
    method,
    read_params,
)
from beamclaw.gateway.methods._sessions import (
    check_id,
    checked_agent,
    entry_of,
    find,
    key_of,
    model_of,
    order,
)
from beamclaw.values import frozen

Label = Annotated[str, Length(1, 512)]
TakesBack = Annotated[str | None, Null()]
TakesBackText = Annotated[Text | None, Null()]
MOST_TARGETS: Final = 100


# --- create, send, abort


@frozen(kw_only=True)
class CreateParams:
    """What the session begins with. What this gateway cannot do for it is refused."""

    key: Text | None = None
    idempotency_key: Text | None = None
    agent_id: Text | None = None
    label: Label | None = None
    display_name: Label | None = None
    model: Text | None = None
    thinking_level: ThinkingLevel | None = None
    parent_session_key: Text | None = None
    fork: bool = False
    fork_from: Literal["last-completed"] = "last-completed"
    emit_command_hooks: bool = False
    succeeds_parent: bool = False
    visibility: Literal["shared"] = "shared"
    task: str = ""
    message: str = ""


@method("sessions.create", scope=WRITE, params=CreateParams)
async def create(context: Context, params: CreateParams) -> object:
    """Begin a session, empty or as a fork, and say a first message in it."""
    parent = None
    if params.parent_session_key is not None:
        parent = key_of(context, params.parent_session_key)
        await find(context, parent)
    unique = params.idempotency_key or context.outside.new_id()
    given = params.key or f"dashboard:{unique}"
    key = key_of(context, given, params.agent_id, new=True)
    agent = keys.parse(key).agent or context.node.agents.default
    checked_agent(context, agent)
    settings = {
        "label": params.label or params.display_name,
        "model": params.model,
        "thinking": params.thinking_level,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    if params.fork:
        if parent is None:
            raise invalid("a fork needs the session it is of: parentSessionKey")
        await order(context, parent, ForkSession(key=key))
        if settings:
            await order(context, key, PatchSession(changes=settings))
    else:
        begin = BeginSession(
            agent=agent, channel="gateway", parent=parent, changes=settings
        )
        await order(context, key, begin)
    row = await find(context, key)
    answer: dict[str, Any] = {
        "ok": True,
        "key": key,
        "sessionId": row.session_id,
        "entry": entry_of(row),
        "runStarted": False,
    }
    if message := params.message or params.task:
        answer |= await _first_words(context, key, message, params)
    return answer


async def _first_words(
    context: Context, key: str, message: str, params: CreateParams
) -> dict[str, Any]:
    """Say them. The session is there, whatever comes of it."""
    try:
        handed = await hand_in(context, key, message, unique=params.idempotency_key)
    except Exception as error:
        told = _faults.told(error)
        if told is None:
            raise
        return {"runError": told.shape}
    return {"runStarted": True, "runId": handed.run_id}


@frozen(kw_only=True)
class SendParams:
    """What is said, and where."""

    key: Text
    message: str
    agent_id: Text | None = None
    thinking: Text | None = None
    attachments: tuple[Mapping[str, Any], ...] = ()
    timeout_ms: Whole | None = None
    idempotency_key: Text | None = None


@method("sessions.send", scope=WRITE, params=SendParams)
async def send(context: Context, params: SendParams) -> object:
    """Say something in a session that is there; answered when it is kept."""
    return await _send(context, params)


@method("sessions.steer", scope=WRITE, params=SendParams)
async def steer(context: Context, params: SendParams) -> object:
    """The same in place of what goes on there: a turn in progress is stopped for it."""
    return await _send(context, params, queue="interrupt")


async def _send(
    context: Context, params: SendParams, *, queue: QueueMode | None = None
) -> object:
    key = key_of(context, params.key, params.agent_id, new=True)
    await find(context, key)
    handed = await hand_in(
        context,
        key,
        params.message,
        unique=params.idempotency_key,
        attachments=params.attachments,
        thinking=params.thinking,
        timeout_ms=params.timeout_ms,
        queue=queue,
    )
    status = "started"
    if handed.again:
        run = await read_answering(context.bus, context.tenant, handed.run_id)
        status = "ok" if run is not None and run.state == "ended" else "in_flight"
    return {"runId": handed.run_id, "status": status, "sessionKey": key}


@frozen(kw_only=True)
class AbortParams:
    """Which turn: of a session, or by the run's id."""

    key: Text | None = None
    run_id: Text | None = None
    agent_id: Text | None = None
    clear_queued: bool = False


@method("sessions.abort", scope=WRITE, params=AbortParams)
async def abort(context: Context, params: AbortParams) -> object:
    """Stop a turn, with its sub-agents; what was said so far stays."""
    if params.key is None and params.run_id is None:
        raise invalid("say which: key or runId")
    if params.run_id is None:
        key = key_of(context, params.key or "", params.agent_id)
        stopped = await lifecycle.stop(
            context.bus, context.tenant, key, queued=params.clear_queued
        )
    else:
        stopped = await _abort_run(context, params.run_id, params)
    return {
        "ok": True,
        "abortedRunId": stopped[-1] if stopped else None,
        "status": "aborted" if stopped else "no-active-run",
    }


async def _abort_run(context: Context, run_id: str, params: AbortParams) -> list[str]:
    run = await read_run(context.bus, context.tenant, run_id)
    if run is None:
        return []
    if params.key is not None:
        key = key_of(context, params.key, params.agent_id)
        if key != run.session_key:
            raise invalid(f"run {run_id} belongs to another session")
    done = await abort_run(context.bus, context.tenant, run.session_key, run_id)
    return [run_id] if done else []


# --- patch


@frozen(kw_only=True)
class Settings:
    """What can be set for a session.

    Beside what this gateway has, settings of OpenClaw's that it does not have are taken
    where they say that nothing is set: clients send them along.
    """

    label: Annotated[Label | None, Null()] = None
    model: Annotated[Text | None, Null()] = None
    thinking_level: Annotated[ThinkingLevel | None, Null()] = None
    verbose_level: Annotated[Literal["off", "on", "full"] | None, Null()] = None
    archived: bool | None = None
    pinned: bool = False
    unread: bool = False
    icon: TakesBack = None
    color: TakesBack = None
    category: Annotated[Label | None, Null()] = None
    status_note: Annotated[Annotated[str, Length(0, 120)] | None, Null()] = None
    attention: Annotated[
        Literal["hand", "key", "alert", "flag", "lock", "hourglass"] | None, Null()
    ] = None
    reasoning_level: TakesBackText = None
    trace_level: TakesBackText = None
    elevated_level: TakesBackText = None
    response_usage: Annotated[Literal["off", "tokens", "full", "on"] | None, Null()] = (
        None
    )
    exec_host: TakesBackText = None
    exec_security: TakesBackText = None
    exec_ask: TakesBackText = None
    exec_node: TakesBackText = None
    permission_mode: Annotated[talking.PermissionMode | None, Null()] = None
    send_policy: Annotated[Literal["allow", "deny"] | None, Null()] = None
    group_activation: Annotated[Literal["mention", "always"] | None, Null()] = None
    context_window: TakesBackText = None


# As clients call it, and as we do.
NAMES: Final[Mapping[str, str]] = {
    "label": "label",
    "model": "model",
    "thinkingLevel": "thinking",
    "verboseLevel": "verbosity",
}
# Values that say that nothing is set.
_NOTHING: Final = (None, False, "", "off", "inherit", "default")
_OWN: Final = frozenset(
    {"label", "model", "thinking_level", "verbose_level", "archived"}
)
LACKING: Final = tuple(
    field.name for field in attrs.fields(Settings) if field.name not in _OWN
)


@frozen(kw_only=True)
class PatchParams(Settings):
    """For which session; null takes a setting back."""

    key: Text
    agent_id: Text | None = None
    expected_session_id: Text | None = None


@method("sessions.patch", scope=WRITE, params=PatchParams)
async def patch(context: Context, params: PatchParams) -> object:
    """Set something for a session, from its next turn on."""
    key = key_of(context, params.key, params.agent_id)
    row = await _patched(
        context, key, params, context.given, params.expected_session_id
    )
    model = model_of(context, row)
    resolved = {} if model is None else {"modelProvider": model[0], "model": model[1]}
    return {
        "ok": True,
        "path": "",
        "key": key,
        "entry": entry_of(row),
        "resolved": resolved,
    }


async def _patched(
    context: Context,
    key: str,
    settings: Settings,
    given: frozenset[str],
    expected: str | None,
) -> SessionRow:
    for name in LACKING:
        if getattr(settings, name) not in _NOTHING:
            words = name.replace("_", " ")
            raise invalid(f"a session has no {words} here; leave it out")
    values = {
        "label": settings.label,
        "model": settings.model,
        "thinkingLevel": settings.thinking_level,
        "verboseLevel": settings.verbose_level,
    }
    changes = {ours: values[name] for name, ours in NAMES.items() if name in given}
    row = await find(context, key)
    check_id(row, expected)
    if changes:
        changed(row.meta, changes)  # refused here, no session is woken for it
        await order(context, key, PatchSession(changes=changes))
    if settings.archived is not None:
        await order(context, key, PutAway(away=settings.archived))
    return await find(context, key)


@frozen(kw_only=True)
class Target:
    """One of several sessions."""

    key: Text
    agent_id: Text | None = None
    expected_session_id: Text | None = None


@frozen(kw_only=True)
class PatchManyParams:
    """The same for several sessions."""

    targets: Annotated[tuple[Target, ...], Length(1, MOST_TARGETS)]
    patch: Mapping[str, Any]


@method("sessions.patchMany", scope=WRITE, params=PatchManyParams)
async def patch_many(context: Context, params: PatchManyParams) -> object:
    """Set the same for several sessions; each succeeds or fails for itself."""
    settings = read_params("sessions.patchMany", dict(params.patch), Settings)
    outcomes = [
        await _outcome(context, target, settings, frozenset(params.patch))
        for target in params.targets
    ]
    return {"outcomes": outcomes}


async def _outcome(
    context: Context, target: Target, settings: Settings, given: frozenset[str]
) -> dict[str, Any]:
    key = target.key
    try:
        key = key_of(context, target.key, target.agent_id)
        await _patched(context, key, settings, given, target.expected_session_id)
    except Exception as error:
        told = _faults.told(error)
        if told is None:
            raise
        return {"ok": False, "key": key, "error": told.shape}
    return {"ok": True, "key": key}


# --- reset, delete, clean up


@frozen(kw_only=True)
class ResetParams:
    """Which session."""

    key: Text
    agent_id: Text | None = None
    reason: Literal["new", "reset"] = "reset"


@method("sessions.reset", scope=ADMIN, params=ResetParams)
async def reset(context: Context, params: ResetParams) -> object:
    """Begin a new conversation under the key; a turn in progress is stopped."""
    key = key_of(context, params.key, params.agent_id)
    await order(context, key, ResetSession(stop=True))
    return {"ok": True, "key": key, "entry": entry_of(await find(context, key))}


@frozen(kw_only=True)
class DeleteParams:
    """Which session."""

    key: Text
    agent_id: Text | None = None
    delete_transcript: bool = True
    expected_session_id: Text | None = None
    emit_lifecycle_hooks: bool = False
    archived_only: bool = False


def _needs_more(params: DeleteParams) -> tuple[str, ...]:
    """What was put away before, whoever may write may delete."""
    return () if params.archived_only else (ADMIN,)


@method("sessions.delete", scope=WRITE, params=DeleteParams, more=_needs_more)
async def delete(context: Context, params: DeleteParams) -> object:
    """Delete a session and all that was said in it; what goes on is stopped."""
    key = key_of(context, params.key, params.agent_id)
    if not params.delete_transcript:
        raise invalid(
            "a session is deleted with all that was said in it; to keep that, put it "
            "away: sessions.patch with archived"
        )
    try:
        row = await find(context, key)
    except NoSuchSession:
        return {"ok": True, "key": key, "deleted": False, "archived": []}
    check_id(row, params.expected_session_id)
    if params.archived_only and row.archived_at is None:
        raise invalid(f"session {key} was not put away")
    await _delete(context, key)
    return {"ok": True, "key": key, "deleted": True, "archived": []}


async def _delete(context: Context, key: str) -> None:
    """Sub-agents need a moment to stop, and a message may have come meanwhile."""
    for pause in talking.PAUSES:
        try:
            await order(context, key, DeleteSession(stop=True))
        except HasWork:
            await trio.sleep(pause)
        else:
            return
    raise unavailable(
        f"what goes on in {key} has not stopped yet; ask again",
        retry_after=1.0,
        reason="turn-in-progress",
    )


@frozen(kw_only=True)
class CleanupParams:
    """What the clean-up goes by stands in the configuration (sessions.retention)."""

    agent: Text | None = None
    all_agents: bool = True
    enforce: bool = True
    active_key: Text | None = None
    fix_missing: bool = False
    fix_dm_scope: bool = False


@method("sessions.cleanup", scope=ADMIN, params=CleanupParams)
async def cleanup(context: Context, params: CleanupParams) -> object:
    """Have what is old, by the configuration, deleted now and not a little later."""
    if params.agent is not None or params.fix_missing or params.fix_dm_scope:
        raise invalid(
            "sessions of all agents are cleaned up, by sessions.retention; nothing else"
        )
    if not params.enforce:
        raise invalid("a clean-up cannot be tried here; it is done, or not (enforce)")
    lifecycle.clean_up(context.bus.cast, context.tenant)
    await trio.lowlevel.checkpoint()
    return {"ok": True, "mode": "enforce", "applied": True}


METHODS: Final = (
    create,
    send,
    steer,
    abort,
    patch,
    patch_many,
    reset,
    delete,
    cleanup,
)
