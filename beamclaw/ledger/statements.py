"""Every statement that writes a ledger, and the look-ups that writing needs.

Those with :class:`~beamclaw.storage.Rows` take any number of rows at once.
"""

from beamclaw.storage import Rows

LAST_IDS = """
    SELECT
        (SELECT coalesce(max(id), 0) FROM sessions),
        (SELECT coalesce(max(id), 0) FROM events),
        (SELECT coalesce(max(id), 0) FROM runs),
        (SELECT coalesce(max(id), 0) FROM inbox)
"""
WAITING = "SELECT id, session, run_id FROM inbox WHERE taken_at IS NULL"

OPEN_WAITS = """
    SELECT wait_id, session, run_id, question, at, expires_at, verdict, by, text,
        answered_at, closed_at, agent, digest, details, granting, always
    FROM waits WHERE closed_at IS NULL
"""

HELD_GRANTS = """
    SELECT agent, tool, pattern, arguments FROM grants WHERE revoked_at IS NULL
"""

OPEN_CHILDREN = """
    SELECT run_id, session, parent_session, parent_run, call_id, kind, mode, state, at,
        model_calls, tool_calls, tokens, seconds, cost, tainted
    FROM children WHERE state <> 'closed'
"""

OPEN_WORK = "SELECT run, agent, at, used, reserved, root_id FROM work"

SPENT = """
    SELECT tokens, cost, calls, ms FROM spent WHERE scope = ? AND key = ? AND day = ?
"""
RESERVED = """
    SELECT agent, at, root_id, bound_input, bound_output, bound_cached, bound_cost
    FROM usage WHERE run = ? AND attempt = ? AND settled_at IS NULL
"""

SESSIONS_BY_KEY = Rows(
    """
    SELECT s.id, s.key, s.session_id, s.agent, s.seq, s.last_event, s.created_at,
        s.updated_at, s.channel, s.ephemeral, s.parent, s.archived_at, s.deleted_at,
        s.deleted_key, s.root, t.key, s.label, s.model, s.thinking, s.verbosity,
        r.run_id
    FROM sessions AS s
    LEFT JOIN sessions AS t ON t.id = s.root AND t.deleted_at IS NULL
    LEFT JOIN runs AS r ON r.session = s.id AND r.state = 'running'
    WHERE s.key IN (VALUES
    """,
    width=1,
    tail=")",
)
RUNS_BY_ID = Rows(
    """
    SELECT id, run_id, session, state, run_epoch, revivals, queued_at, opened_at,
        claimed_at
    FROM runs WHERE run_id IN (VALUES
    """,
    width=1,
    tail=")",
)
ACCEPTED = Rows(
    "WITH given (source, account, conversation, external_id) AS (VALUES",
    width=4,
    tail=""")
    SELECT i.source, i.account, i.conversation, i.external_id, i.fingerprint, i.id,
        i.run_id, coalesce(s.deleted_key, s.key), i.at
    FROM given CROSS JOIN inbox AS i USING (source, account, conversation, external_id)
    CROSS JOIN sessions AS s ON s.id = i.session
    """,
)

