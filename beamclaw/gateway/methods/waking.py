"""Something for an agent's conversation that nobody types: ``wake``."""

from typing import Annotated, Final, Literal

from beamclaw.arguments import Length
from beamclaw.contracts import keys
from beamclaw.gateway.auth.scopes import WRITE
from beamclaw.gateway.errors import invalid
from beamclaw.gateway.methods._handing import hand_in
from beamclaw.gateway.methods._method import Context, Text, method
from beamclaw.gateway.methods._sessions import checked_agent, key_of
from beamclaw.values import frozen

MOST_TEXT: Final = 200_000


@frozen(kw_only=True)
class WakeParams:
    """What is to be told, and to which conversation; else the agent's main one."""

    mode: Literal["now", "next-heartbeat"]
    text: Annotated[str, Length(1, MOST_TEXT)]
    session_key: Text | None = None
    agent_id: Text | None = None


@method("wake", scope=WRITE, params=WakeParams)
async def wake(context: Context, params: WakeParams) -> object:
    """Tell an agent something at once; what it says to that is in the conversation."""
    if params.mode != "now":
        raise invalid("there are no heartbeats here to wait for; say now")
    agent = checked_agent(context, params.agent_id)
    if params.session_key is None:
        key = str(keys.main(agent or context.node.agents.default))
    else:
        key = key_of(context, params.session_key, agent, new=True)
    handed = await hand_in(context, key, params.text)
    return {"ok": True, "runId": handed.run_id}


METHODS: Final = (wake,)
