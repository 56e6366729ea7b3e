"""The process ``skills``: what each agent is told, kept as long as no file changes.

It may die at any time: what it knows is on the disk. A look at the disk is made in a
thread and never waited for longer than a person would notice; then what was read last
holds, and that is told.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import attrs
import trio

import supervision
from beamclaw.contracts.outside import Outside, Worker
from beamclaw.contracts.skills import GetPersona, Persona, Scope, Unread, unread
from beamclaw.skills.look import Looked, Setting, look

# Seconds for which a disk that does not answer is not asked again.
PATIENCE: Final = 5.0


@attrs.define
class _Agent:
    setting: Setting
    # When the last look that came to its end was begun.
    begun: float = float("-inf")
    looked: Looked | None = None
    trouble: str = ""


class SkillsServer(supervision.Server):
    """Registered as ``<tenant>/skills``.

    Args:
        tenant: Whose.
        agents: Those that are configured; they are looked at when it starts.
        setting: What there is to look at, of an agent.
        seconds: How long a look may take before a turn goes on without it.
        outside: Where threads come from.
    """

    def __init__(
        self,
        tenant: str,
        agents: Iterable[str],
        setting: Callable[[str], Setting],
        seconds: float,
        outside: Outside,
    ) -> None:
        self._tenant = tenant
        self._setting = setting
        self._seconds = seconds
        self._outside = outside
        self._agents = {agent: _Agent(setting(agent)) for agent in agents}
        self._worker: Worker = outside.worker()
        self._held_up_until = float("-inf")

    async def init(self) -> supervision.Continue:
        """No disk is asked before the start is acknowledged."""
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """New workspaces get their files, and the first turns find all read."""
        for agent in self._agents:
            await self._look(agent)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """What an agent is told."""
        match request:
            case GetPersona(agent, scope, asked_at):
                return await self._persona(agent, scope, asked_at)
            case _:
                return await super().handle_call(request, sender)

    def describe(self) -> dict[str, object]:
        """What there is to see of it."""
        return {
            agent: known.trouble
            or {part.name: part.chars for part in known.looked.parts}
            for agent, known in self._agents.items()
            if known.looked is not None
        }

    async def _persona(
        self, agent: str, scope: Scope, asked_at: float
    ) -> Persona | Unread:
        known = self._agents.get(agent)
        if known is None:
            known = self._agents[agent] = _Agent(self._setting(agent))
        if known.begun <= asked_at or known.looked is None:
            await self._look(agent)
        if known.looked is None:
            return Unread(known.trouble)
        return known.looked.personas[scope]

    async def _look(self, agent: str) -> None:
        """See whether something has changed, and read it if so."""
        begun = trio.current_time()
        if begun < self._held_up_until:
            return
        known = self._agents[agent]
        trouble = ""
        with trio.move_on_after(self._seconds) as limit:
            try:
                known.looked = await self._worker.run(
                    partial(look, known.setting, known.looked)
                )
                known.begun = begun
            except OSError as error:
                trouble = f"{known.setting.workspace}: {error.strerror or error}"
        if limit.cancelled_caught:
            self._held_up_until = trio.current_time() + PATIENCE
            trouble = f"{known.setting.workspace}: the disk does not answer"
        if trouble and trouble != known.trouble:
            unread(self._tenant, agent, trouble)
        known.trouble = trouble
