"""What a client says to an agent: which session, which message, handed in and followed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import attrs
import trio

import supervision
from beamclaw.contracts import keys
from beamclaw.contracts.ledger_errors import RunIdTaken
from beamclaw.contracts.ledger_inbox import Receipt
from beamclaw.contracts.messages import File, Image, Message, ModelParams, Part, Text
from beamclaw.contracts.sessions import Inbound, QueueMode, submit
from beamclaw.gateway.errors import MethodError, invalid, unavailable
from beamclaw.gateway.fields import IMAGE_TYPES, Wrong, is_base64
from beamclaw.gateway.methods._method import Context
from beamclaw.values import frozen

SOURCE: Final = "gateway"
# Waits between tries while the tenant is down; it is back in less than the first few.
PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)
# A run's id is the name of a process, a label in logs and a part of paths.
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
MAX_ATTACHMENTS: Final = 32
PermissionMode = Literal["read-only", "guarded", "workspace", "full"]
# Levels of thinking, as OpenClaw's clients name them.
_THINKING: Final = frozenset({"off", "minimal", "low", "medium", "high", "xhigh"})
STOPPING: Final = unavailable(
    "this node is stopping; ask again when it is back, with the same idempotencyKey",
    retry_after=1.0,
    reason="restarting",
)


@frozen
class Place:
    """A session, and whose it is."""

    key: str
    agent: str


def place(
    context: Context, session_key: str | None, agent_id: str | None, *, writes: bool
) -> Place:
    """The session that a client means; its own names are not for clients to write to.

    Raises:
        MethodError: There is no such agent, or no such key can be.
    """
    agents = context.node.agents
    if agent_id is not None and agent_id not in agents.ids:
        raise invalid(f"unknown agent id {agent_id[: keys.MAX_AGENT]!r}")
    read = keys.resolve_outside if writes else keys.resolve
    key = read(session_key or keys.MAIN, agent_id or agents.default)
    agent = key.agent or agent_id or agents.default
    if agent_id is not None and key.agent not in (None, agent_id):
        raise invalid(f"session {key} is not agent {agent_id!r}'s")
    if writes and agent not in agents.ids:
        raise invalid(f"unknown agent id {agent!r}")
    return Place(str(key), agent)


def check_run_id(text: str) -> str:
    """*text*, if it may name a run.

    Raises:
        MethodError: It may not.
    """
    if _RUN_ID.fullmatch(text) is None:
        raise invalid(
            "idempotencyKey has 1 to 200 letters, digits and ._:@+-, and begins with a "
            "letter or digit"
        )
    return text


def settings(thinking: str | None, timeout_ms: int | None = None) -> ModelParams:
    """What is set for the turn; with nothing or 0 for *timeout_ms*, no time of its own.

    Raises:
        MethodError: There is no such level of thinking.
    """
    seconds = timeout_ms / 1000 if timeout_ms else None
    if thinking is None or thinking == "default":
        return ModelParams(seconds=seconds)
    if thinking not in _THINKING:
        raise invalid(f"thinking is one of {', '.join(sorted(_THINKING))}")
    return ModelParams(
        thinking=thinking,  # pyright: ignore[reportArgumentType] -- looked at
        seconds=seconds,
    )


def message_of(text: str, attachments: Sequence[Any]) -> Message:
    """What is said, with what is attached to it.

    Raises:
        MethodError: Nothing is said, or something attached cannot be read.
    """
    if len(attachments) > MAX_ATTACHMENTS:
        raise invalid(f"at most {MAX_ATTACHMENTS} attachments")
    parts: list[Part] = [Text(text)] if text.strip() or not attachments else []
    parts += [_attached(each, place) for place, each in enumerate(attachments)]
    if not text.strip() and not attachments:
        raise invalid("message or attachment required")
    return Message("user", tuple(parts))


def _attached(given: Any, place: int) -> Part:
    where = f"attachments/{place}"
    if not isinstance(given, Mapping):
        raise invalid(f"{where} is no object")
    fields: Mapping[str, Any] = given  # pyright: ignore[reportUnknownVariableType] -- JSON
    content, kind = fields.get("content"), fields.get("mimeType")
    if not isinstance(content, str) or not isinstance(kind, str):
        raise invalid(f"{where} needs mimeType, and content in base64")
    data = content.partition(";base64,")[2] if content.startswith("data:") else content
    if not is_base64(data):
        raise invalid(f"{where} is not valid base64")
    media_type = kind.partition(";")[0].strip().lower()
    if media_type in IMAGE_TYPES:
        return Image(data=data, media_type=media_type)
    name = fields.get("fileName")
    return File(name if isinstance(name, str) else "file", media_type, data=data)


def inbound(
    context: Context,
    where: Place,
    said: Message,
    *,
    idempotency_key: str,
    model: str | None = None,
    params: ModelParams | None = None,
    queue: QueueMode | None = None,
    literal: bool = False,
) -> Inbound:
    """The message as it is handed in; *idempotency_key* is the id of its run.

    *literal*: a word behind a slash at its beginning is said, and means nothing.

    Raises:
        MethodError: The agent's model cannot do it, or the key names no run.
    """
    params = params or ModelParams()
    try:
        context.node.check(where.agent, model, params)
    except LookupError as unknown:
        raise invalid(str(unknown)) from None
    except Wrong as wrong:
        raise invalid(wrong.problem.message) from None
    principal = context.principal
    return Inbound(
        tenant=context.tenant,
        source=SOURCE,
        account=principal.account,
        conversation=where.key,
        external_id=idempotency_key,
        session_key=where.key,
        agent=where.agent,
        messages=(said,),
        run_id=check_run_id(idempotency_key),
        model=model,
        params=params,
        sender=principal.account,
        queue=queue,
        traceparent=context.trace.traceparent,
        tracestate=context.trace.tracestate,
        literal=literal,
    )


async def hand_in(context: Context, message: Inbound) -> Receipt:
    """Have *message* written down; when this returns it will be answered.

    Raises:
        MethodError: The node stops or its tenant is down.
        beamclaw.contracts.ledger_errors.LedgerError: It is refused.
    """
    for pause in PAUSES:
        if context.node.hall.closing is not None:
            raise STOPPING
        try:
            return await submit(context.bus, message, at=context.outside.wall())
        except RunIdTaken:
            # Somebody else's key, or for another session: what is said is another thing.
            message = attrs.evolve(message, run_id=context.outside.new_id())
        except supervision.CallFailed:
            # Whether it was taken is unknown; the same id finds out.
            await trio.sleep(pause)
    raise unavailable(
        "this node cannot take messages at the moment; ask again",
        retry_after=1.0,
        reason="restarting",
    )


def cannot_deliver() -> MethodError:
    """There is no channel that an answer could be sent to."""
    return invalid("there is no channel to deliver the answer to; leave out deliver")
