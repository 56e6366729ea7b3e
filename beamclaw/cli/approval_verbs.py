"""The verbs ``beamclaw approvals …``, as a table."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import DATA, JSON, Option, Verb

ID = Option("id", metavar="ID", help="of the question, or so much of it that it is one")
WHY = Option("--why", metavar="TEXT", default="", help="what the model is told with it")

APPROVAL_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "approvals list",
        "questions that wait for an answer, the oldest first",
        "approvals:list_",
        (
            Option("--watch", action="store_true", help="go on, and tell of new ones"),
            DATA,
            JSON,
        ),
        (
            ("beamclaw approvals list", "what is asked now"),
            ("beamclaw approvals list --watch", "and from now on, until Ctrl-C"),
        ),
    ),
    Verb(
        "approvals show",
        "one question in full: what is done, where, until when",
        "approvals:show",
        (ID, DATA, JSON),
        (("beamclaw approvals show 6d3f", "the beginning of its id is enough"),),
    ),
    Verb(
        "approvals allow",
        "agree, once or always",
        "approvals:allow",
        (
            ID,
            Option(
                "--always",
                action="store_true",
                help="and do not ask again about the very same, until it is revoked",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw approvals allow 6d3f", "this once"),
            ("beamclaw approvals allow 6d3f --always", "from now on"),
        ),
    ),
    Verb(
        "approvals deny",
        "say no",
        "approvals:deny",
        (ID, WHY, DATA, JSON),
        (("beamclaw approvals deny 6d3f --why 'use the copy'", "and say why"),),
    ),
    Verb(
        "approvals grants",
        "what was allowed for good",
        "approvals:grants",
        (
            Option("--agent", metavar="ID", help="to this agent"),
            Option("--all", action="store_true", help="also what was revoked"),
            DATA,
            JSON,
        ),
        (("beamclaw approvals grants", "the numbers are for revoke"),),
    ),
    Verb(
        "approvals revoke",
        "take back what was allowed for good",
        "approvals:revoke",
        (
            Option("number", metavar="NUMBER", type=int, help="of the grant"),
            DATA,
            JSON,
        ),
        (("beamclaw approvals revoke 3", "it is asked about again"),),
    ),
)
