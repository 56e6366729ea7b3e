"""What ``beamclaw doctor`` asks of a ledger, of a node that runs or of its file."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from beamclaw.contracts.databases import LEDGER

_OF_A_LEDGER: Final = {
    # Each call of a model is settled when it ends, by its own turn or by the one that
    # goes on for it: none is left when the turn is over.
    "unsettled": """
        SELECT count(*) FROM usage JOIN runs ON runs.id = usage.run
        WHERE usage.settled_at IS NULL AND runs.state = 'ended'
    """,
    "open_calls": "SELECT count(*) FROM usage WHERE settled_at IS NULL",
    "open_turns": "SELECT count(*) FROM runs WHERE state <> 'ended'",
    "waiting": "SELECT count(*) FROM inbox WHERE taken_at IS NULL",
    "orphaned_outputs": """
        SELECT count(DISTINCT pointer) FROM outputs
        WHERE run_id NOT IN (SELECT run_id FROM runs)
    """,
    # To be compared with the clock: what was written in the future.
    "newest": "SELECT CAST(coalesce(max(updated_at), 0) AS INTEGER) FROM sessions",
}


def questions_of(name: str) -> Mapping[str, str]:
    """What is asked of the database *name*: a query for one number each, by name."""
    return _OF_A_LEDGER if PurePosixPath(name).name == LEDGER else {}
