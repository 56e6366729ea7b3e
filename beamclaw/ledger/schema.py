"""The tables of a tenant's ledger, from the first version on.

Every row has the tenant and the owner epoch it was written under; a run's rows also
the run's epoch. Ids are integers and ascend; whatever is found by a text from outside
has one unique index. What is looked for among many (a waiting message, an open run) has
a partial index that holds nothing else.

The journal has no index over (session, seq). Events are only ever appended, each row
names the event of its session before it, and the session's row the last one, so a
journal is read by going back from there, and any part of its end as well. An index
would have one page to rewrite and sync for each session in a transaction: measured, it
halves the commits per second.
"""

from beamclaw.storage import Schema, statements

_FIRST = (
    """
    CREATE TABLE meta (
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        key TEXT NOT NULL UNIQUE,
        session_id TEXT NOT NULL,
        agent TEXT NOT NULL,
        seq INTEGER NOT NULL,
        last_event INTEGER REFERENCES events (id),
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id),
        seq INTEGER NOT NULL,
        previous INTEGER REFERENCES events (id),
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        at REAL NOT NULL,
        run_id TEXT,
        run_epoch INTEGER NOT NULL,
        parent INTEGER,
        origin TEXT NOT NULL,
        sender TEXT,
        reply_to TEXT,
        body BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        source TEXT NOT NULL,
        account TEXT NOT NULL,
        conversation TEXT NOT NULL,
        external_id TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id),
        run_id TEXT NOT NULL,
        at REAL NOT NULL,
        body BLOB NOT NULL,
        taken_at REAL,
        UNIQUE (source, account, conversation, external_id)
    )
    """,
    "CREATE INDEX inbox_waiting ON inbox (session, id) WHERE taken_at IS NULL",
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        run_epoch INTEGER NOT NULL,
        run_id TEXT NOT NULL UNIQUE,
        session INTEGER NOT NULL REFERENCES sessions (id),
        state TEXT NOT NULL,
        revivals INTEGER NOT NULL,
        queued_at REAL,
        opened_at REAL,
        claimed_at REAL,
        ended_at REAL,
        outcome TEXT,
        stop_reason TEXT,
        text TEXT NOT NULL,
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cached INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        error_kind TEXT,
        error TEXT
    )
    """,
    # Unique: a session has one run in progress.
    "CREATE UNIQUE INDEX runs_open ON runs (session) WHERE state = 'running'",
    """
    CREATE TABLE usage (
        run INTEGER NOT NULL REFERENCES runs (id),
        attempt INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        run_epoch INTEGER NOT NULL,
        agent TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        at REAL NOT NULL,
        bound_input INTEGER NOT NULL,
        bound_output INTEGER NOT NULL,
        bound_cached INTEGER NOT NULL,
        settled_at REAL,
        input INTEGER,
        output INTEGER,
        cached INTEGER,
        estimated INTEGER,
        PRIMARY KEY (run, attempt)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX usage_by_time ON usage (at)",
    """
    CREATE TABLE definitions (
        hash TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        run_epoch INTEGER NOT NULL,
        key TEXT NOT NULL UNIQUE,
        session INTEGER NOT NULL REFERENCES sessions (id),
        run_id TEXT NOT NULL,
        reply_to TEXT NOT NULL,
        body BLOB NOT NULL,
        at REAL NOT NULL
    )
    """,
)

_SECOND = (
    "ALTER TABLE usage ADD COLUMN bound_cost INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE usage ADD COLUMN cost INTEGER",
    """
    CREATE TABLE spent (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        day TEXT NOT NULL,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        PRIMARY KEY (day, scope, key)
    ) WITHOUT ROWID
    """,
    "ALTER TABLE runs ADD COLUMN joined TEXT",
    """
    CREATE TABLE waits (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        wait_id TEXT NOT NULL UNIQUE,
        session INTEGER NOT NULL REFERENCES sessions (id),
        run_id TEXT NOT NULL,
        question TEXT NOT NULL,
        at REAL NOT NULL,
        expires_at REAL NOT NULL,
        verdict TEXT,
        by TEXT,
        text TEXT NOT NULL,
        answered_at REAL,
        closed_at REAL
    )
    """,
    "CREATE INDEX waits_open ON waits (session) WHERE closed_at IS NULL",
)

