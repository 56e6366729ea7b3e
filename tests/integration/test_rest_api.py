"""A node's REST API: it does what its document says, and a turn is gone on with."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Err

from tests.support.model import open_model
from tests.support.node import Node, open_node, uses

pytestmark = pytest.mark.slow

ROUNDS = 10
KEY = "agent:main:main"


def client(node: Node) -> httpx2.AsyncClient:
    headers = {"authorization": f"Bearer {node.token}"}
    return httpx2.AsyncClient(base_url=node.base_url, headers=headers, timeout=60)


def check(node: Node, document: dict[str, Any]) -> set[str]:
    """Send all sorts of things to every operation; which those were."""
    asked: set[str] = set()
    schema = schemathesis.openapi.from_dict(document)
    for result in schema.get_all_operations():
        assert not isinstance(result, Err), result
        operation = result.ok()
        asked.add(f"{operation.method.upper()} {operation.path}")

        @settings(
            max_examples=ROUNDS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.headers["Authorization"] = f"Bearer {node.token}"
            case.call_and_validate(base_url=node.base_url, timeout=30)

        ask()
    return asked


async def test_the_api_does_what_its_document_says(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as http:
        document = (await http.get("/api/openapi.json")).json()
        asked = await trio.to_thread.run_sync(check, node, document)
        assert asked == {
            f"{verb.upper()} {path}"
            for path, verbs in document["paths"].items()
            for verb in verbs
        }
        assert len(asked) == 7


async def test_a_conversation_by_rest_alone(tmp_path: Path):
    async with open_node(tmp_path / "data") as node, client(node) as http:
        path = f"/api/sessions/{KEY}/messages"
        keyed = {"Idempotency-Key": "k1"}
        said = await http.post(path, json={"message": "hello"}, headers=keyed)
        assert said.status_code == 202
        again = await http.post(path, json={"message": "hello"}, headers=keyed)
        assert again.json() == said.json() | {"repeated": True}
        other = await http.post(path, json={"message": "other"}, headers=keyed)
        assert other.status_code == 409
        run_id = said.json()["runId"]
        events = await http.get(f"/api/runs/{run_id}/events")
        assert events.text.startswith("retry: ")
        assert "event: end" in events.text
        run = (await http.get(f"/api/runs/{run_id}")).json()
        assert (run["state"], run["outcome"], run["sessionKey"]) == ("ended", "ok", KEY)
        assert run["text"]
        stopped = await http.post(f"/api/runs/{run_id}/stop")
        assert stopped.json() == {"runId": run_id, "stopped": False}

        rows = (await http.get("/api/sessions", params={"limit": 1})).json()
        assert [row["key"] for row in rows["sessions"]] == [KEY]
        assert rows["next"] is None
        one = await http.get(f"/api/sessions/{KEY}")
        assert one.json()["key"] == KEY
        agents = (await http.get("/api/agents")).json()
        assert agents["default"] == "main"

        for path, status in (
            ("/api/sessions/agent:main:nobody", 404),
            ("/api/runs/nobody", 404),
            ("/api/runs/nobody/events", 404),
            ("/api/sessions?limit=x", 400),
            ("/api/sessions?limit=1&limit=2", 400),
            ("/api/sessions?unknown=1", 400),
        ):
            answer = await http.get(path)
            assert answer.status_code == status, path
            assert answer.json()["error"]["message"]


async def test_a_turn_is_gone_on_with_after_its_node_was_killed(tmp_path: Path):
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, "t40-w20-g5")) as node,
        client(node) as http,
    ):
        path = f"/api/sessions/{KEY}/messages"
        said = (await http.post(path, json={"message": "say <<much>>"})).json()
        path = f"/api/runs/{said['runId']}/events"
        reader = Reader()
        with pytest.raises(httpx2.HTTPError):
            async with http.stream("GET", path) as answer:
                async for line in answer.aiter_lines():
                    reader.take(line)
                    if reader.last and node.running:
                        node.kill9()
        assert reader.text
        assert reader.end is None
        await node.wait()
        await node.start()
        headers = {"Last-Event-ID": reader.last}
        async with (
            client(node) as again,
            again.stream("GET", path, headers=headers) as answer,
        ):
            async for line in answer.aiter_lines():
                reader.take(line)
        async with client(node) as again:
            row = (await again.get(f"/api/runs/{said['runId']}")).json()
    assert reader.end is not None
    assert reader.end["text"] == row["text"]
    assert reader.text == row["text"]
    assert "much" in reader.text


class Reader:
    """What a client makes of the events."""

    def __init__(self) -> None:
        self.text = ""
        self.last = ""
        self.end: dict[str, Any] | None = None
        self._event = ""

    def take(self, line: str) -> None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.last = value
        elif name == "event":
            self._event = value
        elif name == "data":
            data = httpx2.Response(200, text=value).json()
            if self._event == "delta":
                self.text = self.text[: data["offset"]] + data["text"]
            elif self._event == "reset":
                self.text = self.text[: data["offset"]]
            elif self._event == "end":
                self.end = data
