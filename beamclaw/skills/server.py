"""The process ``skills``: what each agent is told, kept as long as no file changes.

It may die at any time: what it knows is on the disk. A look at the disk is made in a
thread and never waited for longer than a person would notice; then what was read last
holds, and that is told.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import trio

import supervision
from beamclaw.contracts.outside import Outside, Worker
from beamclaw.contracts.skills import (
    GetFiles,
    GetPersona,
    GetSkills,
    GetWatched,
    LookAgain,
    Persona,
    Scope,
    SetFile,
    Unread,
    refused,
    tampered,
    unread,
    unset,
)
from beamclaw.skills.look import (
    Looked,
    Setting,
    look,
    set_file,
    shown_files,
    shown_skills,
)

T = TypeVar("T")
# Seconds for which a disk that does not answer is not asked again.
PATIENCE: Final = 5.0
# Seconds that a look may take at what was never read, in the end: whoever waits for it has
# nothing to go on with, and a look that is given up has to begin anew.
LONGEST: Final = 16.0


@attrs.define
class _Agent:
    setting: Setting
    # When the last look that came to its end was begun.
    begun: float = float("-inf")
    looked: Looked | None = None
    trouble: str = ""
    late: bool = False
    # Looks at what was never read that were given up.
    given_up: int = 0

    def may_take(self, seconds: float) -> float:
        """Seconds that a look may take, where one at what is known takes *seconds*.

        A disk that always takes a little longer would never be read: each next try has
        twice the time.
        """
        if self.looked is not None:
            return seconds
        return max(seconds, min(seconds * 2.0 ** min(self.given_up, 16), LONGEST))


class SkillsServer(supervision.Server):
    """Registered as ``<tenant>/skills``.

    Args:
        tenant: Whose.
        agents: Those that are configured; they are looked at when it starts.
        setting: What there is to look at, of an agent.
        seconds: How long a look may take before a turn goes on without it; one at what
            was never read may take longer.
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
        self._configured = tuple(agents)
        self._seconds = seconds
        self._outside = outside
        self._agents: dict[str, _Agent] = {}
        self._worker: Worker = outside.worker()
        self._held_up_until = float("-inf")

    async def init(self) -> supervision.Continue:
        """No disk is asked before the start is acknowledged."""
        return supervision.Continue(None)

    async def handle_continue(self, term: object) -> None:
        """New workspaces get their files, and the first turns find all read."""
        for agent in self._configured:
            await self._look(agent)

    async def handle_call(
        self, request: supervision.Call[Any], sender: supervision.From
    ) -> object:
        """What an agent is told."""
        match request:
            case GetPersona(agent, scope, asked_at):
                return await self._persona(agent, scope, asked_at)
            case GetSkills(agent):
                return await self._asked(shown_skills, agent)
            case GetFiles(agent):
                return await self._asked(shown_files, agent)
            case SetFile(agent, name, text):
                work = partial(set_file, name=name, text=text)
                return await self._asked(work, agent)
            case GetWatched():
                return self._watched()
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, message: object) -> None:
        """Something may have changed."""
        match message:
            case LookAgain():
                for agent in self._agents:
                    await self._look(agent)
            case _:
                await super().handle_cast(message)

    def describe(self) -> dict[str, object]:
        """What there is to see of it."""
        return {
            agent: known.trouble
            or {part.name: part.chars for part in known.looked.parts}
            for agent, known in self._agents.items()
            if known.looked is not None
        }

    async def _asked(self, see: Callable[[Setting], T], agent: str) -> T | Unread:
        """What somebody wants to see, if the disk answers in time."""
        with trio.move_on_after(self._seconds):
            try:
                return await self._worker.run(partial(see, self._setting(agent)))
            except OSError as error:
                return Unread(f"{error.filename}: {error.strerror or error}")
        return Unread("the disk with its workspace does not answer")

    async def _persona(
        self, agent: str, scope: Scope, asked_at: float
    ) -> Persona | Unread:
        known = self._known(agent)
        if known.begun <= asked_at or known.looked is None:
            await self._look(agent)
        if known.looked is None:
            return Unread(known.trouble, late=known.late)
        return known.looked.personas[scope]

    async def _look(self, agent: str) -> None:
        """See whether something has changed, and read it if so."""
        begun = trio.current_time()
        known, before = self._known(agent), self._known(agent).looked
        # Who waits for the first look has nothing else to go on with.
        if begun < self._held_up_until and before is not None:
            return
        trouble = ""
        with trio.move_on_after(known.may_take(self._seconds)) as limit:
            try:
                known.looked = await self._worker.run(
                    partial(look, known.setting, known.looked)
                )
                known.begun = begun
            except OSError as error:
                trouble = f"{error.filename}: {error.strerror or error}"
        known.late = limit.cancelled_caught
        if known.late:
            known.given_up += 1
            self._held_up_until = trio.current_time() + PATIENCE
            trouble = "the disk with its workspace does not answer"
        if trouble and trouble != known.trouble:
            unread(self._tenant, agent, trouble)
        known.trouble = trouble
        if known.looked is not None and known.looked is not before:
            self._tell(agent, before, known.looked)

    def _watched(self) -> tuple[str, ...]:
        """Folders that were there."""
        found: set[str] = set()
        for known in self._agents.values():
            if known.looked is not None:
                found.update(known.looked.folders)
        return tuple(sorted(found))

    def _known(self, agent: str) -> _Agent:
        if agent not in self._agents:
            self._agents[agent] = _Agent(self._setting(agent))
        return self._agents[agent]

    def _tell(self, agent: str, before: Looked | None, now: Looked) -> None:
        """What is refused now and was not before."""
        known = () if before is None else before.refused
        for each in now.refused:
            if each not in known:
                tell = tampered if each.tampered else refused
                tell(self._tenant, agent, str(each.path), each.why)
        known_skills = () if before is None else before.skills
        told = {(each.name, *one) for each in known_skills for one in each.unset}
        for skill in now.skills:
            for variable, why in skill.unset:
                if (skill.name, variable, why) not in told:
                    unset(self._tenant, agent, skill.name, variable, why)
