"""``POST /v1/chat/completions``."""

from collections.abc import Mapping

from beamclaw.contracts.sessions import RunEnded
from beamclaw.gateway.agents import Agents
from beamclaw.gateway.ask import Ask
from beamclaw.gateway.openai import answer, request
from beamclaw.gateway.openai.answer import Chunks
from beamclaw.gateway.problem import Problem
from beamclaw.values import frozen


@frozen(kw_only=True)
class Completions:
    """See :class:`beamclaw.gateway.api.Api`."""

    agents: Agents
    max_messages: int
    prefix: str = "chatcmpl_"

    def read(self, body: object, headers: Mapping[str, str]) -> Ask | Problem:
        """See the Protocol."""
        return request.read(body, headers, self.agents, max_messages=self.max_messages)

    def events(self, run_id: str, ask: Ask, created: int) -> Chunks:
        """See the Protocol."""
        return Chunks(run_id, ask, created=created)

    def whole(self, ask: Ask, end: RunEnded, created: int) -> bytes | Problem:
        """See the Protocol."""
        problem = answer.failed(end, ephemeral=ask.ephemeral)
        return problem or answer.whole(ask, end, created=created)

    def kept(self, run_id: str, ask: Ask, created: int) -> bytes:
        """See the Protocol: nobody can ask for that here."""
        raise NotImplementedError
