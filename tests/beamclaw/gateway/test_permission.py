"""Keys and scopes over HTTP, on a real socket."""

import re

import pytest
import trio

import supervision
from beamclaw.config.schema import AuthConfig, ProxyConfig, RateLimitConfig
from beamclaw.contracts.devices import (
    NAME,
    SCOPES,
    Actor,
    CreateKey,
    ListKeys,
    NewKey,
    RevokeKey,
)
from beamclaw.contracts.secret import Secret
from beamclaw.gateway import permission
from beamclaw.gateway.admission import Asked
from beamclaw.gateway.auth import scopes
from beamclaw.gateway.auth.principal import Principal
from tests.attacks.surfaces import application, paths
from tests.beamclaw.gateway.edge import TOKEN, forever, read_all, user

OWNER = Actor(by="owner", scopes=SCOPES)


async def key(*names: str, seconds=None) -> NewKey:
    order = CreateKey(
        actor=OWNER,
        tenant="default",
        name="bot",
        scopes=names,
        seconds=seconds,
    )
    return await supervision.call(NAME, order)


def test_the_scopes_that_others_know_are_those_that_there_are():
    assert frozenset(SCOPES) == scopes.ALL


def test_whoever_lacks_the_scope_of_a_path_is_refused():
    app = application()
    for path in paths(app):
        method, _, rule = path.partition(" ")
        sample = re.sub(r"<[^>]*>", "x", rule)
        asked = Asked(method=method, path=sample, query="", headers={})
        for held in scopes.ALL:
            who = Principal(scopes=frozenset({held}))
            problem = permission.forbidden(app, asked, who)
            allowed = scopes.allows(frozenset({held}), permission.SCOPES[path])
            assert (problem is None) is allowed, path
        nobody = Principal(scopes=frozenset())
        assert permission.forbidden(app, asked, nobody) is not None


def test_a_path_that_nobody_has_thought_of_is_the_owners(monkeypatch):
    monkeypatch.setattr(permission, "SCOPES", {})
    from quart import Quart  # noqa: PLC0415 -- of this test alone

    application = Quart("x", static_folder=None)
    application.add_url_rule("/new", "new", lambda: "")
    asked = Asked(method="GET", path="/new", query="", headers={})
    some = Principal(scopes=scopes.ALL - {scopes.ADMIN})
    problem = permission.forbidden(application, asked, some)
    assert problem is not None
    assert problem.message == "missing scope: operator.admin"
    assert permission.forbidden(application, asked, Principal()) is None


@pytest.mark.parametrize(
    "names, models, chat",
    [
        (("operator.read",), 200, 403),
        (("operator.write",), 200, 200),
        (("operator.admin",), 200, 200),
        (("operator.approvals", "operator.pairing"), 403, 403),
    ],
)
async def test_a_key_opens_what_its_scopes_say(node, names, models, chat):
    made = await key(*names)
    answer = await node.request("GET", "/v1/models", token=made.secret)
    assert answer.status == models
    answer = await node.post(user("hi"), token=made.secret)
    assert answer.status == chat
    if chat == 403:
        assert answer.error["code"] == "missing_scope"
        assert not node.tenant.runs


async def test_a_key_is_taken_where_clients_of_anthropic_put_it(node):
    made = await key("operator.read")
    headers = {"x-api-key": made.secret}
    answer = await node.request("GET", "/v1/models", headers=headers, token=None)
    assert answer.status == 200
    wrong = {"x-api-key": "bck_1_wrong"}
    answer = await node.request("GET", "/v1/models", headers=wrong, token=None)
    assert answer.status == 401


async def test_a_stream_ends_when_its_key_is_revoked(node):
    node.tenant.think = forever
    made = await key("operator.write")
    body = (
        b'{"model":"openclaw","stream":true,"messages":[{"role":"user","content":"x"}]}'
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{node.port}\r\n"
        f"Authorization: Bearer {made.secret}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    stream = await node.connect()
    async with stream:
        await stream.send_all(head.encode() + body)
        await node.begun()
        with trio.fail_after(30):
            assert await stream.receive_some(65536)
            await supervision.call(NAME, RevokeKey(actor=OWNER, id=made.key.id))
            await read_all(stream)
    answer = await node.request("GET", "/v1/models", token=made.secret)
    assert answer.status == 401
    assert made.secret not in repr(await supervision.call(NAME, ListKeys(actor=OWNER)))


async def test_whoever_guesses_is_told_to_wait(start):
    limit = RateLimitConfig(max_attempts=3, exempt_loopback=False)
    auth = AuthConfig(token=Secret(TOKEN), rate_limit=limit)
    async with start(auth=auth) as node:
        for _ in range(3):
            answer = await node.request("GET", "/v1/models", token="wrong")
            assert answer.status == 401
        answer = await node.request("GET", "/v1/models")
        assert answer.status == 429
        assert 295 <= int(answer.headers["retry-after"]) <= 300
        assert answer.error["code"] == "rate_limited"
        # What needs no token is not in the way of those who have none.
        assert (await node.request("GET", "/healthz", token=None)).status == 200


async def test_the_password_is_the_secret_where_that_is_the_mode(start):
    auth = AuthConfig(mode="password", password=Secret("pass-canary"))
    async with start(auth=auth) as node:
        answer = await node.request("GET", "/v1/models", token="pass-canary")
        assert answer.status == 200
        assert (await node.request("GET", "/v1/models", token=TOKEN)).status == 401


async def test_a_proxys_user_is_let_in_and_nobody_who_says_so_himself(start):
    proxy = ProxyConfig(
        user_header="x-forwarded-user", allow_loopback=True, allow_users=("ann",)
    )
    auth = AuthConfig(mode="trusted-proxy", proxy=proxy)
    said = {"x-forwarded-user": "ann", "x-forwarded-for": "192.0.2.7"}
    async with start(auth=auth, trusted_proxies=("127.0.0.1",)) as node:
        for headers, status in (
            (said, 200),
            ({**said, "x-forwarded-user": "bob"}, 401),
            ({"x-forwarded-for": "192.0.2.7"}, 401),
        ):
            answer = await node.request(
                "GET", "/v1/models", headers=headers, token=None
            )
            assert answer.status == status
    async with start(auth=auth, trusted_proxies=("192.0.2.1",)) as node:
        answer = await node.request("GET", "/v1/models", headers=said, token=None)
        assert answer.status == 401
        answer = await node.request("GET", "/v1/models", headers=said, token=TOKEN)
        assert answer.status == 401
