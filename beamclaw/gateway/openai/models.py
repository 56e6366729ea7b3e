"""The agents as OpenAI's models: what they are called.

``model`` selects an agent; the model behind an agent is another matter, see
:mod:`beamclaw.gateway.ask`.
"""

import orjson

from beamclaw.gateway.agents import Agents
from beamclaw.gateway.fields import MAX_NAME
from beamclaw.gateway.problem import Problem


def model_list(agents: Agents, *, created: int) -> bytes:
    """The agents as models."""
    data = [_model(name, created) for name in agents.models]
    return orjson.dumps({"object": "list", "data": data})


def model(agents: Agents, name: str, *, created: int) -> bytes | Problem:
    """One agent as a model."""
    if agents.select(name) is None:
        return Problem(
            status=404,
            message=f"there is no model {name[:MAX_NAME]!r}; models: "
            f"{', '.join(agents.models)}",
            param="model",
            code="model_not_found",
        )
    return orjson.dumps(_model(name, created))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "openclaw"}
