"""Leave for a tool call: what the tool says of it, what is agreed to, what is granted.

Before a call is begun its tool is asked (:meth:`beamclaw.contracts.tools.Tool.clear`):
go on, ask a person, or no. What a person agrees to has a digest. The process of the call
asks the tool again, right before it works, and does not go on if the digest has become
another one: a script was written anew meanwhile, or a link leads somewhere else.
"""

import hashlib
import json
from collections.abc import Mapping

import attrs

import supervision
from beamclaw.values import frozen


@frozen(kw_only=True)
class Grant:
    """What a person may allow for good, for one agent.

    Attributes:
        tool: Its name.
        pattern: What is used, as the resolved path of a program.
        arguments: How they have to look; only the tool reads it.
        words: The same, for the person who looks through what was granted.
    """

    tool: str
    pattern: str
    arguments: str = ""
    words: str = ""

    def allows(self, other: "Grant") -> bool:
        """Whether it stands for the same as *other*, however that is worded."""
        return (self.tool, self.pattern, self.arguments) == (
            other.tool,
            other.pattern,
            other.arguments,
        )


@frozen
class Clear:
    """Nobody has to be asked."""


@frozen(kw_only=True)
class Ask:
    """A person has to agree.

    Attributes:
        question: For the person.
        digest: Of all that is agreed to, see :func:`digest_of`. What is done later has to
            have the same.
        details: What it consists of, by names that a person understands.
        grant: What would be allowed for good; None: only this one call can be.
    """

    question: str
    digest: str
    details: Mapping[str, str] = attrs.field(factory=dict[str, str])
    grant: Grant | None = None


@frozen
class Deny:
    """It is not done, and nobody is asked; why, in words for the model."""

    text: str


Clearance = Clear | Ask | Deny


def digest_of(tool: str, facts: Mapping[str, object]) -> str:
    """One digest for all that a call is agreed to with.

    Args:
        tool: Whose call.
        facts: Everything that makes it another call when it changes, of what JSON can
            say; in which order the names stand does not matter.
    """
    said = json.dumps([tool, facts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


CHANGED = (
    "what was agreed to has changed since, so it was not carried out; ask for it again"
)
"""What the model is told when the digest has become another one."""

UNASKED = (
    "a person has to agree to this now, and was not asked, so it was not carried out; "
    "ask for it again"
)
"""The same where nobody had to be asked when the call was begun."""


UNCLEAR = (
    "whether it may be done could not be looked up just now, so it was not carried out; "
    "try again"
)
"""What the model is told where a part of the node is not up that the tool asks."""


def refusal(cleared: Clearance, approved: str) -> str | None:
    """Why a call is not carried out after all; None: it is.

    *cleared* is what its tool says right before it works, *approved* the digest of what
    a person has agreed to, empty if nobody was asked.
    """
    match cleared:
        case Clear():
            return None
        case Deny(text):
            return text
        case Ask(digest=digest):
            if digest == approved:
                return None
            return CHANGED if approved else UNASKED


# --- what was granted


@frozen(kw_only=True)
class GrantRow:
    """What a person has allowed for good.

    Attributes:
        id: Names it to a person; ascends.
        at: When, in seconds since the epoch; *by* whom.
        wait_id: With which question.
        revoked_at: None: it holds.
    """

    id: int
    agent: str
    grant: Grant
    at: float
    by: str
    wait_id: str
    revoked_at: float | None = None
    revoked_by: str = ""


@frozen(kw_only=True)
class ReadGrants(supervision.Call[tuple[GrantRow, ...]]):
    """To the ledger: what was granted, oldest first; None: to all agents, for all tools.

    Those that were revoked are among them only with *revoked*.
    """

    agent: str | None = None
    tool: str | None = None
    revoked: bool = False


@frozen(kw_only=True)
class RevokeGrant(supervision.Call[bool]):
    """To the ledger: this does not hold any more; False: it did not before."""

    id: int
    at: float
    by: str
