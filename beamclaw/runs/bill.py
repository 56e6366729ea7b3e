"""What a call was to cost at most, beside what a provider bills for it."""

import supervision
from beamclaw.contracts.budgets import MICRO
from beamclaw.contracts.messages import Usage
from beamclaw.values import frozen


@frozen(kw_only=True)
class Bill:
    """What was reserved for a call.

    Attributes:
        session: Its key.
        target: Provider and model.
        bound: What the call could use.
        worth: What that costs, in millionths of a dollar.
    """

    tenant: str
    agent: str
    session: str
    target: tuple[str, str]
    bound: Usage
    worth: int

    def compare(self, usage: Usage, cost: int) -> None:
        """Tell if the provider bills more than that; *cost* as *worth*."""
        used = usage.input + usage.output
        most = self.bound.input + self.bound.output
        if used <= most and cost <= self.worth:
            return
        provider, model = self.target
        supervision.emit(
            "beamclaw.limits.overrun",
            {
                "tokens": used,
                "reserved_tokens": most,
                "cost": cost / MICRO,
                "reserved_cost": self.worth / MICRO,
            },
            {
                "tenant": self.tenant,
                "agent": self.agent,
                "session": self.session,
                "provider": provider,
                "model": model,
            },
        )
