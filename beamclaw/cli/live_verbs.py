"""The verbs that look into a running node: ``shell``, ``top``, ``tree``."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import DATA, JSON, Option, Verb

URL: Final = Option(
    "--url",
    metavar="URL",
    help="over the gateway of a node elsewhere, as https://claw.example.org; "
    "$BEAMCLAW_TOKEN has its token, or an API key",
)

LIVE_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "shell",
        "look into a running node, and take hold of its processes",
        "shell:run",
        (
            Option(
                "-c",
                dest="commands",
                metavar="COMMANDS",
                help="run these, parted by ;, in place of asking for them",
            ),
            URL,
            DATA,
            Option(
                "--json",
                action="store_true",
                help="print each result as a line of JSON",
            ),
        ),
        (
            ("beamclaw shell", "ask and answer; help lists the commands"),
            ("beamclaw shell -c 'sessions; waiting main'", "for scripts"),
            ("beamclaw shell -c 'restart main'", "end it in order, and have it back"),
            ("beamclaw shell --json -c 'state ledger'", "for programs"),
            ("beamclaw shell --url https://claw.example.org", "a node elsewhere"),
        ),
    ),
    Verb(
        "top",
        "the processes of the node, live",
        "top:run",
        (
            Option(
                "--sort",
                choices=("tree", "rate", "mailbox", "restarts", "uptime", "memory"),
                default="tree",
                help="what to begin with (default: tree)",
            ),
            Option(
                "--match",
                metavar="TEXT",
                default="",
                help="only processes that have it in their name, in either case",
            ),
            Option(
                "--every",
                metavar="SECONDS",
                type=float,
                default=1.0,
                help="seconds between two looks (default: 1)",
            ),
            Option("--once", action="store_true", help="print one look, and end"),
            URL,
            DATA,
            Option(
                "--json", action="store_true", help="print each look as a line of JSON"
            ),
        ),
        (
            ("beamclaw top", "live; q leaves"),
            ("beamclaw top --sort mailbox", "the fullest mailboxes first"),
            ("beamclaw top --sort memory", "who holds most first"),
            ("beamclaw top --match session", "those with that in their name"),
            ("beamclaw top --once --json", "for programs"),
            ("beamclaw top --url https://claw.example.org", "a node elsewhere"),
        ),
    ),
    Verb(
        "tree",
        "the processes of the node",
        "tree:run",
        (
            Option(
                "process",
                nargs="?",
                metavar="PROCESS",
                help="where to begin: a name, a number, a session, or what the tree shows, as "
                "runs/turns (default: the top)",
            ),
            Option(
                "--depth", metavar="N", type=int, help="levels below (default: all)"
            ),
            Option(
                "--most",
                metavar="N",
                type=int,
                help="children of one supervisor; the rest is counted (default: 50, "
                "with --json all)",
            ),
            Option(
                "--limit",
                metavar="N",
                type=int,
                help="processes in all, the upper levels first (default: "
                "shell.processes, which is 10,000)",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw tree", "drawn"),
            ("beamclaw tree --depth 2", "the upper part"),
            ("beamclaw tree tenant:default --most 500", "one part"),
            ("beamclaw tree --json", "for programs"),
            ("beamclaw tree --json --limit 1000000", "the same, of very many"),
        ),
    ),
)
