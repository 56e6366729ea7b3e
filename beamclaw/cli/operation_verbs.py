"""The verbs for whoever runs a node: ``backup``, ``restore``, ``doctor``, ``service``."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import CONFIG, DATA, JSON, LAST_GOOD, Option, Verb

_SYSTEM: Final = Option(
    "--system",
    action="store_true",
    help="of the whole machine, not of this user",
)
_USER: Final = Option(
    "--user", metavar="NAME", help="who runs it, with --system (default: you)"
)

OPERATION_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "backup",
        "put all of the data folder into one file; the node goes on",
        "backup:run",
        (
            Option(
                "file",
                nargs="?",
                metavar="FILE",
                help="what to write; it must not exist (default: "
                "beamclaw-TIME.backup here)",
            ),
            CONFIG,
            DATA,
            JSON,
        ),
        (
            ("beamclaw backup", "into this folder"),
            ("beamclaw backup /mnt/disk/monday.backup", "into that file"),
        ),
    ),
    Verb(
        "restore",
        "put a backup in the place of the data folder",
        "backup:restored",
        (
            Option("file", metavar="FILE", help="the backup"),
            Option(
                "--check",
                action="store_true",
                help="read and compare all of it, list it, and change nothing",
            ),
            Option(
                "--force",
                action="store_true",
                help="put aside what is in the folder; nothing of it is removed",
            ),
            DATA,
            JSON,
        ),
        (
            ("beamclaw restore --check monday.backup", "is it whole, what is in it"),
            ("beamclaw restore monday.backup", "into a folder that is empty"),
            (
                "beamclaw restore monday.backup --data /tmp/trial",
                "somewhere else, to try it",
            ),
        ),
    ),
    Verb(
        "doctor",
        "find out what is not as it should be, and what to do",
        "doctor:run",
        (
            Option(
                "--online",
                action="store_true",
                help="ask each provider, too: it is told the key",
            ),
            Option(
                "--repair",
                nargs="?",
                const="all",
                metavar="NAME",
                choices=("all", "modes", "leftovers", "token", "indexes"),
                help="put right what can be, after asking for each; or only NAME: "
                "modes, leftovers, token, indexes",
            ),
            Option("--yes", action="store_true", help="repair without asking"),
            CONFIG,
            DATA,
            JSON,
        ),
        (
            ("beamclaw doctor", "with a node running or not; changes nothing"),
            ("beamclaw doctor --online", "do the providers answer, and take the keys"),
            ("beamclaw doctor --repair", "put right what can be, and look again"),
        ),
    ),
    Verb(
        "service show",
        "print the unit for systemd",
        "service:show",
        (_SYSTEM, _USER, CONFIG, DATA, LAST_GOOD, JSON),
        (
            ("beamclaw service show", "of this user"),
            ("beamclaw service show --system --user agent", "of the whole machine"),
        ),
    ),
    Verb(
        "service install",
        "write the unit, and say how to start it",
        "service:install",
        (
            _SYSTEM,
            _USER,
            Option("--force", action="store_true", help="replace another one"),
            CONFIG,
            DATA,
            LAST_GOOD,
            JSON,
        ),
        (
            ("beamclaw service install", "in ~/.config/systemd/user"),
            ("sudo beamclaw service install --system", "in /etc/systemd/system"),
        ),
    ),
    Verb(
        "service remove",
        "take the unit away",
        "service:remove",
        (_SYSTEM, JSON),
        (("beamclaw service remove", "of this user; the data stays"),),
    ),
)
