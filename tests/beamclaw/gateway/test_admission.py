"""Who may ask, as tables."""

from typing import Literal

import pytest

from beamclaw.config.schema import AuthConfig, GatewayConfig
from beamclaw.contracts.outside import InlineWorker, Outside
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.admission import Admission, Asked, names_of
from beamclaw.gateway.auth.access import Access
from beamclaw.gateway.auth.gate import gate_of
from beamclaw.gateway.permission import is_open, principal_of
from beamclaw.gateway.problem import Problem

Mode = Literal["token", "none"]
RULES = Admission(
    hosts=names_of("claw.lan", ["Claw.Example.ORG."]),
    origins=frozenset({"https://chat.example.org"}),
    max_body_bytes=100,
)
BEARER = {"authorization": "Bearer canary"}
JSON = {"content-type": "application/json"}


async def decide(asked: Asked, rules=RULES, mode: Mode = "token") -> Problem | None:
    """As the application does, in this order."""
    config = GatewayConfig(auth=AuthConfig(mode=mode, token=Secret("canary")))
    if (problem := rules.refuse(asked)) is not None:
        return problem
    if not is_open(asked):
        who = await principal_of(
            gate_of(config, Access(), Outside(worker=InlineWorker)), asked
        )
        if isinstance(who, Problem):
            return who
    return rules.refuse_body(asked)


async def refuse(
    headers=(),
    *,
    method="GET",
    path="/v1/models",
    query="",
    rules=RULES,
    mode: Mode = "token",
):
    asked = Asked(
        method=method,
        path=path,
        query=query,
        headers={"host": "localhost:18789"} | BEARER | dict(headers),
        local="192.168.1.5",
        peer="192.168.1.77",
    )
    problem = await decide(asked, rules, mode)
    return None if problem is None else problem.status


@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost", None),
        ("localhost:18789", None),
        ("LOCALHOST:1", None),
        ("localhost.", None),
        ("127.0.0.1:18789", None),
        ("127.8.8.8", None),
        ("[::1]:18789", None),
        ("192.168.1.5:18789", None),
        ("claw.lan", None),
        ("claw.example.org:443", None),
        ("192.168.1.6", 421),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.nip.io", 421),
        ("127.0.0.1@evil.example", 421),
        ("2130706433", 421),
        ("localhost:x", 421),
        ("localhost, evil.example", 421),
        ("", 421),
        ("0.0.0.0", 421),
    ],
)
async def test_only_our_own_names_are_answered_to(host, status):
    assert await refuse({"host": host}) == status


def test_a_client_of_http_1_0_need_not_name_a_host():
    asked = Asked(method="GET", path="/healthz", query="", headers={})
    assert RULES.refuse(asked) is None


@pytest.mark.parametrize(
    "origin, status",
    [
        ("http://localhost:18789", None),
        ("https://chat.example.org", None),
        ("https://localhost:18789", 403),
        ("http://localhost:1", 403),
        ("http://localhost", 403),
        ("http://LOCALHOST:18789", 403),
        ("http://localhost:18789.", 403),
        ("http://127.0.0.1:18789", 403),
        ("https://chat.example.org:8443", 403),
        ("http://chat.example.org", 403),
        ("https://chat.example.org.", 403),
        ("https://CHAT.example.org", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_origins_match_exactly_or_not_at_all(origin, status):
    assert await refuse({"origin": origin}) == status


@pytest.mark.parametrize(
    "authorization, status",
    [
        ("Bearer canary", None),
        ("bearer canary", None),
        ("Bearer  canary ", None),
        ("Bearer canar", 401),
        ("Bearer canary2", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
        ("canary", 401),
        ("Basic canary", 401),
        ("Bearer \xe4\xff", 401),
    ],
)
async def test_the_token_is_a_bearer_token(authorization, status):
    assert await refuse({"authorization": authorization}) == status


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "key", "TOKEN"])
async def test_a_token_in_the_address_is_none(name):
    assert await refuse({"authorization": ""}, query=f"{name}=canary") == 401
    asked = Asked(method="GET", path="/v1/models", query="token=canary", headers={})
    problem = await decide(asked)
    assert problem is not None
    assert "in the address" in problem.message
    assert "canary" not in problem.message


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/startupz"])
async def test_health_and_page_need_no_token(path):
    assert await refuse({"authorization": ""}, path=path) is None
    assert await refuse({"authorization": "", "host": "evil.example"}, path=path) == 421


async def test_proxies_are_not_believed():
    forwarded = {
        "authorization": "",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-host": "localhost",
        "forwarded": "for=127.0.0.1",
        "x-real-ip": "127.0.0.1",
    }
    assert await refuse(forwarded) == 401
    assert await refuse(forwarded | {"host": "evil.example"}) == 421


@pytest.mark.parametrize(
    "headers, status",
    [
        (JSON, None),
        ({"content-type": "application/json; charset=UTF-8"}, None),
        ({"content-type": "Application/JSON"}, None),
        ({}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/jsonx"}, 415),
        (JSON | {"content-encoding": "gzip"}, 415),
        (JSON | {"content-encoding": "identity"}, None),
        (JSON | {"content-encoding": "deflate, gzip"}, 415),
        (JSON | {"content-length": "100"}, None),
        (JSON | {"content-length": "101"}, 413),
    ],
)
async def test_a_body_is_plain_json_of_limited_size(headers, status):
    assert await refuse(headers, method="POST") == status


async def test_without_a_token_to_bring_everybody_on_this_machine_is_let_in():
    assert await refuse({"authorization": ""}, mode="none") is None
    assert await refuse({"origin": "https://evil.example"}, mode="none") == 403
