"""One tool: what a number of cups weighs."""

from typing import Annotated

from beamclaw.toolkit import Range, tool

GRAMS = {"flour": 120, "rice": 185, "sugar": 200}


@tool(effect="pure")
async def weight(*, of: str, cups: Annotated[float, Range(0, 50)] = 1) -> str:
    """Say what some cups of something weigh.

    Args:
        of: What is in the cups.
        cups: How many cups.
    """
    return f"{GRAMS[of] * cups:.0f} g"