_THIRD = (
    # Turns that work for a tool call of a turn in another session.
    """
    CREATE TABLE children (
        run_id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id),
        parent_session INTEGER NOT NULL REFERENCES sessions (id),
        parent_run TEXT NOT NULL,
        call_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        mode TEXT NOT NULL,
        state TEXT NOT NULL,
        at REAL NOT NULL,
        model_calls INTEGER NOT NULL,
        tool_calls INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        seconds REAL NOT NULL,
        cost INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX children_open ON children (parent_session) WHERE state <> 'closed'",
    "CREATE INDEX children_by_session ON children (session)",
    "CREATE INDEX children_by_parent ON children (parent_session)",
    "CREATE INDEX children_spawned ON children (at) WHERE kind = 'spawn'",
    # What is known of a session beside its journal.
    "ALTER TABLE sessions ADD COLUMN channel TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN ephemeral INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN parent TEXT",
    "ALTER TABLE sessions ADD COLUMN label TEXT",
    "ALTER TABLE sessions ADD COLUMN model TEXT",
    "ALTER TABLE sessions ADD COLUMN thinking TEXT",
    "ALTER TABLE sessions ADD COLUMN verbosity TEXT",
    "ALTER TABLE sessions ADD COLUMN archived_at REAL",
    # A deleted session gives its key away and keeps it here until it is erased.
    "ALTER TABLE sessions ADD COLUMN deleted_at REAL",
    "ALTER TABLE sessions ADD COLUMN deleted_key TEXT",
    "UPDATE sessions SET ephemeral = 1 WHERE key GLOB 'agent:*:openai:*'",
    # These hold only what their question is about; none changes with a turn.
    """
    CREATE INDEX sessions_ephemeral ON sessions (created_at)
    WHERE ephemeral = 1 AND deleted_at IS NULL
    """,
    """
    CREATE INDEX sessions_archived ON sessions (archived_at)
    WHERE archived_at IS NOT NULL AND deleted_at IS NULL
    """,
    "CREATE INDEX sessions_deleted ON sessions (deleted_at) WHERE deleted_at IS NOT NULL",
    """
    CREATE INDEX sessions_deleted_key ON sessions (deleted_key, id)
    WHERE deleted_key IS NOT NULL
    """,
    """
    CREATE INDEX sessions_erasing ON sessions (id)
    WHERE deleted_at IS NOT NULL AND last_event IS NOT NULL
    """,
    # What runs cost whose session was erased.
    """
    CREATE TABLE usage_sums (
        day TEXT NOT NULL,
        agent TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        input INTEGER NOT NULL,
        output INTEGER NOT NULL,
        cached INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (day, agent, provider, model)
    ) WITHOUT ROWID
    """,
    # One for each session, replaced by a later one; of an event up to `barred` none may
    # come any more, see ForgetSnapshots.
    """
    CREATE TABLE snapshots (
        session INTEGER PRIMARY KEY REFERENCES sessions (id),
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        barred INTEGER NOT NULL DEFAULT 0,
        seq INTEGER NOT NULL,
        version TEXT NOT NULL,
        body BLOB NOT NULL
    )
    """,
    # What tools said, in pieces, so that any part of it is found without the rest.
    """
    CREATE TABLE outputs (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        run_epoch INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id),
        run_id TEXT NOT NULL,
        at REAL NOT NULL,
        pointer TEXT NOT NULL,
        length INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (pointer, piece)
    )
    """,
    "CREATE INDEX outputs_of_session ON outputs (session)",
    # Of which caps was told that they are nearly reached.
    """
    CREATE TABLE warnings (
        day TEXT NOT NULL,
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        measure TEXT NOT NULL,
        cap INTEGER NOT NULL,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (day, scope, key, measure, cap)
    ) WITHOUT ROWID
    """,
)

_FOURTH = (
    # What a person agrees to, and what is allowed for good if they want that (as JSON).
    "ALTER TABLE waits ADD COLUMN agent TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE waits ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE waits ADD COLUMN details TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE waits ADD COLUMN granting TEXT",
    "ALTER TABLE waits ADD COLUMN always INTEGER NOT NULL DEFAULT 0",
    # What persons have allowed for good. It is the agent's, no session's.
    """
    CREATE TABLE grants (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        agent TEXT NOT NULL,
        tool TEXT NOT NULL,
        pattern TEXT NOT NULL,
        arguments TEXT NOT NULL,
        words TEXT NOT NULL,
        at REAL NOT NULL,
        by TEXT NOT NULL,
        wait_id TEXT NOT NULL,
        revoked_at REAL,
        revoked_by TEXT NOT NULL DEFAULT ''
    )
    """,
    """
    CREATE UNIQUE INDEX grants_held ON grants (agent, tool, pattern, arguments)
    WHERE revoked_at IS NULL
    """,
    # Words of strangers were in the conversation that has come to this result.
    "ALTER TABLE children ADD COLUMN tainted INTEGER NOT NULL DEFAULT 0",
    # Commands that go on in the background; a row goes when its session was told of the
    # end.
    """
    CREATE TABLE commands (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        session INTEGER NOT NULL REFERENCES sessions (id),
        command_id TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        title TEXT NOT NULL,
        at REAL NOT NULL
    )
    """,
    "CREATE INDEX commands_of_session ON commands (session)",
)

_FIFTH = (
    # Tool calls that whoever has asked carries out (as JSON), and what was kept with the
    # run by who has accepted its message.
    "ALTER TABLE runs ADD COLUMN calls TEXT",
    "ALTER TABLE runs ADD COLUMN about BLOB",
    "CREATE INDEX runs_about ON runs (session) WHERE about IS NOT NULL",
    """
    CREATE INDEX sessions_responses ON sessions (created_at)
    WHERE key GLOB 'agent:*:openai-response:*' AND deleted_at IS NULL
    """,
)

_SIXTH = (
    # Whose words a tool has said; of what is older nobody knows.
    "ALTER TABLE outputs ADD COLUMN untrusted INTEGER NOT NULL DEFAULT 1",
    # How long turns have worked, where that is limited; and of those in progress how
    # much longer they may, until their end closes the account.
    "ALTER TABLE spent ADD COLUMN ms INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE work (
        run INTEGER PRIMARY KEY REFERENCES runs (id),
        tenant TEXT NOT NULL,
        owner_epoch INTEGER NOT NULL,
        run_epoch INTEGER NOT NULL,
        agent TEXT NOT NULL,
        at REAL NOT NULL,
        used INTEGER NOT NULL,
        reserved INTEGER NOT NULL
    )
    """,
)

