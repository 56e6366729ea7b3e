"""The tables of node.db, from the first version on."""

from beamclaw.storage import Schema, statements

_FIRST = (
    """
    CREATE TABLE node (
        id TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE tenants (
        id TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        epoch INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)

_ACCESS = (
    """
    CREATE TABLE devices (
        id TEXT PRIMARY KEY,
        body BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE device_tokens (
        device TEXT NOT NULL,
        role TEXT NOT NULL,
        hash BLOB,
        body BLOB NOT NULL,
        PRIMARY KEY (device, role)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE api_keys (
        id TEXT PRIMARY KEY,
        hash BLOB,
        body BLOB NOT NULL
    ) WITHOUT ROWID
    """,
)

_PROVIDERS = (
    """
    CREATE TABLE provider_days (
        day TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (day, provider, model)
    ) WITHOUT ROWID
    """,
)

NODE = Schema(
    what="node's own file",
    application_id=0x42434E44,  # "BCND"
    # Each start of a node claims its tenants: the first that stands in a log.
    rises="SELECT sum(epoch) FROM tenants",
    migrations=(statements(*_FIRST), statements(*_ACCESS), statements(*_PROVIDERS)),
)
