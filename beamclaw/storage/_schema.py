"""What a database file of ours looks like, and how it comes from one version to the next."""

import contextlib
import functools
import sqlite3
from collections.abc import Callable

from beamclaw.values import frozen

Migration = Callable[[sqlite3.Connection], None]


@frozen(kw_only=True)
class Schema:
    """What a file of ours looks like.

    Attributes:
        what: What the file is, for messages: ``ledger``.
        application_id: Tells our files from those of other programs.
        migrations: From nothing to the present; the version is their number. One that
            has been released is never changed again.
        rises: A query for a number of a table of one page that never falls: a log that
            says less than its file is a log of earlier days.
    """

    what: str
    application_id: int
    migrations: tuple[Migration, ...]
    rises: str | None = None

    @property
    def version(self) -> int:
        """The version that this program reads and writes."""
        return len(self.migrations)


def statements(*sql: str) -> Migration:
    """A migration that runs *sql*, one after the other."""

    def migrate(connection: sqlite3.Connection) -> None:
        for statement in sql:
            connection.execute(statement)

    return migrate


@frozen(kw_only=True)
class Model:
    """What the migrations come to.

    Attributes:
        tables: The names of the tables and indexes.
        script: The statements that make a new file the same in one go.
    """

    tables: frozenset[str]
    script: tuple[str, ...]


# What is altered step by step takes SQLite five times as long as what is made at once, and
# every file that is opened is compared with its model.
@functools.cache
def model_of(schema: Schema, version: int) -> Model:
    """A file of *version*, made in memory by the migrations, so there is one truth."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        for migrate in schema.migrations[:version]:
            migrate(model)
        tables = frozenset(
            row[0] for row in model.execute("SELECT name FROM sqlite_master")
        )
        # Between the first and the last, which begin and end a transaction.
        _, *script, _ = model.iterdump()
    return Model(tables=tables, script=tuple(script))