PUT_SESSIONS = Rows(
    """
    INSERT INTO sessions (tenant, owner_epoch, id, key, session_id, agent, seq,
        last_event, created_at, updated_at, channel, ephemeral)
    VALUES
    """,
    width=10,
    tail="""
    ON CONFLICT (id) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        agent = excluded.agent,
        seq = excluded.seq,
        last_event = excluded.last_event,
        updated_at = excluded.updated_at
    """,
    shared=2,
)
# What seldom changes: not with every commit of a session.
CHANGE_SESSION = """
    UPDATE sessions SET
        owner_epoch = ?, key = ?, session_id = ?, parent = ?, archived_at = ?,
        deleted_at = ?, deleted_key = ?, root = ?, label = ?, model = ?, thinking = ?,
        verbosity = ?
    WHERE id = ?
"""
FORGET_PURSE = "DELETE FROM spent WHERE scope = ? AND key = ? AND day = ?"
FORGET_WARNINGS = "DELETE FROM warnings WHERE scope = ? AND key = ? AND day = ?"
WARNINGS = "SELECT measure, cap FROM warnings WHERE scope = ? AND key = ? AND day = ?"
# Of an update all right-hand sides are those before it.
FORGET_SNAPSHOTS = """
    INSERT INTO snapshots
        (tenant, owner_epoch, session, barred, seq, version, body)
    VALUES (?1, ?2, ?3, ?4, 0, '', x'')
    ON CONFLICT (session) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        barred = excluded.barred,
        seq = iif(seq > ?5, 0, seq),
        version = iif(seq > ?5, '', version),
        body = iif(seq > ?5, x'', body)
"""
PUT_EVENTS = Rows(
    """
    INSERT INTO events (tenant, owner_epoch, id, session, seq, previous, kind, version,
        at, run_id, run_epoch, parent, origin, sender, reply_to, body)
    VALUES
    """,
    width=14,
    shared=2,
)
PUT_INBOX = Rows(
    """
    INSERT INTO inbox (tenant, owner_epoch, id, source, account, conversation,
        external_id, fingerprint, session, run_id, at, body)
    VALUES
    """,
    width=10,
    shared=2,
)
TAKE_INBOX = Rows(
    """
    UPDATE inbox SET taken_at = given.column1
    FROM (VALUES
    """,
    width=1,
    tail=") AS given WHERE inbox.id = given.column2",
    shared=1,
)
PUT_RUNS = Rows(
    """
    INSERT INTO runs (tenant, owner_epoch, run_epoch, id, run_id, session, state,
        revivals, queued_at, opened_at, claimed_at, ended_at, outcome, stop_reason,
        text, input, output, cached, estimated, stored, error_kind, error, calls,
        joined, about)
    VALUES
    """,
    width=23,
    tail="""
    ON CONFLICT (id) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        run_epoch = excluded.run_epoch,
        state = excluded.state,
        revivals = excluded.revivals,
        opened_at = excluded.opened_at,
        claimed_at = excluded.claimed_at,
        ended_at = excluded.ended_at,
        outcome = excluded.outcome,
        stop_reason = excluded.stop_reason,
        text = excluded.text,
        input = excluded.input,
        output = excluded.output,
        cached = excluded.cached,
        estimated = excluded.estimated,
        stored = excluded.stored,
        error_kind = excluded.error_kind,
        error = excluded.error,
        calls = excluded.calls,
        joined = excluded.joined
    """,
    shared=2,
)
PUT_USAGE = Rows(
    """
    INSERT INTO usage (tenant, owner_epoch, run, attempt, run_epoch, agent, provider,
        model, at, root_id, bound_input, bound_output, bound_cached, bound_cost)
    VALUES
    """,
    width=12,
    shared=2,
)
SETTLE_USAGE = Rows(
    """
    UPDATE usage SET
        settled_at = given.column3,
        input = given.column4,
        output = given.column5,
        cached = given.column6,
        estimated = given.column7,
        stored = given.column8,
        cost = given.column9
    FROM (VALUES
    """,
    width=9,
    tail=""") AS given
    WHERE usage.run = given.column1 AND usage.attempt = given.column2
        AND usage.settled_at IS NULL
    """,
)
PUT_DEFINITIONS = Rows(
    "INSERT INTO definitions (tenant, owner_epoch, hash, body) VALUES",
    width=2,
    tail="ON CONFLICT (hash) DO NOTHING",
    shared=2,
)
PUT_OUTBOX = Rows(
    """
    INSERT INTO outbox (tenant, owner_epoch, run_epoch, key, session, run_id, reply_to,
        body, at)
    VALUES
    """,
    width=7,
    tail="ON CONFLICT (key) DO NOTHING",
    shared=2,
)
PUT_SNAPSHOTS = Rows(
    """
    INSERT INTO snapshots (tenant, owner_epoch, session, seq, version, body) VALUES
    """,
    width=4,
    tail="""
    ON CONFLICT (session) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        seq = excluded.seq,
        version = excluded.version,
        body = excluded.body
    WHERE excluded.seq > max(snapshots.seq, snapshots.barred)
    """,
    shared=2,
)
PUT_OUTPUTS = Rows(
    """
    INSERT INTO outputs (tenant, owner_epoch, run_epoch, session, run_id, at, pointer,
        length, untrusted, piece, body)
    VALUES
    """,
    width=9,
    tail="ON CONFLICT (pointer, piece) DO NOTHING",
    shared=2,
)
PUT_WAITS = Rows(
    """
    INSERT INTO waits (tenant, owner_epoch, wait_id, session, run_id, question, at,
        expires_at, verdict, by, text, answered_at, closed_at, agent, digest, details,
        granting, always)
    VALUES
    """,
    width=16,
    tail="""
    ON CONFLICT (wait_id) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        verdict = excluded.verdict,
        by = excluded.by,
        text = excluded.text,
        answered_at = excluded.answered_at,
        closed_at = excluded.closed_at,
        always = excluded.always
    """,
    shared=2,
)
PUT_GRANTS = Rows(
    """
    INSERT INTO grants (tenant, owner_epoch, agent, tool, pattern, arguments, words, at,
        by, wait_id)
    VALUES
    """,
    width=8,
    tail="""
    ON CONFLICT (agent, tool, pattern, arguments) WHERE revoked_at IS NULL DO NOTHING
    """,
    shared=2,
)
REVOKE_GRANT = """
    UPDATE grants SET owner_epoch = ?, revoked_at = ?, revoked_by = ?
    WHERE id = ? AND revoked_at IS NULL
    RETURNING agent, tool, pattern, arguments
"""
# The highest id stays, or the next grant would have it, too.
FORGET_GRANTS = """
    DELETE FROM grants WHERE id IN (
        SELECT id FROM grants WHERE revoked_at IS NOT NULL
        ORDER BY id = (SELECT max(id) FROM grants) DESC, revoked_at DESC, id DESC
        LIMIT -1 OFFSET ?
    )
"""
PUT_CHILDREN = Rows(
    """
    INSERT INTO children (tenant, owner_epoch, run_id, session, parent_session,
        parent_run, call_id, kind, mode, state, at, model_calls, tool_calls, tokens,
        seconds, cost, tainted)
    VALUES
    """,
    width=15,
    tail="""
    ON CONFLICT (run_id) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        state = excluded.state,
        model_calls = excluded.model_calls,
        tool_calls = excluded.tool_calls,
        tokens = excluded.tokens,
        seconds = excluded.seconds,
        cost = excluded.cost,
        tainted = excluded.tainted
    """,
    shared=2,
)
PUT_SPENT = Rows(
    """
    INSERT INTO spent (tenant, owner_epoch, scope, key, day, tokens, cost, calls, ms)
    VALUES
    """,
    width=7,
    tail="""
    ON CONFLICT (day, scope, key) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        tokens = excluded.tokens,
        cost = excluded.cost,
        calls = excluded.calls,
        ms = excluded.ms
    """,
    shared=2,
)
PUT_WORK = Rows(
    """
    INSERT INTO work (tenant, owner_epoch, run, run_epoch, agent, at, used, reserved,
        root_id)
    VALUES
    """,
    width=7,
    tail="""
    ON CONFLICT (run) DO UPDATE SET
        owner_epoch = excluded.owner_epoch,
        run_epoch = excluded.run_epoch,
        agent = excluded.agent,
        at = excluded.at,
        used = excluded.used,
        reserved = excluded.reserved,
        root_id = excluded.root_id
    """,
    shared=2,
)
DROP_WORK = "DELETE FROM work WHERE run = ?"
PUT_COMMANDS = Rows(
    """
    INSERT INTO commands (tenant, owner_epoch, session, command_id, agent, title, at)
    VALUES
    """,
    width=5,
    tail="ON CONFLICT (command_id) DO NOTHING",
    shared=2,
)
FORGET_ABOUT = "UPDATE runs SET about = NULL WHERE run_id = ? AND session = ?"
DROP_COMMAND = "DELETE FROM commands WHERE command_id = ?"
PUT_WARNINGS = Rows(
    """
    INSERT INTO warnings (tenant, owner_epoch, scope, key, day, measure, cap, at) VALUES
    """,
    width=6,
    tail="ON CONFLICT (day, scope, key, measure, cap) DO NOTHING",
    shared=2,
)
