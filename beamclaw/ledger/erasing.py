"""Erases what deleted sessions held, a little at a time, and shrinks the file.

A deleted session is a row without a key. Its journal is erased first, from the last
event back; what has no index over sessions is found by going through the table once for
all of them. A message that was taken is recognised for a while after that, so its row,
without its body, and its run stay until then, and the session's row with them.
"""

import attrs

from beamclaw.contracts.ledger import Erased
from beamclaw.contracts.ledger_reads import ReadErasable
from beamclaw.storage import Connection

# Of one step: rows, and bytes of events' bodies (one more may reach beyond).
_ROWS = 200
_BYTES = 1024 * 1024
# Rows that are looked at in one step, going through a table: while there is something
# to change among them, and at most. Each changes pages of several indexes, which the
# commit has to write out: measured, that is what a step costs.
_FEW = 50
_MANY = 2_000
# Free pages that stay in the file for what comes next; given back in one step.
_SPARE = 256
_GIVEN_BACK = 16
# Seconds between two rounds through the tables, or so many times as long as one took;
# and at most: the clock may be put on in the middle of one, or the machine be asleep.
_PAUSE = 5.0
_SHARE = 10.0
_LONGEST = 3600.0
# Seconds behind the time that a repeat is recognised: its row goes with the next round
# of the inbox.
_GRACE = 2 * 3600.0

# Later than any time.
_EVER = 1e300

# Not found by their session: by the journal, by time, by the session itself.
_OTHERWISE = frozenset({"sessions", "events", "inbox", "runs"})

# One look by the session's id for each row: a list of all that are deleted would be made
# anew for every step.
_DELETED = """
    EXISTS (SELECT 1 FROM sessions AS s WHERE s.id = {}.session AND s.deleted_at < ?)
"""
_TABLES = """
    SELECT t.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND c.name = 'session'
"""
_INDEXED = """
    SELECT 1 FROM pragma_index_list(?1) AS l JOIN pragma_index_info(l.name) AS c
    WHERE c.seqno = 0 AND c.name = 'session' AND l.partial = 0
    UNION
    SELECT 1 FROM pragma_table_info(?1) WHERE name = 'session' AND pk = 1
"""
_WITH_EVENTS = """
    SELECT id, last_event FROM sessions INDEXED BY sessions_erasing
    WHERE deleted_at IS NOT NULL AND last_event IS NOT NULL LIMIT 1
"""
_ENDS = """
    SELECT
        (SELECT max(deleted_at) FROM sessions WHERE deleted_at IS NOT NULL),
        (SELECT min(deleted_at) FROM sessions WHERE deleted_at IS NOT NULL)
"""
_ANY = "SELECT EXISTS (SELECT 1 FROM sessions WHERE deleted_at IS NOT NULL)"
_CHAIN = """
    WITH RECURSIVE back (id, previous, count, bytes) AS (
        SELECT id, previous, 1, length(body) FROM events WHERE id = ?
        UNION ALL
        SELECT e.id, e.previous, count + 1, bytes + length(e.body)
        FROM back CROSS JOIN events AS e ON e.id = back.previous
        WHERE count < ? AND bytes < ?
    )
    SELECT id, previous FROM back ORDER BY count
"""
# Each with the ids between which it looks, and the time before which was deleted.
_CLEAR_INBOX = f"""
    UPDATE inbox SET body = x'' WHERE id > ? AND id <= ? AND body <> x''
        AND {_DELETED.format("inbox")}
"""
_CLEAR_RUNS = f"""
    UPDATE runs SET text = '', calls = NULL, about = NULL, outcome = 'error', stop_reason = 'error',
        error_kind = 'gone',
        error = 'this message was answered; its conversation has been deleted since'
    WHERE id > ? AND id <= ? AND error_kind IS NOT 'gone' AND {_DELETED.format("runs")}
"""
_SUM_USAGE = f"""
    INSERT INTO usage_sums (day, agent, provider, model, tenant, owner_epoch, calls,
        input, output, cached, estimated, stored, cost)
    SELECT date(u.at, 'unixepoch'), u.agent, u.provider, u.model, u.tenant,
        u.owner_epoch, count(*),
        sum(coalesce(u.input, u.bound_input)), sum(coalesce(u.output, u.bound_output)),
        sum(coalesce(u.cached, u.bound_cached)), max(coalesce(u.estimated, 1)),
        sum(coalesce(u.stored, 0)), sum(coalesce(u.cost, u.bound_cost))
    FROM runs CROSS JOIN usage AS u ON u.run = runs.id
    WHERE runs.id > ? AND runs.id <= ? AND {_DELETED.format("runs")}
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (day, agent, provider, model) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        calls = calls + excluded.calls,
        input = input + excluded.input,
        output = output + excluded.output,
        cached = cached + excluded.cached,
        estimated = max(estimated, excluded.estimated),
        stored = stored + excluded.stored,
        cost = cost + excluded.cost
"""
_DROP_USAGE = f"""
    DELETE FROM usage WHERE run IN (
        SELECT id FROM runs WHERE id > ? AND id <= ? AND {_DELETED.format("runs")}
    )
"""
_DROP = """
    DELETE FROM {0} WHERE rowid > ? AND rowid <= ? AND
"""
# The newest row stays whatever its age, so that no id is ever given twice.
_NOT_NEWEST = """
    AND rowid < (SELECT max(rowid) FROM {0})
"""
# The sessions' own rows, when nothing that was found refers to them any more.
_DROP_SESSIONS = f"""
    DELETE FROM sessions WHERE id IN (
        SELECT id FROM sessions AS d
        WHERE deleted_at < ? AND last_event IS NULL
            AND id <> (SELECT max(id) FROM sessions)
            AND NOT EXISTS (SELECT 1 FROM runs WHERE id = (SELECT max(id) FROM runs)
                AND session = d.id)
            AND NOT EXISTS (SELECT 1 FROM inbox WHERE id = (SELECT max(id) FROM inbox)
                AND session = d.id)
        LIMIT {_FEW}
    )
"""