_SEVENTH = (
    # The conversation that a sub-agent works for in the end, whose purse pays, too: the
    # top of the chain of those that were spawned, whatever is deleted in between.
    "ALTER TABLE sessions ADD COLUMN root INTEGER",
    # UNION, not UNION ALL: it ends, whatever the rows say.
    """
    WITH RECURSIVE up (session, above, depth) AS (
        SELECT session, parent_session, 1 FROM children WHERE kind = 'spawn'
        UNION
        SELECT up.session, c.parent_session, depth + 1
        FROM up JOIN children AS c ON c.session = up.above AND c.kind = 'spawn'
        WHERE depth < 100
    )
    UPDATE sessions SET root = (
        SELECT above FROM up WHERE up.session = sessions.id ORDER BY depth DESC LIMIT 1
    )
    WHERE id IN (SELECT session FROM up)
    """,
    # What stands in its purse: the session_id of that conversation as it was, because
    # one that begins anew has an empty one. Of what is older nothing stands there.
    "ALTER TABLE usage ADD COLUMN root_id TEXT",
    "ALTER TABLE work ADD COLUMN root_id TEXT",
)

_EIGHTH = (
    # Of the input, what was written into the provider's cache.
    "ALTER TABLE runs ADD COLUMN stored INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE usage ADD COLUMN stored INTEGER",
    "ALTER TABLE usage_sums ADD COLUMN stored INTEGER NOT NULL DEFAULT 0",
)

LEDGER = Schema(
    what="ledger",
    application_id=0x42434C47,  # "BCLG"
    rises="SELECT owner_epoch FROM meta",
    migrations=(
        statements(*_FIRST),
        statements(*_SECOND),
        statements(*_THIRD),
        statements(*_FOURTH),
        statements(*_FIFTH),
        statements(*_SIXTH),
        statements(*_SEVENTH),
        statements(*_EIGHTH),
    ),
)
