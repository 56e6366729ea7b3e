"""The verbs ``beamclaw skills …``, as a table."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import CONFIG, DATA, JSON, Option, Verb

AGENT = Option("--agent", metavar="ID", default="main", help="whose (default: main)")
NAME = Option("name", metavar="NAME", help="the skill")
SOURCE = "a folder, or an archive: zip, tar, tar.gz, tar.bz2, tar.xz"
COMMON = (CONFIG, DATA, JSON)

SKILL_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "skills list",
        "the skills of an agent, and why it has not got the others",
        "skills:list_",
        (
            Option("--all", action="store_true", help="also those it has not got"),
            AGENT,
            *COMMON,
        ),
        (
            ("beamclaw skills list", "those that main has"),
            ("beamclaw skills list --all --json", "all, for programs"),
        ),
    ),
    Verb(
        "skills info",
        "one skill: where it is from, what it needs, what is pinned",
        "skills:info",
        (NAME, AGENT, *COMMON),
        (("beamclaw skills info csv-report", "all there is to know of it"),),
    ),
    Verb(
        "skills check",
        "see whether all skills can be used and are what was installed",
        "skills:check",
        (AGENT, *COMMON),
        (("beamclaw skills check", "1 if something is wrong"),),
    ),
    Verb(
        "skills install",
        "install a skill from a folder or an archive; nothing in it is run",
        "skills:install",
        (Option("source", metavar="SOURCE", help=SOURCE), *COMMON),
        (
            ("beamclaw skills install ./tidy", "from a folder"),
            ("beamclaw skills install tidy-1.0.zip", "from an archive"),
        ),
    ),
    Verb(
        "skills update",
        "take another version of a skill that is installed",
        "skills:update",
        (
            NAME,
            Option(
                "source",
                metavar="SOURCE",
                nargs="?",
                help=f"{SOURCE} (default: where it was installed from)",
            ),
            *COMMON,
        ),
        (("beamclaw skills update tidy tidy-1.1.zip", "from an archive"),),
    ),
    Verb(
        "skills remove",
        "take away a skill that was installed",
        "skills:remove",
        (NAME, *COMMON),
        (("beamclaw skills remove tidy", "with all its files"),),
    ),
    Verb(
        "skills pin",
        "keep the version of a skill that is installed: it is not updated",
        "skills:pin",
        (
            NAME,
            Option("--off", action="store_true", help="let it be updated again"),
            *COMMON,
        ),
        (
            ("beamclaw skills pin tidy", "no update takes its place"),
            ("beamclaw skills pin tidy --off", "one may again"),
        ),
    ),
    Verb(
        "skills prompt",
        "what an agent is told before a conversation, and what takes how much of it",
        "skills:prompt",
        (
            Option(
                "--scope",
                choices=("main", "chat", "subagent"),
                default="main",
                help="in which sort of conversation (default: main)",
            ),
            AGENT,
            *COMMON,
        ),
        (("beamclaw skills prompt", "as the next turn of main will see it"),),
    ),
)
