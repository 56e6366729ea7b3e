"""The verbs ``beamclaw dashboard``, ``devices …`` and ``keys …``, as a table."""

from collections.abc import Sequence
from typing import Final

from beamclaw.cli.verbs import DATA, JSON, Option, Verb

REQUEST = Option(
    "id", metavar="ID", help="of the request, or so much of it that it is one"
)
DEVICE = Option(
    "id", metavar="ID", help="of the device, or so much of it that it is one"
)
ROLE = Option(
    "--role", default="operator", metavar="ROLE", help="operator (the default) or node"
)
SCOPE = Option(
    "--scope",
    action="append",
    metavar="SCOPE",
    help="what it may be used for, as operator.read; several times for several",
)

ACCESS_VERBS: Final[Sequence[Verb]] = (
    Verb(
        "dashboard",
        "a link that signs a browser in to the node's page",
        "access:dashboard",
        (DATA, JSON),
        (("beamclaw dashboard", "open it soon: it is good once, for five minutes"),),
    ),
    Verb(
        "devices list",
        "devices that wait to be let in, and those that are paired",
        "access:list_devices",
        (DATA, JSON),
        (("beamclaw devices list", "who waits stands first"),),
    ),
    Verb(
        "devices approve",
        "let a device in that waits",
        "access:approve",
        (REQUEST, DATA, JSON),
        (("beamclaw devices approve 6d3f", "the beginning of its id is enough"),),
    ),
    Verb(
        "devices reject",
        "send a device away that waits",
        "access:reject",
        (REQUEST, DATA, JSON),
        (("beamclaw devices reject 6d3f", "it may ask again"),),
    ),
    Verb(
        "devices remove",
        "forget a device; its connections are closed",
        "access:remove",
        (DEVICE, DATA, JSON),
        (("beamclaw devices remove 9f2c", "lost, or sold"),),
    ),
    Verb(
        "devices rename",
        "call a device something",
        "access:rename",
        (DEVICE, Option("label", metavar="NAME", help="the new name"), DATA, JSON),
        (
            (
                "beamclaw devices rename 9f2c 'Kitchen Mac'",
                "as it is listed from now on",
            ),
        ),
    ),
    Verb(
        "devices rotate",
        "make a device's token void; it gets another one",
        "access:rotate",
        (DEVICE, ROLE, SCOPE, DATA, JSON),
        (
            ("beamclaw devices rotate 9f2c", "with the next connection by the token"),
            (
                "beamclaw devices rotate 9f2c --scope operator.read",
                "and one that is good for less",
            ),
        ),
    ),
    Verb(
        "devices revoke",
        "make a device's token void; its connections are closed",
        "access:revoke",
        (DEVICE, ROLE, DATA, JSON),
        (("beamclaw devices revoke 9f2c", "it is still paired"),),
    ),
    Verb(
        "keys list",
        "API keys of programs",
        "access:list_keys",
        (
            Option("--all", action="store_true", help="also those that are void"),
            DATA,
            JSON,
        ),
        (("beamclaw keys list", "never the keys themselves"),),
    ),
    Verb(
        "keys create",
        "make an API key; it is shown this once",
        "access:create_key",
        (
            Option("name", metavar="NAME", help="what it is for"),
            SCOPE,
            Option(
                "--expires",
                metavar="WHEN",
                help="after which it is void: 12h, 7d, 4w (default: never)",
            ),
            DATA,
            JSON,
        ),
        (
            (
                "beamclaw keys create backup --scope operator.read --expires 90d",
                "to look at everything, for three months",
            ),
            (
                "beamclaw keys create bot --scope operator.write",
                "to talk to agents: the default",
            ),
        ),
    ),
    Verb(
        "keys revoke",
        "make an API key void; what is in progress with it is cut off",
        "access:revoke_key",
        (
            Option("id", metavar="ID", help="as it is listed, or as in bck_ID_…"),
            DATA,
            JSON,
        ),
        (("beamclaw keys revoke 4f1c2a9b3e", "at once"),),
    ),
)
