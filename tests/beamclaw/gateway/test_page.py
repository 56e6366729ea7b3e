"""What is proved: the page is small and loads its own files only; a link is good once.

What it does in a browser is in ``tests/integration/page``.
"""

import re
from typing import Any

import attrs
import orjson
import pytest

import supervision
from beamclaw.config.schema import AuthConfig, RateLimitConfig
from beamclaw.contracts.devices import NAME, SCOPES, Actor, ListKeys, MakeLink
from beamclaw.contracts.resources import resource
from beamclaw.contracts.secret import Secret
from beamclaw.gateway.admission import ENTER, PAGE_FILES
from tests.beamclaw.gateway.edge import TOKEN, running
from tests.beamclaw.gateway.socket.talk import connected

OWNER = Actor(by="dashboard", scopes=SCOPES)
# What a browser loads before the first view, Chat, is there.
FIRST = (
    "index.html style.css app.js approvals.js dom.js parts.js viewport.js wire.js "
    "words.js chat.js conversation.js composer.js said.js markdown.js icon.svg"
)


async def link(seconds: float = 60.0, actor: Actor = OWNER) -> str:
    order = MakeLink(actor=actor, seconds=seconds, key_seconds=600.0)
    return (await supervision.call(NAME, order)).code


async def enter(node: Any, code: object, **more: Any) -> Any:
    body = orjson.dumps({"code": code})
    return await node.request("POST", ENTER, body, token=None, **more)


# --- its files


@pytest.mark.parametrize("path", ["/", "/page/"])
async def test_the_page_loads_nothing_from_elsewhere_and_runs_no_text(node, path):
    answer = await node.request("GET", path, token=None)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    own = f"127.0.0.1:{node.port}"
    assert f"connect-src 'self' ws://{own} wss://{own};" in policy
    assert TOKEN.encode() not in answer.body
    # Its document has no script and no style of its own, and names its own files only.
    assert (
        re.findall(rb"<style|<script(?! type=\"module\" src=)| on\w+=", answer.body)
        == []
    )
    named = re.findall(rb'(?:src|href)="([^"#]+)"', answer.body)
    assert named
    assert all(each.startswith(b"/page/") for each in named)


async def test_each_file_is_there_for_everybody_and_sent_when_it_has_changed(node):
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for name in PAGE_FILES:
        answer = await node.request("GET", f"/page/{name}", token=None)
        assert answer.status == 200, name
        assert answer.headers["content-type"].startswith(kinds[name.split(".")[-1]])
        same = {"if-none-match": answer.headers["etag"]}
        again = await node.request("GET", f"/page/{name}", b"", same, token=None)
        assert (again.status, again.body) == (304, b"")
    for wrong in (
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/index.html",
        "/page/x",
    ):
        answer = await node.request("GET", wrong, token=None)
        assert answer.status in (401, 404), wrong


def test_all_files_of_the_folder_are_served_and_no_other():
    there = {path.name for path in resource("web").iterdir()}
    assert there == {"index.html", *PAGE_FILES}


def test_the_first_view_is_less_than_100_kilobytes():
    assert (
        sum((resource("web") / name).stat().st_size for name in FIRST.split()) < 100_000
    )


@pytest.mark.parametrize("name", [name for name in PAGE_FILES if name.endswith(".js")])
def test_no_program_makes_markup_out_of_text(name):
    text = (resource("web") / name).read_text()
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc"
        r"|\beval\(|new Function|createContextualFragment|\.style\b|cssText"
    )
    assert re.findall(forbidden, text) == []
    # Nor does it name another host, or load from one.
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[\w.]+", text) == []


@pytest.mark.parametrize("mode", ["token", "password"])
async def test_the_page_asks_for_what_the_gateway_wants(mode):
    secret = Secret(TOKEN)
    auth = AuthConfig(mode=mode, token=secret, password=secret)
    async with running(auth=auth) as node:
        answer = await node.request("GET", "/", token=None)
    assert f'data-auth="{mode}"'.encode() in answer.body


# --- the door


async def test_a_link_becomes_a_key_that_ends_by_itself(node):
    answer = await enter(node, await link())
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json
    assert given["token"].startswith("bck_")
    (key,) = await supervision.call(NAME, ListKeys(actor=OWNER))
    assert (key.name, key.made_by) == ("page", "dashboard")
    assert key.expires_at is not None
    assert given["expiresAtMs"] == round(key.expires_at * 1000)
    async with connected(node.port, auth={"token": given["token"]}) as talk:
        assert talk.hello["auth"]["scopes"]


async def test_a_link_is_good_once(node):
    code = await link()
    assert (await enter(node, code)).status == 200
    again = await enter(node, code)
    assert again.status == 401
    assert "used before" in again.json["error"]["message"]
    assert code not in str(node.events)


async def test_a_link_that_is_too_old_is_good_for_nothing(node):
    assert (await enter(node, await link(seconds=1e-9))).status == 401
    assert await supervision.call(NAME, ListKeys(actor=OWNER)) == ()


@pytest.mark.parametrize("code", [None, 7, "", "x" * 201, ["x"], {"a": 1}])
async def test_what_is_no_code_is_refused(node, code):
    assert (await enter(node, code)).status == 400
    assert (await enter(node, "nobody-made-this")).status == 401


async def test_a_page_of_somebody_else_spends_no_link(node):
    code = await link()
    evil = {"origin": "https://evil.example", "content-type": "application/json"}
    body = orjson.dumps({"code": code})
    assert (await node.request("POST", ENTER, body, evil, token=None)).status == 403
    # A form of somebody else's page could send this without asking.
    plain = {"content-type": "text/plain"}
    assert (await node.request("POST", ENTER, body, plain, token=None)).status == 415
    assert (await enter(node, code)).status == 200


async def test_who_guesses_codes_has_to_wait():
    rate = RateLimitConfig(max_attempts=2, exempt_loopback=False)
    auth = AuthConfig(token=Secret(TOKEN), rate_limit=rate)
    async with running(auth=auth) as node:
        code = await link()
        found = [(await enter(node, "wrong")).status for _ in range(3)]
        assert found == [401, 401, 429]
        assert (await enter(node, code)).status == 429
        # Nobody is kept out who knows the shared secret.
        assert (await node.request("GET", "/v1/models")).status == 200


async def test_only_who_administers_makes_a_link(node):
    little = attrs.evolve(OWNER, scopes=("operator.read",))
    with pytest.raises(Exception, match=r"missing scope: operator\.admin"):
        await link(actor=little)


async def test_of_many_links_the_latest_are_good(node):
    first, *rest = [await link() for _ in range(17)]
    assert (await enter(node, first)).status == 401
    assert (await enter(node, rest[0])).status == 200


async def test_signing_out_makes_the_key_void(node):
    token = (await enter(node, await link())).json["token"]
    async with connected(node.port, auth={"token": token}) as talk:
        # Whoever is cut off may not hear the answer any more.
        await talk.request("beamclaw.leave")
        assert (await talk.closed())[0] == 1008
    assert (await node.request("GET", "/v1/models", token=token)).status == 401


async def test_who_came_with_the_shared_secret_has_no_key_to_give_back(node):
    async with connected(node.port) as talk:
        answer = await talk.call("beamclaw.leave")
    assert answer["payload"] == {"revoked": False}
