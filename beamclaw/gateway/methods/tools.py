"""``tools.invoke``: a client has one tool of an agent carried out."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import attrs

from beamclaw.arguments import Length
from beamclaw.gateway.auth.scopes import WRITE
from beamclaw.gateway.methods import _invoking as invoking
from beamclaw.gateway.methods._invoking import Came, Fault, Wanted
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.values import frozen

CODES: Final[Mapping[Fault, str]] = {
    "invalid": "validation_error",
    "not_found": "not_found",
    "forbidden": "forbidden",
    "approval": "requires_approval",
    "failed": "tool_error",
    "broken": "internal_error",
}
"""The ``code`` of an error; OpenClaw's but for ``tool_error``, in whose place it says
``validation_error`` or ``internal_error``."""


@frozen(kw_only=True)
class InvokeParams:
    """Which tool, with what; *confirm* changes nothing, since persons are always asked."""

    name: Text
    args: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    session_key: Text | None = None
    agent_id: Text | None = None
    confirm: bool = False
    idempotency_key: Annotated[str, Length(1, 255)] | None = None
    conversation_read_origin: Literal["direct-operator"] | None = None


@method("tools.invoke", scope=WRITE, params=InvokeParams)
async def invoke(context: Context, params: InvokeParams) -> object:
    """Have one tool of an agent carried out, as if its model had asked for it."""
    wanted = Wanted(
        name=params.name.strip(),
        args=params.args,
        session_key=params.session_key,
        agent_id=params.agent_id,
        unique=params.idempotency_key,
    )
    came = await invoking.order_of(context, wanted)
    if isinstance(came, invoking.Order):
        came = await invoking.carried_out(context, came, context.bus.subscribe)
    return shown(came)


def shown(came: Came) -> dict[str, Any]:
    """What came of it, as OpenClaw's ``ToolsInvokeResult``."""
    base = {"ok": came.fault is None, "toolName": came.tool}
    if came.fault is None:
        return {**base, "output": invoking.output(came.text), "source": came.source}
    asked = (
        {}
        if came.approval_id is None
        else {"requiresApproval": True, "approvalId": came.approval_id}
    )
    error = {"code": CODES[came.fault], "message": came.text}
    return {**base, **asked, "error": error}


METHODS: Final = (invoke,)
