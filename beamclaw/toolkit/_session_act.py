"""A tool that is done with sessions: its arguments are a class, and it means a request."""

import functools
from collections.abc import Callable
from typing import Any

from beamclaw.arguments.docstring import parse
from beamclaw.arguments.schema import object_of
from beamclaw.arguments.structuring import Unfit, structure
from beamclaw.contracts.subagents import Deed, Request
from beamclaw.contracts.tools import Order, ToolFailed, ToolSpec
from beamclaw.values import frozen


@frozen(eq=False, slots=False)
class SessionAct:
    """See :class:`beamclaw.contracts.subagents.SessionTool`.

    Attributes:
        name: As the model calls it.
        does: Which sort of request it makes.
        form: An attrs class; its docstring is what the model is told.
        means: What is asked for by one of these.
        asks: A person has to agree each time.
    """

    name: str
    does: Deed
    form: type
    means: Callable[[Any], Request]
    asks: bool = False

    @property
    def spec(self) -> ToolSpec:
        """What it is."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.name,
            description=parse(self.form.__doc__).text,
            parameters=object_of(self.form),
            effect="idempotent",
            asks="always" if self.asks else "never",
            kind="session",
            group="sessions",
        )

    def request(self, order: Order) -> Request:
        """What is asked for.

        Raises:
            ToolFailed: The arguments do not fit, in words that the model can mend.
        """
        try:
            return self.means(structure(order.arguments, self.form))
        except Unfit as unfit:
            raise ToolFailed(
                f"{self.name} was not done, its arguments do not fit:\n{unfit}"
            ) from None
