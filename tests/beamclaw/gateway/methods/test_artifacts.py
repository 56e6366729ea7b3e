"""What is proved: pictures and files of a conversation are found, and given whole."""

import base64

import pytest

from beamclaw.contracts.journal import (
    Body,
    InboundTaken,
    RunStarted,
    SessionReset,
    ToolEnded,
    event,
)
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import (
    File,
    Image,
    Media,
    Message,
    Text,
    ToolResult,
    said,
)
from beamclaw.gateway.events.messages import attached
from beamclaw.gateway.methods import artifacts
from tests.beamclaw.gateway.methods.conftest import ended, port
from tests.beamclaw.gateway.methods.test_pictures import DATA, KEY
from tests.beamclaw.gateway.methods.test_sessions import ok, refused
from tests.beamclaw.gateway.socket.talk import connected
from tests.support.protocol import faults

TEXT = base64.b64encode(b"a,b\n1,2\n").decode()


async def send(talk, id: str, *attachments: dict[str, str]) -> None:
    asked = {"sessionKey": "main", "message": "look", "idempotencyKey": id}
    await ok(talk, "chat.send", {**asked, "attachments": list(attachments)})
    await ended(talk, KEY)


PICTURE = {"mimeType": "image/png", "content": DATA}
TABLE = {"mimeType": "text/csv", "fileName": "t.csv", "content": TEXT}


async def test_what_was_sent_along_is_listed_and_given_again(talk):
    await send(talk, "k1", PICTURE, TABLE)
    await send(talk, "k2", TABLE)
    found = (await ok(talk, "artifacts.list", {"sessionKey": "main"}))["artifacts"]
    assert [(each["type"], each["title"], each["runId"]) for each in found] == [
        ("image", "image", "k1"),
        ("file", "t.csv", "k1"),
        ("file", "t.csv", "k2"),
    ]
    assert {each["sessionKey"] for each in found} == {KEY}
    assert found[1]["sizeBytes"] == len(b"a,b\n1,2\n")
    assert len({each["id"] for each in found}) == 3
    of_turn = await ok(talk, "artifacts.list", {"runId": "k2"})
    assert of_turn["artifacts"] == found[2:]
    for each, data in zip(found, (DATA, TEXT, TEXT), strict=True):
        given = {"sessionKey": "main", "artifactId": each["id"]}
        assert await ok(talk, "artifacts.get", given) == {"artifact": each}
        whole = await ok(talk, "artifacts.download", given)
        assert whole == {"artifact": each, "encoding": "base64", "data": data}


@pytest.mark.parametrize("method", ["artifacts.get", "artifacts.download"])
async def test_one_that_is_not_there_is_refused(talk, method):
    await send(talk, "k1", PICTURE)
    for given in ({"sessionKey": "main"}, {"runId": "k1"}):
        error = await refused(talk, method, {**given, "artifactId": "1-9"})
        assert error["details"]["type"] == "artifact_not_found"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "say of what"),
        ({"taskId": "t"}, "a task has no artifacts"),
        ({"runId": "nobody"}, "there is no such run"),
        ({"sessionKey": "agent:main:none"}, "none"),
        ({"sessionKey": KEY, "agentId": "bob"}, "belongs to agent main"),
    ],
)
async def test_it_has_to_be_said_of_what(talk, given, words):
    assert words in (await refused(talk, "artifacts.list", given))["message"]


@pytest.mark.parametrize("name", ["list", "get", "download"])
async def test_who_may_not_read_sees_none(start, name):
    given = {"sessionKey": "main"} | ({} if name == "list" else {"artifactId": "1-0"})
    async with start(), connected(port(), scopes=["operator.approvals"]) as talk:
        error = await refused(talk, f"artifacts.{name}", given)
    assert error["details"]["missingScope"] == "operator.read"


# --- the journal


def of(*bodies: Body) -> list[Event]:
    made = [event(body, at=1.0, run_id=None) for body in bodies]
    return [
        Event(seq=seq, kind=new.kind, version=new.version, at=new.at, body=new.body)
        for seq, new in enumerate(made, 1)
    ]


def taken(*media: Media) -> InboundTaken:
    message = Message("user", (Text("look"), *media))
    return InboundTaken(messages=(said("user", "x"), message), inbox_id=1)


IMAGE, AWAY = Image(data=DATA, media_type="image/png"), Image(url="https://e.org/a.png")
STARTED = RunStarted(epoch=1, agent="main", definition="d")


def test_what_a_tool_has_shown_is_among_it():
    result = ToolResult("c", "here", media=(IMAGE,))
    (found,) = attached(of(STARTED, ToolEnded(outcome="ok", result=result)))
    assert (found.id, found.seq, found.media) == ("2-0", 2, IMAGE)


def test_one_of_several_messages_is_told_apart():
    assert [one.id for one in attached(of(taken(IMAGE, AWAY)))] == ["1.1-0", "1.1-1"]


def test_a_conversation_that_is_over_has_none_any_more():
    reset = SessionReset(reason="new", session_id="s")
    assert [one.seq for one in attached(of(taken(IMAGE), reset, taken(AWAY)))] == [3]


@pytest.mark.peer("gateway-protocol")
@pytest.mark.parametrize(
    ("media", "mode"),
    [
        (IMAGE, "bytes"),
        (AWAY, "url"),
        (Image(), "unsupported"),
        (File("", "text/plain", data=TEXT), "bytes"),
    ],
)
def test_how_it_can_be_had(media, mode):
    (found,) = attached(of(taken(media)))
    shown = artifacts._shown(KEY, found)
    assert shown["download"] == {"mode": mode}
    assert faults("ArtifactSummary", shown) == []
