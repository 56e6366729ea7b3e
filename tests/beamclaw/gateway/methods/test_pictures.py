"""What is proved: a picture of a conversation is shown to who may read it, and no other."""

import pytest

from tests.beamclaw.gateway.methods.conftest import ended, port
from tests.beamclaw.gateway.socket.talk import connected

KEY = "agent:main:main"
# One pixel.
DATA = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAA"
    "ABJRU5ErkJggg=="
)


async def said(talk) -> str:
    """Say something with a picture; the message's id."""
    given = {
        "sessionKey": "main",
        "message": "look",
        "idempotencyKey": "k1",
        "attachments": [{"type": "image", "mimeType": "image/png", "content": DATA}],
    }
    assert (await talk.call("chat.send", given))["ok"]
    await ended(talk, KEY)
    history = (await talk.call("chat.history", {"sessionKey": "main"}))["payload"]
    first = history["messages"][0]
    assert [block["type"] for block in first["content"]] == ["text", "image"]
    return first["__openclaw"]["id"]


async def picture(talk, **given):
    return await talk.call("beamclaw.picture", {"sessionKey": "main", **given})


async def test_a_picture_is_read_again(talk):
    id = await said(talk)
    answer = await picture(talk, messageId=id)
    assert answer["payload"] == {"mimeType": "image/png", "data": DATA}


@pytest.mark.parametrize(
    "given",
    [
        {"messageId": "999"},
        {"messageId": "x"},
        {"messageId": "1.x"},
        {"messageId": "²"},
    ],
)
async def test_what_is_no_message_has_no_picture(talk, given):
    await said(talk)
    error = (await picture(talk, **given))["error"]
    assert error["details"]["reason"] == "not_found"


async def test_there_are_no_more_pictures_than_there_are(talk):
    id = await said(talk)
    for more in ({"place": 1}, {"sessionKey": "other"}):
        answer = await picture(talk, messageId=id, **more)
        assert answer["error"]["details"]["reason"] == "not_found"


async def test_who_may_not_read_sees_none(start):
    async with start():
        async with connected(port()) as talk:
            id = await said(talk)
        async with connected(port(), scopes=["operator.approvals"]) as talk:
            error = (await picture(talk, messageId=id))["error"]
            assert error["details"]["missingScope"] == "operator.read"
