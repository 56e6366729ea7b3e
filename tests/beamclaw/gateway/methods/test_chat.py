"""What is proved: a message that expects something else than is there is not taken."""

from typing import Any

import pytest

from tests.beamclaw.gateway.socket.talk import Talk

from .conftest import ended

KEY = "agent:main:main"


async def send(talk: Talk, id: str, **more: Any) -> Any:
    asked = {"sessionKey": "main", "message": id, "idempotencyKey": id}
    answer = await talk.call("chat.send", asked | more)
    if answer["ok"]:
        await ended(talk, KEY)
        return answer["payload"]
    return answer["error"]["details"]["reason"]


async def history(talk: Talk) -> tuple[str, list[str]]:
    """Id of the conversation, and of its messages."""
    payload = (await talk.call("chat.history", {"sessionKey": "main"}))["payload"]
    return payload["sessionId"], [
        each["__openclaw"]["id"] for each in payload["messages"]
    ]


async def test_a_message_stands_behind_the_one_that_its_sender_has_seen(talk: Talk):
    first = await send(talk, "k1", expectedLeafEntryId=None)
    assert first["status"] == "started"
    # Asked again it is the same, though there is a last message by now.
    assert (await send(talk, "k1", expectedLeafEntryId=None))["status"] == "ok"
    assert await send(talk, "k2", expectedLeafEntryId=None) == "active-leaf-changed"
    session_id, ids = await history(talk)
    assert await send(talk, "k2", expectedLeafEntryId=ids[0]) == "active-leaf-changed"
    other = {"expectedLeafEntryId": ids[-1], "sessionId": "other"}
    assert await send(talk, "k2", **other) == "active-leaf-changed"
    assert (await send(talk, "k2", expectedLeafEntryId=ids[-1]))["status"] == "started"
    # Who names the conversation may have seen an earlier part of it.
    earlier = {"expectedLeafEntryId": ids[0], "sessionId": session_id}
    assert (await send(talk, "k3", **earlier))["status"] == "started"
    gone = {"expectedLeafEntryId": "99", "sessionId": session_id}
    assert await send(talk, "k4", **gone) == "active-leaf-changed"


@pytest.mark.parametrize(
    "given, reason",
    [
        ({"expectedPermissionMode": "full"}, "session-settings-changed"),
        ({"expectedToolOverrides": {"webSearch": False}}, "session-settings-changed"),
        ({"expectedSessionRoutingContract": "x"}, "session-routing-changed"),
    ],
)
async def test_what_no_session_has_here_cannot_be_expected(talk: Talk, given, reason):
    assert await send(talk, "k1", **given) == reason
    nothing = {"expectedPermissionMode": None, "expectedToolOverrides": {}}
    assert (await send(talk, "k1", **nothing))["status"] == "started"