def erasable(connection: Connection, _: ReadErasable) -> bool:
    """Whether a session was deleted, or the file has room to give back."""
    (deleted,) = connection.execute(_ANY).fetchone()
    return bool(deleted) or (_shrinks(connection) and _in_excess(connection) > 0)


def _shrinks(connection: Connection) -> bool:
    return connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 0


def _in_excess(connection: Connection) -> int:
    """Free pages beyond those that stay in the file."""
    return connection.execute("PRAGMA freelist_count").fetchone()[0] - _SPARE


@attrs.define(eq=False)
class _Round:
    """Going through the tables once, for the sessions deleted up to *since*."""

    began: float
    tables: list[str]
    after: int = 0
    width: int = _FEW

    @property
    def here(self) -> tuple[int, int]:
        """Between which ids the next step looks."""
        return self.after, self.after + self.width

    def go_on(self, rows: int) -> None:
        """The step has changed so many rows."""
        self.after += self.width
        self.width = _FEW if rows else min(_MANY, self.width * 2)


@attrs.define(eq=False)
class Eraser:
    """See the module; used inside transactions that are open.

    Attributes:
        tables: The tables with rows of sessions, whoever made them.
    """

    _connection: Connection
    _kept: float
    tables: tuple[str, ...] = attrs.field(init=False)
    _direct: tuple[str, ...] = attrs.field(init=False)
    _shrinks: bool = attrs.field(init=False)
    _round: _Round | None = attrs.field(init=False, default=None)
    # When the last round began that was brought to its end; when the next one may.
    _done: float = attrs.field(init=False, default=float("-inf"))
    _next: float = attrs.field(init=False, default=float("-inf"))

    def __attrs_post_init__(self) -> None:
        query = self._connection.execute
        self.tables = tuple(row[0] for row in query(_TABLES))
        others = [name for name in self.tables if name not in _OTHERWISE]
        self._direct = tuple(
            name for name in others if query(_INDEXED, (name,)).fetchone() is not None
        )
        self._shrinks = _shrinks(self._connection)

    def forget(self) -> None:
        """The transaction was rolled back: the round begins anew."""
        self._round = None

    def step(self, now: float) -> Erased:
        """Erase a little."""
        rows = self._journals() or self._going_through(now)
        if rows is not None:
            return Erased(more=True, rows=rows)
        pages = self._give_back()
        return Erased(more=pages > 0, pages=pages)

    # --- journals

    def _journals(self) -> int | None:
        found = self._connection.execute(_WITH_EVENTS).fetchone()
        if found is None:
            return None
        session, last = found
        for table in self._direct:
            count = self._some_of(table, session)
            if count:
                return count
        return self._some_events(session, last)

    def _some_of(self, table: str, session: int) -> int:
        columns = [
            row[0]
            for row in self._connection.execute(
                "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk",
                (table,),
            )
        ]
        key = ", ".join(columns) or "rowid"
        some = f"SELECT {key} FROM {table} WHERE session = ? LIMIT ?"
        statement = f"DELETE FROM {table} WHERE ({key}) IN ({some})"
        return self._connection.execute(statement, (session, _ROWS // 10)).rowcount

    def _some_events(self, session: int, last: int) -> int:
        query = self._connection.execute
        chain = query(_CHAIN, (last, _ROWS, _BYTES)).fetchall()
        ids = [row[0] for row in chain]
        marks = ",".join("?" * len(ids))
        query(f"DELETE FROM events WHERE id IN ({marks})", ids)
        before = chain[-1][1] if chain else None
        query("UPDATE sessions SET last_event = ? WHERE id = ?", (before, session))
        return len(ids)

    # --- what has no index

    def _going_through(self, now: float) -> int | None:
        if self._round is None and not self._is_due(now):
            return None
        if self._round is None:
            scanned = [n for n in self.tables if n not in _OTHERWISE]
            scanned = [n for n in scanned if n not in self._direct]
            self._round = _Round(now, ["inbox", "runs", *scanned, "sessions"])
        return self._look(self._round, now)

    def _is_due(self, now: float) -> bool:
        if now < self._done:  # the clock was put back
            self._done = self._next = now
        if now < self._next:
            return False
        youngest, oldest = self._connection.execute(_ENDS).fetchone()
        if youngest is None:
            return False
        # Those that are old enough, but not more often than the inbox is gone through.
        ripe = oldest < self._limit(now) and now - self._done > _GRACE / 2
        return youngest >= self._done or ripe

    def _limit(self, now: float) -> float:
        return now - self._kept - _GRACE

    def _look(self, round_: _Round, now: float) -> int:
        query, table = self._connection.execute, round_.tables[0]
        if table == "sessions":
            rows = query(_DROP_SESSIONS, (self._limit(round_.began),)).rowcount
            ended = rows < _FEW
        else:
            (last,) = query(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
            rows = self._rows_of(table, round_)
            round_.go_on(rows)
            ended = round_.after >= last
        if ended:
            round_.after = 0
            round_.tables.pop(0)
        if not round_.tables:
            self._round, self._done = None, round_.began
            pause = max(_PAUSE, _SHARE * (now - round_.began))
            self._next = now + min(pause, _LONGEST)
        return rows

    def _rows_of(self, table: str, round_: _Round) -> int:
        query = self._connection.execute
        here = round_.here
        now = (*here, _EVER)
        deleted = _DELETED.format(table)
        if table not in _OTHERWISE:
            return query(_DROP.format(table) + deleted, now).rowcount
        if table == "runs":
            query(_SUM_USAGE, now)
            query(_DROP_USAGE, now)
        clear = _CLEAR_RUNS if table == "runs" else _CLEAR_INBOX
        rows = query(clear, now).rowcount
        drop = _DROP.format(table) + deleted + _NOT_NEWEST.format(table)
        return rows + query(drop, (*here, self._limit(round_.began))).rowcount

    # --- the file

    def _give_back(self) -> int:
        """Pages given back to the file system, those in excess of a few."""
        if not self._shrinks:
            return 0
        query = self._connection.execute
        pages = min(_in_excess(self._connection), _GIVEN_BACK)
        if pages <= 0:
            return 0
        for _ in range(pages):
            # However many it is asked for: through Python's module it gives back one.
            query("PRAGMA incremental_vacuum(1)")
        return pages
