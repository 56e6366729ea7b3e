"""Questions of turns and the answers to them, over the socket of a node with tools."""

import pytest
import trio

from beamclaw.testing.node import Orders
from tests.audit.known import Verdict
from tests.faults.plan import Plan
from tests.faults.stage import Stage, open_stage

KEY = "agent:careful:q"
PLAN = Plan(rounds=(("send",),))


async def asked(stage: Stage, nursery: trio.Nursery) -> dict[str, object]:
    """A turn that waits for a person: its question."""
    nursery.start_soon(stage.ask, PLAN, "q", KEY)
    while True:
        frame = await stage.request("questions")
        if frame["result"]:
            (row,) = frame["result"]
            return row
        await trio.sleep(0.005)


@pytest.mark.slow
async def test_a_question_is_shown_and_its_first_answer_counts(tmp_path):
    async with open_stage(tmp_path, Orders()) as stage, trio.open_nursery() as nursery:
        row = await asked(stage, nursery)
        assert row["session_key"] == KEY
        assert str(row["question"]).startswith("send(")

        to = {"session_key": KEY, "wait_id": row["wait_id"], "by": "owner"}
        wrong = await stage.request("answer", **to, verdict="perhaps")
        assert wrong["error"]["code"] == "params"
        fine = await stage.request("answer", **to, verdict="deny", text="not now")
        assert fine["result"] is True
        wait_id = str(row["wait_id"])
        said = Verdict(wait_id=wait_id, verdict="deny", by="owner", counts=True)
        stage.known.verdicts.append(said)
        late = await stage.request("answer", **to, verdict="allow")
        assert late["error"]["code"] in ("answered", "params")
        await stage.settled()

        assert stage.look() == []
        assert stage.known.effects == []
        results = list(stage.known.book.of_kind("tool-ended"))
        assert "not now" in results[0]["body"]["result"]["text"]
