"""The verbs ``beamclaw config …``, as a table."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import CONFIG, DATA, JSON, Option, Verb

PATH = Option("path", metavar="KEY", help="as gateway.port, or providers.local.model")
ENTRY = Option("entry", metavar="NUMBER", type=int, help="of the history")
DRY = Option("--dry-run", action="store_true", help="judge it and write nothing")
NOTE = Option("--note", metavar="TEXT", default="", help="why, for the history")
_WRITES: Final = (DRY, NOTE, CONFIG, DATA, JSON)

CONFIG_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "config check",
        "find what is wrong with a configuration",
        "config:check",
        (
            CONFIG,
            DATA,
            Option(
                "--strict", action="store_true", help="unknown keys are errors, too"
            ),
            JSON,
        ),
        (
            ("beamclaw config check", "the one that the node would read"),
            ("beamclaw config check --strict --config new.yaml", "another one"),
        ),
    ),
    Verb(
        "config show",
        "what holds, and where it was set",
        "config:show",
        (CONFIG, DATA, JSON),
        (("beamclaw config show", "as YAML, secrets left out"),),
    ),
    Verb(
        "config schema",
        "JSON Schema of the configuration, for editors and forms",
        "config:schema",
        (JSON,),
        (("beamclaw config schema > beamclaw.schema.json", "for an editor"),),
    ),
    Verb(
        "config get",
        "what the file says, or one key of it, secrets hidden",
        "config_file:get",
        (
            Option("path", metavar="KEY", nargs="?", default="", help="one key"),
            CONFIG,
            DATA,
            JSON,
        ),
        (
            ("beamclaw config get", "the whole file"),
            ("beamclaw config get gateway.port", "one key, default included"),
        ),
    ),
    Verb(
        "config set",
        "change one key of the file; the answer says when it holds",
        "config_file:set_",
        (
            PATH,
            Option(
                "value",
                metavar="VALUE",
                help="a number, true, false, a text, or a list or mapping in YAML; - reads it"
                " from standard input",
            ),
            *_WRITES,
        ),
        (
            ("beamclaw config set gateway.port 18790", "comments in the file stay"),
            (
                "beamclaw config set agents.main.model openai/gpt-5 --dry-run",
                "say what would change",
            ),
            ("beamclaw config set providers.openai.api_key -", "not in the history"),
        ),
    ),
    Verb(
        "config unset",
        "take one key out of the file: its default holds",
        "config_file:unset",
        (PATH, *_WRITES),
        (("beamclaw config unset gateway.port", "back to the default"),),
    ),
    Verb(
        "config apply",
        "put a whole file in the place of the configuration",
        "config_file:apply",
        (
            Option("file", metavar="FILE", help="the new one; - reads standard input"),
            Option(
                "--shrink",
                action="store_true",
                help="losing more than half of the file, or an $include, is meant",
            ),
            *_WRITES,
        ),
        (("beamclaw config apply new.yaml --dry-run", "say what would change"),),
    ),
    Verb(
        "config diff",
        "what holds at the next start otherwise than now, or than an older file",
        "config_file:diff",
        (
            Option(
                "entry",
                metavar="NUMBER",
                nargs="?",
                type=int,
                help="of the history; without it: what the node runs by",
            ),
            CONFIG,
            DATA,
            JSON,
        ),
        (
            ("beamclaw config diff", "what waits for the next start"),
            ("beamclaw config diff 3", "what changed since entry 3 was replaced"),
        ),
    ),
    Verb(
        "config history",
        "the files that were replaced, the newest first",
        "config_file:history",
        (CONFIG, DATA, JSON),
        (("beamclaw config history", "the numbers are for diff and rollback"),),
    ),
    Verb(
        "config rollback",
        "put a file of the history back in its place",
        "config_file:rollback",
        (ENTRY, *_WRITES),
        (("beamclaw config rollback 3", "what is replaced by it is kept, too"),),
    ),
)
