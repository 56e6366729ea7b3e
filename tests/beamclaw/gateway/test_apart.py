"""What is proved: what one client does is not another one's, and nobody finds by guessing."""

import orjson
import pytest
import trio

import supervision
from beamclaw.contracts.devices import NAME, SCOPES, Actor, CreateKey
from tests.beamclaw.gateway.edge import forever, until, user
from tests.beamclaw.gateway.socket.talk import connected

OWNER = Actor(by="owner", scopes=SCOPES)


async def key(name: str) -> str:
    order = CreateKey(
        actor=OWNER, tenant="default", name=name, scopes=("operator.write",)
    )
    return (await supervision.call(NAME, order)).secret


async def test_a_key_of_two_clients_is_two_messages(node):
    """Also with the same message: neither is told what the other one was."""
    given = {"idempotency-key": "same"}
    first, second = await key("first"), await key("second")
    for token in (first, second):
        answer = await node.post(user("hello"), given, token=token)
        assert answer.status == 200
    assert len(node.tenant.runs) == 2
    again = await node.post(user("hello"), given, token=first)
    assert again.status == 200
    assert len(node.tenant.runs) == 2


async def test_a_key_that_was_used_takes_no_other_message(node):
    given = {"idempotency-key": "same"}
    assert (await node.post(user("hello"), given)).status == 200
    other = await node.post(user("something else"), given)
    assert other.status == 409
    # A member that programs of others give a meaning to is content like any other.
    named = orjson.dumps(user("hello"))[:-1] + b',"__proto__":{"admin":true}}'
    assert (await node.post(named, given)).status in (200, 400)
    assert len(node.tenant.runs) == 1


async def test_over_the_socket_each_client_has_its_own_keys(node):
    node.tenant.think = forever
    said = {"message": "hello", "sessionKey": "main", "idempotencyKey": "same"}
    tokens = [await key("first"), await key("second")]
    for token in tokens:
        async with connected(
            node.port, auth={"token": token}, scopes=["operator.write"]
        ) as talk:
            assert (await talk.call("agent", said))["ok"]
            error = (await talk.call("agent", said | {"message": "other"}))["error"]
            assert error["code"] == "INVALID_REQUEST"
    assert len(node.tenant.accepted) == 2


async def test_a_run_is_stopped_by_the_name_of_its_session_alone(node):
    node.tenant.think = forever
    async with connected(node.port) as talk:
        said = {"message": "hello", "sessionKey": "agent:main:one"}
        run = await talk.call("agent", said | {"idempotencyKey": "k"})
        run_id = run["payload"]["runId"]
        begun = await node.begun()
        answers = [
            (await talk.call("chat.abort", {"sessionKey": where, "runId": name}))
            for where, name in (
                ("agent:main:two", run_id),
                ("agent:main:two", "nobody"),
                ("agent:bob:one", run_id),
            )
        ]
        # The same as for one that does not exist.
        assert [each["payload"] for each in answers] == [
            {"ok": True, "aborted": False, "runIds": []}
        ] * 3
        assert not begun.aborted.is_set()
        given = {"sessionKey": "agent:main:one", "runId": run_id}
        assert (await talk.call("chat.abort", given))["payload"]["runIds"] == [run_id]
        with trio.fail_after(30):
            await begun.aborted.wait()


@pytest.mark.parametrize("scopes", [["operator.read"], ["operator.approvals"], []])
async def test_who_may_not_write_has_nothing_said_in_his_name(node, scopes):
    async with connected(node.port, scopes=scopes) as talk:
        for method in ("agent", "chat.send", "sessions.send"):
            given = {"message": "x", "sessionKey": "main", "idempotencyKey": "k"}
            assert (await talk.call(method, given))["error"]["code"] == "FORBIDDEN"
    await until(lambda: node.now.connections == 0)
    assert node.tenant.accepted == {}
