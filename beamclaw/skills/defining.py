"""From an agent to all that a turn is begun with: what is configured, and what it is told.

Used by sessions, in their own processes, which are never held up by it: what the process
``skills`` says comes to them as messages. It may be down, or its disk may not answer: then
an agent is told what it was told last, and never less. An agent that does not know what it
must not do would be worse than one that is silent for a while.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal, cast

import attrs
import trio

import supervision
from beamclaw.agents import AgentDefinition, Heard, Tick, Unready, resolve
from beamclaw.config.current import Current
from beamclaw.config.schema import Config, own_of
from beamclaw.contracts import keys, names
from beamclaw.contracts.skills import GetPersona, Persona, Scope, Unread, unread

# Between two questions to a process that is being restarted, in seconds.
PAUSE = 0.02
# Definitions that are kept ready: their bytes and hashes are made once.
READY = 256
Defined = Callable[[str, str | None, Persona], AgentDefinition]
# What a preparation waits for beside a reply: to ask again, to tell that it takes long,
# and to go on without.
Moment = Literal["again", "late", "over"]


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
        self._told: dict[tuple[str, Scope], Persona] = {}
        self._ready = current.made(self._readying)

    def define(
        self, agent: str, model: str | None, session: str
    ) -> "AgentDefinition | Readying":
        """The definition that a turn of *agent* in *session* uses to its end.

        Nobody is asked until the preparation that is returned is begun.

        Raises:
            beamclaw.agents.UnknownAgent: See :func:`beamclaw.agents.resolve`.
            beamclaw.agents.UnknownModel: The same.
        """
        # Whatever is wrong with the names is told without waiting.
        plain = self._by_now(agent, model, Persona())
        if own_of(self._current.config, agent).context == "none":
            return plain
        scope, numbers = scope_of(session), self._current.config.workspace
        return Readying(
            agent=agent,
            scope=scope,
            tenant=self._tenant,
            last=self._told.get((agent, scope)),
            look=numbers.check_seconds * 2,
            patience=numbers.wait_seconds,
            keep=partial(self._keep, agent, scope),
            defined=partial(self._by_now, agent, model),
        )

    def _keep(self, agent: str, scope: Scope, told: Persona) -> None:
        self._told[agent, scope] = told

    def _by_now(self, agent: str, model: str | None, told: Persona) -> AgentDefinition:
        """By the configuration in force when the turn begins, like its tools and limits."""
        return self._ready()(agent, model, told)

    def _readying(self, config: Config) -> Defined:
        return lru_cache(maxsize=READY)(partial(self._define, config))

    def _define(
        self, config: Config, agent: str, model: str | None, told: Persona
    ) -> AgentDefinition:
        definition = resolve(config, agent, model)
        words = "\n\n".join(filter(None, (definition.system, told.text)))
        return attrs.evolve(definition, system=words or None, variables=told.variables)


class Readying:
    """A definition whose agent's files are asked for: a `beamclaw.agents.Preparation`.

    One request at a time is with the process ``skills``. That it has died is an answer
    like any other, and it is asked again; nothing is lost with the process that waits.

    Args:
        last: What the agent was told last.
        look: Seconds for which it is asked where there is a last.
        patience: The same where there is none, and nothing to go on with.
        keep: Takes what it is told now.
    """

    def __init__(
        self,
        *,
        agent: str,
        scope: Scope,
        tenant: str,
        last: Persona | None,
        look: float,
        patience: float,
        keep: Callable[[Persona], None],
        defined: Callable[[Persona], AgentDefinition],
    ) -> None:
        self.late = False
        self.ready = False
        self._agent = agent
        self._scope: Scope = scope
        self._tenant = tenant
        self._name = names.of_tenant(tenant, "skills")
        self._last = last
        self._look = look
        self._seconds = patience if last is None else look
        self._keep = keep
        self._defined = defined
        # On all that comes for this one, and for no other.
        self._mark = object()
        # Held as long as it is wanted: see `supervision.deliver_response`.
        self._asked: supervision.RequestId[Persona | Unread] | None = None
        self._answer: Persona | Unread | None = None
        self._timers: dict[Moment, supervision.Timer] = {}

    @property
    def waits_for(self) -> str:
        """What is waited for, in words."""
        return f"files of agent {self._agent}"

    def begin(self) -> None:
        """Ask; what comes of it are messages of the calling process, for `hear`."""
        self._tick("over", self._seconds)
        if self._last is None:
            self._tick("late", self._look)
        self._ask()

    def hear(self, message: Heard) -> None:
        """A reply, or a moment; of another preparation it means nothing."""
        match message:
            case Tick(mark, what) if mark is self._mark and not self.ready:
                self._at(what)
            case supervision.Response() if message.label is self._mark:
                # By its label it is one to the question that was asked here.
                self._replied(cast("supervision.Response[Persona | Unread]", message))
            case _:
                pass

    def give_up(self) -> None:
        """Nobody wants it any more: what is still said to it finds nobody."""
        self._asked = None
        for timer in self._timers.values():
            timer.cancel()

    def definition(self) -> AgentDefinition:
        """What came of it.

        Raises:
            beamclaw.agents.UnknownAgent: It is not configured any more.
            beamclaw.agents.UnknownModel: The same.
            beamclaw.agents.Unready: What it is told was never read, and cannot be.
        """
        if isinstance(self._answer, Persona):
            self._keep(self._answer)
            return self._defined(self._answer)
        why = self._silence() if self._answer is None else self._answer.why
        if self._last is not None:
            unread(self._tenant, self._agent, why)
            return self._defined(self._last)
        msg = f"what the agent {self._agent!r} is to be told is missing: {why}"
        raise Unready(msg)

    def _silence(self) -> str:
        """Why there was no answer: what is slow is helped otherwise than what is gone."""
        if supervision.whereis(self._name) is None:
            return f"the process that reads it ({self._name}) is not there"
        return (
            f"the process that reads it ({self._name}) is there but has not answered for "
            f"{self._seconds:g} s"
        )

    def _ask(self) -> None:
        question = GetPersona(self._agent, self._scope, trio.current_time())
        self._asked = supervision.send_request(self._name, question)
        supervision.deliver_response(self._asked, label=self._mark)

    def _replied(self, response: supervision.Response[Persona | Unread]) -> None:
        if self._asked is None:  # it came too late: this turn goes on without
            return
        self._asked = None
        try:
            self._answer = response.result()
        except supervision.CallFailed:
            # A process that has died is back in a moment.
            self._tick("again", PAUSE)
            return
        late = isinstance(self._answer, Unread) and self._answer.late
        if late and self._last is None:
            # A slow disk is waited for by who has nothing else to go on with.
            self._tick("again", PAUSE)
        else:
            self._end()

    def _at(self, what: str) -> None:
        match what:
            case "again":
                self._ask()
            case "late":
                self.late = True
            case _:
                self._end()

    def _end(self) -> None:
        self.ready = True
        self.give_up()

    def _tick(self, what: Moment, seconds: float) -> None:
        self._timers[what] = supervision.send_after(
            seconds, supervision.self_pid(), Tick(self._mark, what)
        )
