"""What is proved: who administers the node makes API keys and revokes them; nobody else does."""

import pytest

from tests.beamclaw.gateway.socket.talk import connected

NEW = {"name": "backup", "scopes": ["operator.read"], "seconds": 3600}


async def test_a_key_is_told_once_and_listed_without_itself(node):
    async with connected(node.port) as owner:
        made = (await owner.call("beamclaw.keys.create", NEW))["payload"]
        listed = await owner.call("beamclaw.keys.list")
    secret, key = made["secret"], made["key"]
    assert secret.split("_")[:2] == ["bck", key["id"]]
    assert secret not in str(listed)
    assert secret not in str(node.events)
    assert listed["payload"]["keys"] == [{**key, "own": False}]
    assert key["expiresAtMs"] - key["createdAtMs"] == 3_600_000
    assert "lastUsedAtMs" not in key
    assert (await node.request("GET", "/v1/models", token=secret)).status == 200


async def test_a_revoked_key_cuts_off_whoever_came_with_it(node):
    async with connected(node.port) as owner:
        made = (await owner.call("beamclaw.keys.create", NEW))["payload"]
        async with connected(node.port, auth={"token": made["secret"]}) as reader:
            gone = await owner.call("beamclaw.keys.revoke", {"id": made["key"]["id"]})
            assert gone["payload"]["key"]["revokedAtMs"] > 0
            assert (await reader.closed())[0] == 1008
        again = await owner.call("beamclaw.keys.revoke", {"id": made["key"]["id"]})
        assert "there is no key" in again["error"]["message"]


async def test_a_key_knows_itself_in_the_list(node):
    everything = {"name": "page", "scopes": ["operator.admin"]}
    async with connected(node.port) as owner:
        made = (await owner.call("beamclaw.keys.create", everything))["payload"]
        async with connected(node.port, auth={"token": made["secret"]}) as own:
            (key,) = (await own.call("beamclaw.keys.list"))["payload"]["keys"]
    assert key["own"] is True
    assert "expiresAtMs" not in key


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"name": "  "}, "a key's name has 1 to 64 characters"),
        ({"name": "x" * 65}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["operator.everything"]}, "one or more of the scopes"),
        ({"seconds": 0}, "seconds"),
        ({"seconds": 315_360_001}, "seconds"),
    ],
)
async def test_what_makes_no_key_is_refused_in_words(node, wrong, words):
    async with connected(node.port) as owner:
        answer = await owner.call("beamclaw.keys.create", NEW | wrong)
        assert words in answer["error"]["message"]
        assert (await owner.call("beamclaw.keys.list"))["payload"]["keys"] == []


@pytest.mark.parametrize("verb", ["list", "create", "revoke"])
async def test_no_other_scope_is_enough(node, verb):
    scopes = ["operator.write", "operator.pairing", "operator.approvals"]
    params = {"list": {}, "create": NEW, "revoke": {"id": "x"}}[verb]
    async with connected(node.port, scopes=scopes) as talk:
        answer = await talk.call(f"beamclaw.keys.{verb}", params)
    assert answer["error"]["details"]["missingScope"] == "operator.admin"
