"""Conversations: how long they last, how they queue and stream."""

from typing import Annotated

import attrs

from beamclaw.config.schema.fields import ENDLESS, Count, Range, Seconds, Wait, key
from beamclaw.contracts.resets import ResetMode
from beamclaw.contracts.sessions import QueueMode
from beamclaw.values import frozen


@frozen(kw_only=True)
class ResetConfig:
    """When a conversation is over, and the next message begins another one."""

    mode: ResetMode = key(
        "never",
        "never: by /new or /reset only; daily: also with the first message after an\n"
        "hour of the day; idle: also with the first one after a pause.",
    )
    at_hour: Annotated[int, Range(0, 23)] = key(
        4, "For daily: the hour, in sessions.time_zone."
    )
    idle_minutes: Seconds = key(60.0, "For idle: how long the pause is.")


@frozen(kw_only=True)
class RetentionConfig:
    """How long sessions are kept that nobody goes on with."""

    request_seconds: Wait = key(
        86_400.0,
        "Seconds after which the session of a single request is deleted; 0: never.",
    )
    subagent_seconds: Wait = key(
        604_800.0,
        "Seconds after which the session of a sub-agent is deleted; 0: never.",
    )
    response_seconds: Wait = key(
        2_592_000.0,
        "Seconds after which the responses of a conversation over HTTP are deleted that\n"
        "can be followed by others (POST /v1/responses with store); 0: never.",
    )
    archived_seconds: Wait = key(
        0.0, "Seconds after which an archived session is deleted; 0: never."
    )
    repeat_seconds: Seconds = key(
        604_800.0,
        "Seconds for which a message is recognised when it is sent again, also when\n"
        "its session was deleted.",
    )
    every_seconds: Seconds = key(60.0, "Seconds between two looks at what is due.")


@frozen(kw_only=True)
class SessionsConfig:
    """Conversations: how many, how long in memory, how they stream."""

    idle_seconds: Seconds = key(
        300.0, "A session that nothing happens in leaves memory after this time."
    )
    inbox_limit: Count = key(
        10_000, "Accepted messages that wait; one more is refused with 429."
    )
    session_inbox_limit: Count = key(
        1_000, "Of those, for one session: no client takes the place of all others."
    )
    max_awake: Count = key(50_000, "Sessions in memory at once, at most.")
    queue: QueueMode = key(
        "steer",
        "What is done with a message that comes while a turn is in progress. steer:\n"
        "the turn takes it before it asks the model again, if it was asked for the same\n"
        "model, parameters and reply address; followup: it gets a turn of its own;\n"
        "collect: one turn for all that came; interrupt: the turn is stopped.\n"
        "Who waits for an answer over HTTP or in the terminal gets a turn of its own,\n"
        "unless it asks for something else.",
    )
    reset: ResetConfig = attrs.field(factory=ResetConfig)
    time_zone: str = key(
        "", "For hours of the day, as Europe/Berlin. Without one, the system's."
    )
    retention: RetentionConfig = attrs.field(factory=RetentionConfig)
    keep_tokens: Count = key(
        20_000,
        "Tokens of the latest messages that stay as they are when a conversation does\n"
        "not fit into its model any more and what came before is summed up. Together\n"
        "with the summary never more than half of the room for messages: the model's\n"
        "context_window without its answer, the system's words and the tools.",
    )
    summary_seconds: Seconds = key(
        120.0, "Seconds that a model may take for that; then it is done without one."
    )
    snapshot_every: Count = key(
        200,
        "Events of a conversation, at most, until what it comes to is written down\n"
        "whole again, so that not all of it has to be read when it wakes up.",
    )
    ping_pong: Annotated[int, Range(0, ENDLESS)] = key(
        5,
        "Turns that agents may begin in one another's sessions by messages, before a\n"
        "person has to say something.",
    )
    collect_ms: Count = key(
        500, "Milliseconds of quiet before messages are taken together."
    )
    collect_most: Count = key(20, "Messages that one turn takes together, at most.")
    revive_limit: Count = key(
        5, "Times that a turn is taken up again after deaths, before it is given up."
    )
    revive_first: Seconds = key(
        0.05, "Seconds before it is taken up again; doubled for each further time."
    )
    revive_most: Seconds = key(30.0, "The longest such wait.")
    flush_ms: Count = key(
        40, "Text is passed on at most this often (milliseconds), the first at once."
    )
    flush_bytes: Count = key(1024, "Or as soon as this much has come together.")
