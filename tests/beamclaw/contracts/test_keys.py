"""The grammar of session keys, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts import keys
from beamclaw.contracts.keys import BadKey, SessionKey, parse, resolve, resolve_outside


@pytest.mark.parametrize(
    "text, kind",
    [
        ("agent:main:main", "main"),
        ("agent:main:direct:alice", "direct"),
        ("agent:main:telegram:direct:12345", "direct"),
        ("agent:main:whatsapp:home:direct:+491701234567", "direct"),
        ("agent:main:telegram:group:-1001234", "group"),
        ("agent:main:telegram:group:-1001234:topic:7", "group"),
        ("agent:main:slack:channel:C0123:thread:1700000000.000100", "channel"),
        ("agent:main:subagent:6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "subagent"),
        ("agent:main:cron:daily:run:6f9619ff", "cron"),
        ("cron:daily", "cron"),
        ("hook:6f9619ff", "hook"),
        ("node-7", "node"),
        ("global", "global"),
        ("agent:main:openai:6f9619ff", "http"),
        ("agent:main:openai-user:alice@example.org", "http-user"),
        ("agent:main:acp:6f9619ff", "acp"),
        ("agent:main:dashboard:6f9619ff", "dashboard"),
        ("agent:main:my-project", "named"),
        ("agent:main:direct", "named"),
    ],
)
def test_a_key_says_what_sort_of_conversation_it_is(text, kind):
    key = parse(text)
    assert key.kind == kind
    assert str(key) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "agent",
        "agent:main",
        "agent:main:",
        "agent::x",
        "agent:main::x",
        "agent:-main:x",
        "agent:ma in:x",
        "agent:m/../n:x",
        "agent:" + "a" * 65 + ":x",
        "something:else",
        "cron",
        "node-",
        "node-1:x",
        "global:x",
        "agent:main:../../etc/passwd",
        "agent:main:..",
        "agent:main:a/b",
        "agent:main:a\\b",
        "agent:main:__proto__",
        "agent:main:a\nb",
        "agent:main:a\x00b",
        "agent:main:a b",
        "agent:main:a\u202eb",
        "agent:main:ä",
        "agent:main:%zz",
        "agent:main:%",
        "agent:main:" + "a" * 256,
        "agent:main:" + "a:" * 300 + "a",
        "agent:main:" + "x" * 10_000,
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(BadKey):
        parse(text)


@pytest.mark.parametrize(
    "text, full",
    [
        ("main", "agent:bob:main"),
        ("my-project", "agent:bob:my-project"),
        ("telegram:group:5", "agent:bob:telegram:group:5"),
        ("agent:alice:main", "agent:alice:main"),
        ("global", "global"),
        ("node-3", "node-3"),
    ],
)
def test_a_short_name_is_a_conversation_of_the_agent(text, full):
    assert str(resolve(text, "bob")) == full


@pytest.mark.parametrize(
    "text",
    [
        "subagent:1",
        "cron:1",
        "acp:1",
        "SubAgent:1",
        "cron",
        "agent:main:subagent:1",
        "agent:main:cron:1",
        "agent:main:acp:1",
        "agent:main:ACP:1",
        "agent:main:agent:other:subagent:1",
        "Agent:main:cron:1",
    ],
)
def test_nobody_outside_names_a_conversation_of_the_nodes_own(text):
    with pytest.raises(BadKey, match="belong to the node"):
        resolve_outside(text, "main")


def test_a_reserved_word_as_the_name_of_a_person_is_no_namespace():
    assert resolve_outside("telegram:direct:cron", "main").kind == "direct"


@pytest.mark.parametrize(
    "key, text",
    [
        (keys.main("bob"), "agent:bob:main"),
        (keys.http("bob", "1-2"), "agent:bob:openai:1-2"),
        (keys.http_user("bob", "a@b.c"), "agent:bob:openai-user:a@b.c"),
        (keys.http_user("bob", "Ä:b"), "agent:bob:openai-user:%C3%84%3Ab"),
        (keys.http_user("bob", ".."), "agent:bob:openai-user:%2E%2E"),
        (keys.http_user("bob", "__proto__"), "agent:bob:openai-user:%5F_proto__"),
        (keys.direct("bob", "7"), "agent:bob:direct:7"),
        (keys.direct("bob", "7", channel="tg"), "agent:bob:tg:direct:7"),
        (
            keys.direct("bob", "7", channel="tg", account="w"),
            "agent:bob:tg:w:direct:7",
        ),
        (keys.group("bob", "tg", "-5"), "agent:bob:tg:group:-5"),
        (
            keys.in_thread(keys.group("bob", "sl", "C1", kind="channel"), "1.2"),
            "agent:bob:sl:channel:C1:thread:1.2",
        ),
    ],
)
def test_keys_are_built(key, text):
    assert str(key) == text
    assert parse(text) == key


def test_a_thread_is_found_again():
    key = keys.in_thread(keys.group("bob", "tg", "-5"), "9", word="topic")
    assert key.thread == "9"
    assert keys.main("bob").thread is None


@pytest.mark.parametrize("user", ["", "x" * 300, "\ud800"])
def test_a_user_that_makes_no_key_is_refused(user):
    with pytest.raises(BadKey):
        keys.http_user("main", user)


# Twenty characters, each of which may become twelve.
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_different_people_have_different_keys(one, other):
    made = [str(keys.http_user("main", user)) for user in (one, other)]
    assert (made[0] == made[1]) == (one == other)
    assert all(str(parse(text)) == text for text in made)


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_refused(text):
    try:
        key = parse(text)
    except BadKey:
        return
    assert isinstance(key, SessionKey)
    assert str(key) == text
    assert text.isascii()
    assert text.isprintable()
