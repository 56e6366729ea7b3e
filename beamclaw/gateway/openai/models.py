"""The agents as OpenAI's models: what they are called, which one a name selects.

``model`` selects an agent; the model behind an agent is another matter, see
:mod:`beamclaw.gateway.openai.request`.
"""

from collections.abc import Iterable
from typing import Final

import attrs
import orjson

from beamclaw.gateway.problem import Problem

MAX_NAME: Final = 256
_PREFIXES: Final = ("openclaw/", "openclaw:", "beamclaw/", "agent:")


@attrs.frozen(kw_only=True)
class Agents:
    """Which agents answer here. *default* is one of *ids*."""

    ids: tuple[str, ...]
    default: str

    @classmethod
    def of(cls, configured: Iterable[str]) -> "Agents":
        """``main`` is the default, or else the first."""
        ids = tuple(configured)
        return cls(ids=ids, default="main" if "main" in ids or not ids else ids[0])

    @property
    def models(self) -> tuple[str, ...]:
        """The names they have as models, as they are listed."""
        return (
            "openclaw",
            "openclaw/default",
            *(f"openclaw/{agent}" for agent in self.ids if agent != "default"),
        )

    def select(self, model: str) -> str | None:
        """The agent that *model* names; None: none does."""
        if model in ("openclaw", "beamclaw"):
            return self.default
        for prefix in _PREFIXES:
            if model.startswith(prefix):
                agent = model.removeprefix(prefix)
                if agent in self.ids:
                    return agent
                return self.default if agent == "default" else None
        return None


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
