"""What is proved: what a session took is told call by call, its sums growing."""

from beamclaw.contracts.journal import Answered, AttemptFailed, event
from beamclaw.contracts.ledger_rows import Event
from beamclaw.contracts.messages import Usage, said
from beamclaw.gateway.methods.session_series import POINTS, points
from tests.beamclaw.gateway.methods.conftest import said as say
from tests.beamclaw.gateway.methods.test_sessions import KEY, begun, ok, refused


def call(seq: int, usage: Usage, cost: int = 0) -> Event:
    body = Answered(
        attempt=1,
        message=said("assistant", "x"),
        stop_reason="stop",
        usage=usage,
        cost=cost,
    )
    return stored(seq, body)


def stored(seq, body) -> Event:
    new = event(body, at=float(seq))
    return Event(seq=seq, kind=new.kind, version=new.version, at=new.at, body=new.body)


def test_each_call_is_a_point():
    failed = AttemptFailed(
        attempt=1, kind="server", error="e", usage=Usage(4, 0), cost=1_000_000
    )
    free = AttemptFailed(attempt=1, kind="server", error="e")
    found = points(
        [
            call(1, Usage(10, 5, cached=4), 2_000_000),
            stored(2, failed),
            stored(3, free),
        ]
    )
    assert found == [
        {
            "timestamp": 1000,
            "input": 6,
            "output": 5,
            "cacheRead": 4,
            "cacheWrite": 0,
            "totalTokens": 15,
            "cost": 2.0,
            "cumulativeTokens": 15,
            "cumulativeCost": 2.0,
        },
        {
            "timestamp": 2000,
            "input": 4,
            "output": 0,
            "cacheRead": 0,
            "cacheWrite": 0,
            "totalTokens": 4,
            "cost": 1.0,
            "cumulativeTokens": 19,
            "cumulativeCost": 3.0,
        },
    ]


def test_many_calls_are_few_points_with_the_same_sums():
    found = points([call(seq, Usage(1, 1)) for seq in range(1, 1002)])
    assert len(found) <= POINTS
    assert found[-1]["cumulativeTokens"] == 2002
    assert found[-1]["timestamp"] == 1_001_000


async def test_what_a_session_took_is_told(talk):
    made = await begun(talk)
    await say(talk, KEY, "hello", "k1")
    await say(talk, KEY, "again", "k2")
    found = await ok(talk, "sessions.usage.timeseries", {"key": "main"})
    sums = (await ok(talk, "sessions.usage", {"key": "main"}))["totals"]
    assert found["sessionId"] == made["sessionId"]
    assert len(found["points"]) == sums["calls"] == 2
    assert found["points"][-1]["cumulativeTokens"] == sums["totalTokens"]
    found = await ok(talk, "sessions.usage.logs", {"key": "main", "limit": 2})
    assert [line["role"] for line in found["logs"]] == ["user", "assistant"]
    assert found["logs"][0]["content"] == "again"
    assert found["logs"][1]["tokens"] > 0
    for method in ("sessions.usage.timeseries", "sessions.usage.logs"):
        error = await refused(talk, method, {"key": "none"})
        assert error["details"]["reason"] == "session-not-found"
