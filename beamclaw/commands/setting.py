"""Where and how the commands of an agent run; and how they are asked."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import supervision
from beamclaw.contracts.command_policy import CommandPolicy
from beamclaw.contracts.outside import Worker
from beamclaw.contracts.sandbox import Sandbox
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.tools import ToolFailed
from beamclaw.paths import Roots
from beamclaw.values import frozen

R = TypeVar("R")


def _none(variable: str, skill: str) -> None:
    del variable, skill


@frozen(kw_only=True)
class Setting:
    """Where and how the commands of an agent run.

    Attributes:
        tenant: Whose.
        agent: Its id.
        roots: Where it may work.
        policy: Whether it is asked.
        env: What every command finds in its environment.
        skill_value: The value of a variable (first) for a skill (second); None: none.
        worker: Looks at files, away from the event loop.
        yield_seconds: After which a command goes on in the background.
        timeout_seconds: After which it is ended; 0: never.
        notify: Whether the session hears of the end of one in the background.
        sandbox: Where they run; None: as the node itself, without limits.
    """

    tenant: str
    agent: str
    roots: Roots
    policy: CommandPolicy
    env: Mapping[str, str]
    worker: Worker
    yield_seconds: float = 10.0
    timeout_seconds: float = 1800.0
    notify: bool = True
    sandbox: Sandbox | None = None
    skill_value: Callable[[str, str], Secret | None] = _none


async def ask(pid: supervision.Pid, request: supervision.Call[R]) -> R:
    """What the process of a command says.

    Raises:
        ToolFailed: It is not there any more.
    """
    try:
        return await supervision.call(pid, request, timeout=None)
    except supervision.CallFailed:
        raise ToolFailed("the command was lost: what held it has died") from None
