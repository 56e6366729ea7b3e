"""Write a tool: a typed async function with a docstring becomes what a model can call.

This is all that a tool has to import, also one in a package of its own::

    from beamclaw.toolkit import tool

    @tool(effect="pure", group="plugins")
    async def dice(sides: int = 6) -> str:
        '''Throw a dice.

Args:
            sides: How many it has.
        '''

Its schema comes from the signature and the docstring, its arguments are checked by the
same types, and what is wrong with them the model is told in words that it can mend. See
``docs/how-to/write-a-tool.md``.
"""

from beamclaw.arguments.schema import Length
from beamclaw.config.schema import Range
from beamclaw.contracts.approvals import Ask, Clear, Clearance, Deny, Grant, digest_of
from beamclaw.contracts.messages import File, Image
from beamclaw.contracts.tools import Order, Output, Tool, ToolFailed, ToolSpec
from beamclaw.toolkit._session_act import SessionAct
from beamclaw.toolkit._tool import Declared, output_of, tool, tools_of

__all__ = [
    "Ask",
    "Clear",
    "Clearance",
    "Declared",
    "Deny",
    "File",
    "Grant",
    "Image",
    "Length",
    "Order",
    "Output",
    "Range",
    "SessionAct",
    "Tool",
    "ToolFailed",
    "ToolSpec",
    "digest_of",
    "output_of",
    "tool",
    "tools_of",
]
