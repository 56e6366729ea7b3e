"""What is proved: a hook has its own token, says what it may, and nothing is said twice."""

import orjson
import pytest

from beamclaw.config.schema import (
    AuthConfig,
    HookConfig,
    HooksConfig,
    RateLimitConfig,
)
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.hooks.calls import filled
from tests.beamclaw.gateway.edge import TOKEN, running

HOOK = "canary-of-the-hooks"
HOOKS = HooksConfig(
    enabled=True,
    token=Secret(HOOK),
    agents=("main",),
    max_body_bytes=10_000,
    mappings={
        "mail": HookConfig(message="Mail of {{from}}: {{parts[0].text}}"),
        "shared": HookConfig(message="{{.}}", session="hook:shared", agent="bob"),
        "ping": HookConfig(message="ping", action="wake"),
    },
)


async def call(node, name, body, *, token: str | None = HOOK, **headers):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return await node.request("POST", f"/hooks/{name}", raw, headers, token=token)


async def test_an_agent_is_given_something_to_do_in_a_conversation_of_its_own():
    async with running(hooks=HOOKS) as node:
        body = {
            "message": "do it",
            "name": "Mail",
            "thinking": "low",
            "timeoutSeconds": 9,
        }
        answer = await call(node, "agent", body)
        assert (answer.status, answer.json["ok"]) == (200, True)
        (inbound,) = node.tenant.inbounds
    assert inbound.run_id == answer.json["runId"]
    assert inbound.session_key.startswith("agent:main:hook:")
    assert inbound.messages[-1].text == "do it"
    assert (inbound.params.thinking, inbound.params.seconds) == ("low", 9)
    assert inbound.sender == "hook:Mail"
    # Whoever made the other program call: words of strangers.
    assert inbound.tainted


async def test_a_wake_is_said_in_the_main_conversation():
    async with running(hooks=HOOKS) as node:
        answer = await call(node, "wake", {"text": "look", "mode": "now"})
        assert answer.json["eventOutcome"] == "queued"
        await call(node, "ping", {})
        keys = [inbound.session_key for inbound in node.tenant.inbounds]
    assert keys == ["agent:main:main", "agent:main:main"]


async def test_a_mapping_words_what_it_is_given():
    async with running(hooks=HOOKS) as node:
        await call(node, "mail", {"from": "Ann", "parts": [{"text": "hello"}]})
        await call(node, "shared", {"a": [1]})
        first, second = node.tenant.inbounds
    assert first.messages[-1].text == "Mail of Ann: hello"
    assert second.messages[-1].text == '{"a": [1]}'
    assert (second.session_key, second.agent) == ("agent:bob:hook:shared", "bob")


async def test_a_repeat_under_one_key_is_the_same_call():
    async with running(hooks=HOOKS) as node:
        given = {"idempotency-key": "k1"}
        first = await call(node, "agent", {"message": "once"}, **given)
        again = await call(node, "agent", {"message": "once"}, **given)
        other = await call(node, "agent", {"message": "twice"}, **given)
        assert again.json == first.json
        assert other.status == 409
        assert len(node.tenant.inbounds) == 1


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        (None, {}),
        (TOKEN, {}),
        ("", {}),
        (None, {"x-openclaw-token": TOKEN}),
        (None, {"authorization": f"Basic {HOOK}"}),
    ],
)
async def test_only_the_hooks_own_token_is_taken(token, headers):
    async with running(hooks=HOOKS) as node:
        body = {"message": "x"}
        answer = await call(node, "agent", body, token=token, **headers)
        assert answer.status == 401
        assert node.tenant.inbounds == []


async def test_the_token_is_taken_by_its_other_header_and_never_in_the_address():
    async with running(hooks=HOOKS) as node:
        header = {"x-openclaw-token": HOOK}
        answer = await call(node, "agent", {"message": "x"}, token=None, **header)
        assert answer.status == 200
        answer = await call(node, f"agent?token={HOOK}", {"message": "x"}, token=None)
        assert answer.status == 401


