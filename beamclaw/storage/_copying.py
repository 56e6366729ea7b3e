"""A whole copy of a database, as it was at one moment, while others write it."""

import contextlib
import os
from pathlib import Path

from beamclaw.storage._connecting import Connect, connect_sqlite, set_pragmas
from beamclaw.storage._examining import examine, read_only
from beamclaw.storage._folder import private_file, sync
from beamclaw.storage._refusals import in_words
from beamclaw.storage._schema import Schema


def copy_database(
    path: Path, to: Path, connect: Connect = connect_sqlite, *, alone: bool = False
) -> None:
    """Write all that was committed to *path* into the new file *to*, and sync it.

    Readers and the writer go on; the log beside *path* grows until this is done. Blocks
    on the disk: three seconds or so for a gigabyte.

    Args:
        path: The database.
        to: A file that does not exist; it will be 0600 and needs none beside it.
        connect: How a database is connected to.
        alone: Nobody has it open, and nobody will meanwhile: no file is made beside it.

    Raises:
        DataFolderError: It cannot be read, or its copy not be written. What there is of
            the copy has to be removed.
    """
    with in_words(path, "database"):
        os.close(private_file(to, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with contextlib.closing(connect(read_only(path, alone=alone))) as connection:
            set_pragmas(connection, cache_size=-4_000)
            # Page by page would begin anew with each commit; this is one transaction,
            # and fails with a file that cannot be read to its end.
            connection.execute("VACUUM INTO ?", (str(to),))
        sync(to)


def recognise(
    path: Path, schema: Schema, connect: Connect = connect_sqlite
) -> int | None:
    """The version of a file that nobody uses; None: there is none. Changes nothing.

    Raises:
        DataFolderError: It is damaged, another program's, or from a newer version.
    """
    with in_words(path, schema.what):
        return examine(path, schema, connect)
