"""What a tool says of a call before it is begun: go on, ask a person, or no."""

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class Grant:
    """What a person may allow for good, for one agent.

    Attributes:
        tool: Its name.
        pattern: What is used, as the resolved path of a program.
        arguments: How they have to look.
    """

    tool: str
    pattern: str
    arguments: str = ""


@attrs.frozen
class Clear:
    """Nobody has to be asked."""


@attrs.frozen(kw_only=True)
class Ask:
    """A person has to agree.

    Attributes:
        question: For the person.
        digest: Of all that is agreed to. What is done later has to have the same.
        details: What it consists of, by names that a person understands.
        grant: What would be allowed for good; None: only this one call can be.
    """

    question: str
    digest: str
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])
    grant: Grant | None = None


@attrs.frozen
class Deny:
    """It is not done, and nobody is asked; why, in words for the model."""

    text: str


Clearance = Clear | Ask | Deny
