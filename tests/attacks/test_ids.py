"""What is proved: whatever is given as an id or a name is taken as one, or refused."""

import unicodedata
from urllib.parse import quote

import attrs
import orjson
import pytest

from beamclaw.config.schema import HookConfig, HooksConfig
from beamclaw.contracts import keys
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.sessions import Inbound
from tests.beamclaw.gateway.edge import forever, running, user
from tests.beamclaw.gateway.socket.talk import connected

HOOK = "canary-of-the-hooks"
HOOKS = HooksConfig(
    enabled=True,
    token=Secret(HOOK),
    agents=("main",),
    mappings={"known": HookConfig(message="{{.}}")},
)
HOSTILE = {
    "a header": "a\r\nInjected: yes",
    "a line": "a\n2026-11-21 ERROR injected",
    "an escape": "\x1b[2J\x1b]0;injected\x07",
    "the end of a text": "a\x00b",
    "a way up": "../../../injected",
    "a way up, hidden": "..%2f..%2finjected",
    "a header, hidden": "%0d%0aInjected: yes",
    "a prototype": "__proto__",
    "writing turned round": "\u202egnp.injected",
    "half a character": "a%ed%a0%80",
    "a very long one": "x" * 10_000,
    "another machine": "\\\\injected\\share",
    "a file": "file:///injected",
    "a query": "' OR 1=1; --",
    "nothing": "",
    "blanks": " \t ",
}
PLACES = (
    ("GET", "/v1/models/{}"),
    ("GET", "/v1/responses/{}"),
    ("GET", "/v1/responses/{}/input_items"),
    ("DELETE", "/v1/responses/{}"),
    ("POST", "/v1/responses/{}/cancel"),
    ("GET", "/api/sessions/{}"),
    ("POST", "/api/sessions/{}/messages"),
    ("GET", "/api/runs/{}"),
    ("GET", "/api/runs/{}/events"),
    ("POST", "/api/runs/{}/stop"),
    ("POST", "/hooks/{}"),
    ("GET", "/{0}/{0}"),
    ("GET", "//{}"),
)


def no_line(text: str) -> bool:
    """Whether *text* stays in its line and is read as it is written."""
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in text)


def fits(inbound: Inbound) -> bool:
    """Whether what was made of a request can be a name in a file, a log, a topic."""
    names = (inbound.session_key, inbound.run_id, inbound.agent, inbound.account)
    return (
        all(no_line(name) and len(name) < 1000 for name in names)
        and "../" not in inbound.session_key
        and str(keys.parse(inbound.session_key)) == inbound.session_key
    )


@pytest.fixture
async def node():
    async with running(hooks=HOOKS) as node:
        yield node


@pytest.mark.parametrize("given", HOSTILE.values(), ids=HOSTILE)
async def test_no_header_is_made_of_an_id(node, given: str):
    for verb, place in PLACES:
        path = place.format(quote(given, safe=""))
        body = b'{"message":"x"}' if verb == "POST" else b""
        token = {"token": HOOK} if "hooks" in path else {}
        answer = await node.request(verb, path, body, **token)
        assert not 300 <= answer.status < 400, (path, answer.headers)
        assert answer.status < 500, (path, answer.body)
        assert "injected" not in answer.headers
    assert all(map(fits, node.tenant.inbounds))


@pytest.mark.parametrize("given", HOSTILE.values(), ids=HOSTILE)
async def test_no_id_becomes_a_line_of_its_own(node, given: str):
    named = {"x-openclaw-session-key": quote(given), "idempotency-key": quote(given)}
    for body, headers in (
        (user("x", user=given), {}),
        (user("x") | {"model": given}, {}),
        (user("x"), named),
        (user("x"), {"x-openclaw-agent-id": quote(given)}),
    ):
        answer = await node.post(body, headers)
        assert answer.status < 500, (body, headers, answer.body)
    node.tenant.think = forever
    async with connected(node.port) as talk:
        for more in (
            {"sessionKey": given},
            {"sessionKey": f"agent:main:{given}"},
            {"agentId": given},
            {"idempotencyKey": given},
            {given or "x": 1},
        ):
            said = {"message": "x", "sessionKey": "main", "idempotencyKey": "k"}
            answer = await talk.call("agent", said | more)
            assert answer["ok"] or answer["error"]["code"] == "INVALID_REQUEST"
            told = orjson.dumps(answer).decode()
            assert no_line(told) or given in answer["payload"].values()
        answer = await talk.call(given or "x")
        assert answer["error"]["code"] == "INVALID_REQUEST"
    assert all(map(fits, node.tenant.inbounds))
    assert not [
        event.name
        for event in node.events
        if "crash" in event.name and attrs.asdict(event)["metadata"]
    ]
