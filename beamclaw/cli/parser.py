"""The verbs and options of the command line, as one table."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from beamclaw.cli.access_verbs import ACCESS_VERBS
from beamclaw.cli.approval_verbs import APPROVAL_VERBS
from beamclaw.cli.config_verbs import CONFIG_VERBS
from beamclaw.cli.live_verbs import LIVE_VERBS
from beamclaw.cli.operation_verbs import OPERATION_VERBS
from beamclaw.cli.session_verbs import SESSION_VERBS
from beamclaw.cli.skill_verbs import SKILL_VERBS
from beamclaw.cli.verbs import CONFIG, DATA, JSON, LAST_GOOD, Option, Usage, Verb

PROGRAM: Final = "beamclaw"
WIDTH: Final = 80
# What the verbs of two words have in common.
GROUPS: Final = {
    "approvals": "calls of tools that a person has to agree to",
    "devices": "apps that may connect: list, approve, rename, revoke, remove",
    "keys": "API keys of programs: list, create, revoke",
    "config": "the configuration: check, show, change, and go back",
    "skills": "what agents know how to do: list, check, install, update, remove",
    "service": "the node as a service of systemd: show, install, remove",
    "sessions": "conversations: list, set, reset, rewind, fork, put away, delete",
}


HOST = Option("--host", metavar="H", help="the address to listen on")
PORT = Option("--port", metavar="N", help="the port to listen on; 0 takes a free one")
LINES = Option(
    "-n",
    "--lines",
    metavar="N",
    type=int,
    default=100,
    help="how many at most (default: 100)",
)
SINCE = Option(
    "--since", metavar="WHEN", help="12h, 7d, 4w or a date, UTC (default: all)"
)

VERBS: Final[Sequence[Verb]] = (
    Verb(
        "run",
        "start the node, in the foreground",
        "run:run",
        (
            CONFIG,
            DATA,
            LAST_GOOD,
            HOST,
            PORT,
            Option(
                "--json",
                action="store_true",
                help="print the ready line and log as JSON",
            ),
        ),
        (
            ("beamclaw run", "with what there is: the first key found, else demo"),
            ("beamclaw run --config beamclaw.yaml", "by a configuration"),
            ("beamclaw run --data /tmp/trial --port 0", "a second one, to try out"),
        ),
    ),
    Verb(
        "chat",
        "talk to the node",
        "chat:run",
        (
            Option(
                "message",
                nargs="*",
                metavar="MESSAGE",
                help="what to say; without "
                "it a conversation begins, or standard input is sent",
            ),
            Option("--session", metavar="KEY", help="the conversation (default: main)"),
            Option("--agent", metavar="ID", help="who answers (default: main)"),
            Option("--model", metavar="M", help="provider/model for this message"),
            Option(
                "--queue",
                choices=("steer", "followup", "collect", "interrupt"),
                help="what to do while a turn of the conversation is in progress: "
                "be part of it, wait (the default), wait and be taken together, stop it",
            ),
            DATA,
            Option(
                "--json", action="store_true", help="print each event as a line of JSON"
            ),
        ),
        (
            ("beamclaw chat hello", "one message, one answer"),
            ("beamclaw chat", "a conversation; Ctrl-C stops an answer, Ctrl-D leaves"),
            ("beamclaw chat --session work 'and now?'", "in another conversation"),
            ("git diff | beamclaw chat", "standard input as the message"),
            ("beamclaw chat /new what now?", "begin a new conversation with that"),
            ("beamclaw chat --queue interrupt 'no, wait'", "stop what it is doing"),
        ),
    ),
    *SESSION_VERBS,
    *SKILL_VERBS,
    *APPROVAL_VERBS,
    *ACCESS_VERBS,
    Verb(
        "status",
        "how the node stands",
        "status:run",
        (DATA, JSON),
        (("beamclaw status", "in words"), ("beamclaw status --json", "for programs")),
    ),
    Verb(
        "logs",
        "the node's log: its last lines, and those that come",
        "logs:run",
        (
            Option("-f", "--follow", action="store_true", help="go on with what comes"),
            LINES,
            SINCE,
            Option(
                "--level",
                choices=("debug", "info", "warning", "error"),
                default="debug",
                help="the least level (default: all that the node writes)",
            ),
            Option(
                "--event",
                metavar="NAME",
                help="events of that name, or of one that begins so: gateway, approval.over",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw logs -f --level warning", "follow what is not as it should be"),
            ("beamclaw logs --event gateway --since 1h", "of the gateway, of an hour"),
        ),
    ),
    Verb(
        "audit",
        "who did what: approvals, devices, keys, the configuration",
        "logs:audited",
        (
            LINES,
            SINCE,
            Option("--event", metavar="NAME", help="events of that name only"),
            DATA,
            JSON,
        ),
        (
            ("beamclaw audit", "the last hundred"),
            ("beamclaw audit --event approval --since 7d", "who has agreed to what"),
        ),
    ),
    Verb(
        "usage",
        "what models took: calls, tokens and dollars",
        "usage:run",
        (
            Option(
                "--by",
                choices=("day", "provider", "model", "agent", "session"),
                default="day",
                help="what to sum by (default: day)",
            ),
            Option(
                "--since",
                metavar="WHEN",
                default="7d",
                help="12h, 7d, 4w or a date, UTC (default: 7d)",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw usage", "of the last seven days, by day"),
            ("beamclaw usage --by model --since 2026-11-01", "which model costs what"),
        ),
    ),
    Verb(
        "providers",
        "how providers do: calls, errors, times, day by day",
        "providers:run",
        (
            Option(
                "--by",
                choices=("model", "provider", "day"),
                default="model",
                help="what to sum by (default: model)",
            ),
            Option(
                "--since",
                metavar="WHEN",
                default="7d",
                help="12h, 7d, 4w or a date, UTC (default: 7d); whole days count",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw providers", "of the last seven days, by model"),
            ("beamclaw providers --by day --since 4w", "whether it becomes slower"),
        ),
    ),
    Verb(
        "tools",
        "which tools an agent has, and why not the others",
        "tools:run",
        (
            Option("--agent", metavar="ID", help="whose (default: main)"),
            Option("--model", metavar="M", help="as this provider/model gets them"),
            Option(
                "--depth",
                metavar="N",
                type=int,
                help="as a sub-agent so many levels below a person (default: 0)",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw tools", "those of the agent main"),
            ("beamclaw tools --agent work --depth 1", "those of its sub-agents"),
            ("beamclaw tools --json", "with what the model is told of each"),
        ),
    ),
    *LIVE_VERBS,
    *CONFIG_VERBS,
    *OPERATION_VERBS,
    Verb(
        "completion",
        "print the completion of a shell",
        "completion:run",
        (
            Option("shell", choices=("bash", "zsh", "fish"), help="which shell"),
            JSON,
        ),
        (
            ("source <(beamclaw completion bash)", "in ~/.bashrc"),
            ("beamclaw completion fish | source", "in config.fish"),
        ),
    ),
)


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args: Any, **settings: Any) -> None:
        if sys.version_info >= (3, 14):  # where help is coloured unless one says no
            settings.setdefault("color", False)
        super().__init__(
            *args,
            allow_abbrev=False,
            formatter_class=_Help,
            **settings,
        )

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{PROGRAM}: {message}\nsee: {self.prog} --help")


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=22, width=WIDTH)


def parse(arguments: Sequence[str]) -> argparse.Namespace | None:
    """The options of a command line; None when help or version was asked and printed.

    Raises:
        Usage: It is wrong.
    """
    if not arguments:
        raise Usage(build().format_help().rstrip())
    _check_verb(arguments)
    parser = build(arguments[0])
    try:
        options, rest = parser.parse_known_args(arguments)
    except SystemExit:
        return None
    if rest:
        _take_rest(options, rest)
    return options


def _take_rest(options: argparse.Namespace, rest: Sequence[str]) -> None:
    """Words behind an option belong to those before it; argparse leaves them over."""
    verb: Verb = options.verb
    many = [o.names[0] for o in verb.options if o.settings.get("nargs") == "*"]
    if not many or any(word.startswith("-") for word in rest):
        _refuse_rest(verb, rest)
    getattr(options, many[0]).extend(rest)


def build(first: str = "-") -> argparse.ArgumentParser:
    """The parser for :data:`VERBS`; for those that begin with *first*, if it is a word.

    All of them take thirty milliseconds, which every command would wait for.
    """
    parser = _Parser(
        prog=PROGRAM,
        description="A personal agent gateway in which every moving part is supervised.",
        epilog="exit codes: 0 done, 1 failed, 2 wrong usage or configuration, "
        "130 interrupted",
    )
    parser.add_argument("--version", action=_Version, help="print the version")
    verbs = parser.add_subparsers(
        metavar="VERB", required=True, parser_class=_Parser, title="verbs"
    )
    groups: dict[str, Any] = {}
    for verb in VERBS:
        word, _, second = verb.name.partition(" ")
        if not first.startswith("-") and word != first:
            continue
        place = verbs
        if second:
            if word not in groups:
                words = GROUPS[word]
                group = verbs.add_parser(word, help=words, description=words)
                groups[word] = group.add_subparsers(
                    metavar="VERB", required=True, parser_class=_Parser, title="verbs"
                )
            place = groups[word]
        one = place.add_parser(
            second or word,
            help=verb.summary,
            description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
            epilog=_examples(verb),
        )
        for option in verb.options:
            one.add_argument(*option.names, **option.settings)
        one.set_defaults(run=verb.run, verb=verb)
    return parser


class _Version(argparse.Action):
    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{**settings, "nargs": 0})

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> None:
        from beamclaw import __version__  # noqa: PLC0415 -- reads metadata: 20 ms

        print(f"{PROGRAM} {__version__}")
        parser.exit()


def _examples(verb: Verb) -> str:
    lines = [f"  {command}\n      {words}" for command, words in verb.examples]
    return "examples:\n" + "\n".join(lines)


def _check_verb(arguments: Sequence[str]) -> None:
    """A wrong verb is told by us: argparse lists all and guesses none."""
    given = [word for word in arguments if not word.startswith("-")]
    if not given or arguments[0].startswith("-"):
        return
    names = list(dict.fromkeys(verb.name.partition(" ")[0] for verb in VERBS))
    if given[0] not in names:
        raise Usage(_unknown("verb", given[0], names, PROGRAM))
    inner = [
        v.name.partition(" ")[2] for v in VERBS if v.name.startswith(f"{given[0]} ")
    ]
    if inner and len(given) > 1 and given[1] not in inner:
        raise Usage(_unknown("verb", given[1], inner, f"{PROGRAM} {given[0]}"))


def _refuse_rest(verb: Verb, rest: Sequence[str]) -> NoReturn:
    known = [n for o in verb.options for n in o.names if n.startswith("--")]
    wrong = next((word for word in rest if word.startswith("-")), rest[0])
    kind = "option" if wrong.startswith("-") else "argument"
    name = wrong.partition("=")[0]
    raise Usage(_unknown(kind, name, known, f"{PROGRAM} {verb.name}"))


def _unknown(kind: str, name: str, known: Sequence[str], place: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{PROGRAM}: there is no {kind} {name!r}{hint}\nsee: {place} --help"
