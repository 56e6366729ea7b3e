"""The supervisor of all tenants."""

from collections.abc import Callable, Mapping

import supervision

Tenant = Callable[[], supervision.Supervisor]
# A tenant is tried for ever, with an alarm: it never takes the node down.
COOL_DOWN = supervision.CoolDown(first=0.5, factor=2.0, most=30.0, jitter=0.2)


def supervisor(tenants: Mapping[str, Tenant]) -> supervision.Supervisor:
    """The subtree ``tenants``: one child per tenant, more are added while it runs."""
    children = [
        supervision.ChildSpec(
            f"tenant:{name}",
            start,
            name=f"tenant:{name}",
            type="supervisor",
            shutdown=None,
            cool_down=COOL_DOWN,
        )
        for name, start in tenants.items()
    ]
    return supervision.Supervisor(children, strategy="one_for_one")
