"""The order of one call of a tool, where it matters only what it is given."""

from typing import Any

from beamclaw.contracts.tools import Order


def order(**arguments: Any) -> Order:
    return Order(
        tenant="default",
        session_key="agent:main:main",
        run_id="r",
        call_id="c",
        tool="t",
        arguments=arguments,
        key="r/c",
    )
