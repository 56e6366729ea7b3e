"""What a database file of ours looks like, and how it comes from one version to the next."""

import contextlib
import sqlite3
from collections.abc import Callable

import attrs

Migration = Callable[[sqlite3.Connection], None]


@attrs.frozen(kw_only=True)
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


def tables_of(schema: Schema, version: int) -> set[str]:
    """The tables and indexes of *version*."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        for migrate in schema.migrations[:version]:
            migrate(model)
        return {row[0] for row in model.execute("SELECT name FROM sqlite_master")}
