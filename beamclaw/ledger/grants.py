"""What is allowed for good while it is written: how much of it, and what is taken back."""

import attrs

from beamclaw.contracts.approvals import Grant, RevokeGrant
from beamclaw.contracts.ledger_errors import TooManyGrants
from beamclaw.ledger import statements as sql
from beamclaw.storage import Connection

# Held and revoked ones, each, where nothing else is said.
MOST = 1_000

GrantKey = tuple[str, str, str, str]


def key_of(agent: str, grant: Grant) -> GrantKey:
    """What makes a grant the same as another, however it is worded."""
    return agent, grant.tool, grant.pattern, grant.arguments


@attrs.define(eq=False)
class Grants:
    """The grants that hold, those of the present transaction included.

    Attributes:
        limit: How many may hold; so many revoked ones are kept to be looked at, too.
        held: What holds. There may be more than *limit* if that was higher before.
    """

    limit: int
    held: set[GrantKey] = attrs.field(factory=set[GrantKey])

    def recall(self, connection: Connection) -> None:
        """Read from the database what holds."""
        self.held = set(connection.execute(sql.HELD_GRANTS).fetchall())

    def check(self, key: GrantKey, new: set[GrantKey]) -> None:
        """Whether there is room for *key* beside those that are *new* in its commit.

        Raises:
            TooManyGrants: There is none. What holds already needs none.
        """
        holding = self.held | new
        if key not in holding and len(holding) >= self.limit:
            raise TooManyGrants(len(holding), self.limit)

    def revoke(self, connection: Connection, epoch: int, job: RevokeGrant) -> bool:
        """Take one back; of those that were taken back the oldest go.

        At once and not at the end of the transaction: in that the same may be granted
        again, and that counts.
        """
        given = epoch, job.at, job.by, job.id
        row = connection.execute(sql.REVOKE_GRANT, given).fetchone()
        if row is None:
            return False
        self.held.discard(row)
        connection.execute(sql.FORGET_GRANTS, (self.limit,))
        return True
