"""The verbs ``beamclaw sessions …``, as a table."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import DATA, JSON, Option, Verb

KEY = Option(
    "session", metavar="KEY", help="the conversation: main, work, or a whole key"
)
AGENT = Option("--agent", metavar="ID", help="whose it is (default: main)")
OF_ONE = (KEY, AGENT, DATA, JSON)


def _verb(
    name: str,
    summary: str,
    options: Sequence[Option],
    examples: Sequence[tuple[str, str]],
) -> Verb:
    function = name.replace("-", "_")
    return Verb(f"sessions {name}", summary, f"sessions:{function}", options, examples)


SESSION_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "sessions list",
        "conversations, the latest first",
        "sessions:list_",
        (
            Option("--archived", action="store_true", help="those that were put away"),
            Option(
                "--all",
                action="store_true",
                help="all, also those of single requests",
            ),
            Option(
                "--limit",
                metavar="N",
                type=int,
                default=50,
                help="so many at most (default: 50)",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw sessions list", "those in use"),
            ("beamclaw sessions list --all --json", "everything, for programs"),
        ),
    ),
    Verb(
        "sessions set",
        "set something for a conversation, from its next turn on",
        "sessions:set_",
        (
            KEY,
            Option(
                "settings",
                nargs="*",
                metavar="NAME=VALUE",
                help="label, model, thinking (off to xhigh), verbosity (off, on, full); "
                "an empty value takes it back, none at all prints what is set",
            ),
            AGENT,
            DATA,
            JSON,
        ),
        (
            ("beamclaw sessions set work model=anthropic thinking=high", "two at once"),
            ("beamclaw sessions set work 'label=The new house'", "a name for people"),
            ("beamclaw sessions set work model=", "the agent's own again"),
            ("beamclaw sessions set work", "what is set"),
        ),
    ),
    _verb(
        "history",
        "what was said in a conversation",
        (
            KEY,
            Option(
                "--all",
                action="store_true",
                help="also before a reset, and what was gone back from",
            ),
            AGENT,
            DATA,
            Option(
                "--json", action="store_true", help="the journal, an event in each line"
            ),
        ),
        (
            ("beamclaw sessions history main", "the numbers are for rewind and fork"),
            ("beamclaw sessions history main --all --json > main.jsonl", "export it"),
        ),
    ),
    _verb(
        "output",
        "what a tool said at length, whole",
        (
            Option("output", metavar="ID", help="which one, as the history calls it"),
            DATA,
            Option("--json", action="store_true", help="an object for each piece"),
        ),
        (
            ("beamclaw sessions output 9f3b/call_1 > build.log", "into a file"),
            ("beamclaw sessions output 9f3b/call_1 | grep error", "look through it"),
        ),
    ),
    _verb(
        "reset",
        "begin a new conversation under the same key",
        OF_ONE,
        (("beamclaw sessions reset main", "as /new in the chat"),),
    ),
    _verb(
        "rewind",
        "go on behind an earlier turn",
        (
            KEY,
            Option("event", metavar="EVENT", type=int, help="a number of the history"),
            AGENT,
            DATA,
            JSON,
        ),
        (
            ("beamclaw sessions rewind main 12", "what came after 12 counts no more"),
            ("beamclaw sessions rewind main 0", "to the very beginning"),
        ),
    ),
    _verb(
        "fork",
        "begin another conversation with what this one has come to",
        (
            KEY,
            Option("--to", metavar="KEY", help="under this key (default: a new one)"),
            Option(
                "--at",
                metavar="EVENT",
                type=int,
                help="by this number of the history (default: the last)",
            ),
            AGENT,
            DATA,
            JSON,
        ),
        (
            ("beamclaw sessions fork main", "prints the new key"),
            ("beamclaw sessions fork main --at 12 --to plan-b", "from an earlier turn"),
        ),
    ),
    _verb(
        "archive",
        "put a conversation away",
        OF_ONE,
        (("beamclaw sessions archive work", "a message to it brings it back"),),
    ),
    _verb(
        "unarchive",
        "bring it back",
        OF_ONE,
        (("beamclaw sessions unarchive work", "it is listed again"),),
    ),
    _verb(
        "delete",
        "delete a conversation for good",
        OF_ONE,
        (("beamclaw sessions delete work", "its key is free again"),),
    ),
    _verb(
        "stop",
        "stop its turn in progress, and what waits behind it",
        OF_ONE,
        (("beamclaw sessions stop work", "as /stop in the chat"),),
    ),
    _verb(
        "hand-over",
        "have another agent answer in it, from its next turn on",
        (KEY, Option("to", metavar="AGENT", help="who"), AGENT, DATA, JSON),
        (("beamclaw sessions hand-over work writer", "the agent writer goes on"),),
    ),
)
