"""Which agent a model's name selects: the forms are OpenClaw's."""

from collections.abc import Callable, Iterable
from typing import Final

from beamclaw.values import frozen

_PREFIXES: Final = ("openclaw/", "openclaw:", "beamclaw/", "agent:")


@frozen(kw_only=True)
class Agents:
    """Which agents answer here, by what is configured at the time."""

    configured: Callable[[], Iterable[str]]

    @classmethod
    def of(cls, configured: Iterable[str]) -> "Agents":
        """Always these."""
        ids = tuple(configured)
        return cls(configured=lambda: ids)

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.configured())

    @property
    def default(self) -> str:
        """``main``, or else the first."""
        ids = self.ids
        return "main" if "main" in ids or not ids else ids[0]

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
