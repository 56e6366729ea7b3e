"""From an agent to all that a turn is begun with: what is configured, and what it is told.

Used by sessions, in their own processes. The process ``skills`` may be down, or its disk
may not answer: then an agent is told what it was told last, and never less. An agent that
does not know what it must not do would be worse than one that is silent for a while.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import attrs
import trio

import supervision
from beamclaw.agents import AgentDefinition, Unready, resolve
from beamclaw.config.current import Current
from beamclaw.config.schema import Config, own_of
from beamclaw.contracts import keys, names
from beamclaw.contracts.skills import GetPersona, Persona, Scope, Unread, unread

# Between two questions to a process that is being restarted, in seconds.
PAUSE = 0.02
# Definitions that are kept ready: their bytes and hashes are made once.
READY = 256
Defined = Callable[[str, str | None, Persona], AgentDefinition]


def scope_of(session: str) -> Scope:
    """What sort of conversation *session* (a full key) is."""
    kind = keys.parse(session).kind
    if kind == "main":
        return "main"
    return "subagent" if kind == "subagent" else "chat"


class Definer:
    """What turns of a tenant's agents are begun with. One for all sessions.

    Args:
        current: The configuration in force.
        tenant: Whose process is asked.
    """

    def __init__(self, current: Current, tenant: str) -> None:
        self._current = current
        self._tenant = tenant
        self._name = names.of_tenant(tenant, "skills")
        self._told: dict[tuple[str, Scope], Persona] = {}
        self._ready = current.made(self._readying)

    async def define(
        self, agent: str, model: str | None, session: str
    ) -> AgentDefinition:
        """The definition that a turn of *agent* in *session* uses to its end.

        Raises:
            beamclaw.agents.UnknownAgent: See :func:`beamclaw.agents.resolve`.
            beamclaw.agents.UnknownModel: The same.
            beamclaw.agents.Unready: What it is told was never read, and cannot be.
        """
        # Whatever is wrong with the names is told without waiting.
        defined = self._ready()
        plain = defined(agent, model, Persona())
        if own_of(self._current.config, agent).context == "none":
            return plain
        persona = await self._persona(agent, scope_of(session))
        return defined(agent, model, persona)

    def _readying(self, config: Config) -> Defined:
        return lru_cache(maxsize=READY)(partial(self._define, config))

    def _define(
        self, config: Config, agent: str, model: str | None, told: Persona
    ) -> AgentDefinition:
        definition = resolve(config, agent, model)
        words = "\n\n".join(filter(None, (definition.system, told.text)))
        return attrs.evolve(definition, system=words or None, variables=told.variables)

    async def _persona(self, agent: str, scope: Scope) -> Persona:
        last = self._told.get((agent, scope))
        numbers = self._current.config.workspace
        seconds = numbers.check_seconds * 2 if last else numbers.wait_seconds
        answer: Persona | Unread | None = None
        with trio.move_on_after(seconds):
            answer = await self._ask(agent, scope)
            # A slow disk is waited for by who has nothing else to go on with.
            while last is None and isinstance(answer, Unread) and answer.late:
                await trio.sleep(PAUSE)
                answer = await self._ask(agent, scope)
        if isinstance(answer, Persona):
            self._told[agent, scope] = answer
            return answer
        why = self._silence(seconds) if answer is None else answer.why
        if last is not None:
            unread(self._tenant, agent, why)
            return last
        raise Unready(f"what the agent {agent!r} is to be told is missing: {why}")

    def _silence(self, seconds: float) -> str:
        """Why there was no answer: what is slow is helped otherwise than what is gone."""
        if supervision.whereis(self._name) is None:
            return f"the process that reads it ({self._name}) is not there"
        return (
            f"the process that reads it ({self._name}) is there but has not answered for "
            f"{seconds:g} s"
        )

    async def _ask(self, agent: str, scope: Scope) -> Persona | Unread:
        """Ask as often as it takes: a process that has died is back in a moment."""
        question = GetPersona(agent, scope, trio.current_time())
        while True:
            try:
                return await supervision.call(self._name, question, timeout=None)
            except supervision.CallFailed:
                await trio.sleep(PAUSE)