@pytest.mark.parametrize("path", ["/v1/models", "/api/sessions", "/api/agents"])
async def test_the_hooks_token_opens_nothing_else(path):
    async with running(hooks=HOOKS) as node:
        answer = await node.request("GET", path, token=HOOK)
        assert answer.status == 401


async def test_who_guesses_is_locked_out():
    limit = RateLimitConfig(max_attempts=2, exempt_loopback=False)
    auth = AuthConfig(token=Secret(TOKEN), rate_limit=limit)
    async with running(hooks=HOOKS, auth=auth) as node:
        for _ in range(2):
            await call(node, "agent", {"message": "x"}, token="wrong")
        answer = await call(node, "agent", {"message": "x"})
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
        # The gateway's own door is another one.
        assert (await node.request("GET", "/v1/models")).status == 200


async def test_without_hooks_there_is_nothing():
    async with running() as node:
        answer = await call(node, "agent", {"message": "x"}, token=TOKEN)
        assert answer.status == 404


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("agent", {}, 400, "'message' is missing"),
        ("agent", {"message": ""}, 400, "/message"),
        ("agent", {"message": "x", "more": 1}, 400, "no 'more'"),
        ("agent", {"message": "x", "agentId": "bob"}, 400, "hooks.agents"),
        ("agent", {"message": "x", "sessionKey": "main"}, 400, "allow_session_key"),
        ("agent", {"message": "x", "deliver": True}, 400, "no channels"),
        ("agent", {"message": "x", "timeoutSeconds": -1}, 400, "timeoutSeconds"),
        ("agent", {"message": "x", "waitForCompletion": True}, 400, "/events"),
        ("agent", {"message": "x", "model": "no/such"}, 400, "no"),
        ("agent", {"message": "x" * 20_000}, 413, "max_body_bytes"),
        ("agent", b"{", 400, "JSON"),
        ("agent", [], 400, "expected an object"),
        ("wake", {"text": "x", "mode": "next-heartbeat"}, 400, "heartbeats"),
        ("nothing", {}, 404, "no hook 'nothing'"),
        ("agent/../wake", {}, 404, "no hook"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(name, body, status, words):
    async with running(hooks=HOOKS) as node:
        answer = await call(node, name, body)
        assert answer.status == status
        assert words in answer.error["message"]
        assert node.tenant.inbounds == []


async def test_a_call_may_name_its_conversation_where_that_is_allowed():
    hooks = HooksConfig(enabled=True, token=Secret(HOOK), allow_session_key=True)
    async with running(hooks=hooks) as node:
        given = {"message": "x", "sessionKey": "desk"}
        assert (await call(node, "agent", given)).status == 200
        given["sessionKey"] = "subagent:x"
        assert (await call(node, "agent", given)).status == 400
        given["sessionKey"] = "agent:bob:main"
        assert (await call(node, "agent", given)).status == 400
        given = {"message": "x", "name": "Mail box", "sessionMode": "persistent"}
        assert (await call(node, "agent", given)).status == 200
        keys = [inbound.session_key for inbound in node.tenant.inbounds]
    assert keys == ["agent:main:desk", "agent:main:hook:Mail%20box"]


@pytest.mark.parametrize(
    ("template", "body", "text"),
    [
        ("{{a}} {{ b.c[1] }}", {"a": 1, "b": {"c": [0, "x"]}}, "1 x"),
        ("{{a.b.c}}|{{x[9]}}|{{x[-1]}}", {"a": 3, "x": []}, "||"),
        ("{{a}}", {"a": "{{b}}", "b": "no"}, "{{b}}"),
        ("{{.}}", [1, "ö"], '[1, "ö"]'),
        ("{a} {{}} {{{a}}}", {"a": 1}, '{a} {"a": 1} {1}'),
        ("{{a}}", None, ""),
    ],
)
def test_what_stands_in_a_message(template, body, text):
    assert filled(template, body) == text
