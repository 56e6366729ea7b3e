"""The configuration changes while the node runs: what is open goes on, what comes has it."""
# ruff: noqa: ASYNC110 -- another process, and what it says, is looked at

import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.model import Model, open_model
from tests.support.node import Node, completion, free_port, open_node, uses
from tests.support.wire import Response, once

pytestmark = pytest.mark.slow

PLAN = "t5-w0-g0"
HELD = "t5-w0-g0-hold2"


def write(file: Path, document: dict[str, Any]) -> None:
    """As an editor does: beside it, then in its place."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(document))
    os.replace(draft, file)  # noqa: PTH105 -- what editors do


async def until(found: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not found():
            await trio.sleep(0.02)


def applied(node: Node) -> int:
    """How often it has taken a file over."""
    return node.stderr().count("beamclaw.config.applied")


def words(answer: Response) -> str:
    return answer.json()["choices"][0]["message"]["content"]


async def test_a_limit_is_raised_in_the_file_and_the_next_turn_has_it(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    file = data / "beamclaw.yaml"
    write(file, {"limits": {"day": {"calls": 1}}})
    async with (
        open_model() as model,
        open_node(data, env=uses(model.url, PLAN)) as node,
    ):
        first = await node.complete("say <<one>>")
        refused = await node.complete("say <<two>>")
        write(file, {"limits": {"day": {"calls": 5}}})
        await until(lambda: applied(node) == 1)
        third = await node.complete("say <<three>>")

        # Broken: nothing changes, and the message names line and key.
        file.write_text("limits:\n  day:\n    calls: many\n")
        await until(lambda: "config.not_applied" in node.stderr())
        fourth = await node.complete("say <<four>>")
        said = node.stderr()

    assert first.status == third.status == fourth.status == 200
    assert "limits.day.calls" in words(refused)
    assert len(model.calls) == 3
    assert "beamclaw.yaml:3" in said
    assert applied(node) == 1


async def test_a_provider_moves_while_an_answer_of_it_is_read(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    file = data / "beamclaw.yaml"

    def document(model: Model, plan: str) -> dict[str, Any]:
        provider = {"api": "openai", "base_url": model.url, "api_key": "key-of-fakes"}
        main = {"model": f"fake/{plan}"}
        return {"providers": {"fake": provider}, "agents": {"main": main}}

    got: list[Response] = []
    async with open_model() as old, open_model() as new:
        write(file, document(old, HELD))
        async with open_node(data) as node, trio.open_nursery() as nursery:

            async def ask() -> None:
                got.append(await node.complete("say <<open>>"))

            nursery.start_soon(ask)
            await old.wait_answered("open", 2)
            write(file, document(new, PLAN))
            await until(lambda: applied(node) == 1)
            second = await node.complete("say <<second>>")
            old.release.set()
    assert [answer.status for answer in got] == [200]
    assert words(got[0]).endswith(" 4")
    assert words(second).startswith("answer to <<second>>")
    assert (len(old.calls), len(new.calls)) == (1, 1)


async def test_the_listener_moves_and_what_is_open_goes_on(tmp_path: Path):
    data, port = tmp_path / "data", free_port()
    data.mkdir()
    write(data / "beamclaw.yaml", {"gateway": {"port": port}})
    got: list[Response] = []
    async with (
        open_model() as model,
        open_node(data, env=uses(model.url, HELD), port=None) as node,
    ):
        old, other = node.base_url, free_port()
        new = f"http://127.0.0.1:{other}"
        with await node.connect() as connection:
            async with trio.open_nursery() as nursery:

                async def ask() -> None:
                    headers = {**node.bearer, "Content-Type": "application/json"}
                    body = completion("say <<open>>")
                    path = "/v1/chat/completions"
                    got.append(await connection.request("POST", path, headers, body))

                nursery.start_soon(ask)
                await model.wait_answered("open", 2)
                said = await node.command("config", "set", "gateway.port", str(other))
                model.release.set()
            # An answer is not the end of it: who is connected asks on.
            got.append(await connection.request("GET", "/healthz", {}))
        with pytest.raises(ConnectionRefusedError):
            await once(f"{old}/healthz")
        got.append(await once(f"{new}/v1/models", headers=node.bearer))
        status, link = await node.command("status"), await node.command("dashboard")
    assert old == f"http://127.0.0.1:{port}"
    assert "it holds now" in said.out
    assert [answer.status for answer in got] == [200, 200, 200]
    assert words(got[0]).endswith(" 4")
    assert new in status.out
    assert f"{new}/page/" in link.out
    assert old not in status.out + link.out


async def test_a_limit_of_the_gateway_holds_for_who_comes_and_not_for_what_is_open(
    tmp_path: Path,
):
    data = tmp_path / "data"
    got: list[Response] = []
    async with (
        open_model() as model,
        open_node(data, env=uses(model.url, HELD)) as node,
        trio.open_nursery() as nursery,
    ):

        async def ask() -> None:
            got.append(await node.complete("say <<open>>"))

        nursery.start_soon(ask)
        await model.wait_answered("open", 2)
        said = await node.command("config", "set", "gateway.max_messages", "7")
        assert "it holds now" in said.out
        many = [{"role": "user", "content": "x"}] * 8
        refused = await node.complete("", messages=many)
        model.release.set()
    assert refused.status == 400
    assert "7" in refused.json()["error"]["message"]
    assert [answer.status for answer in got] == [200]


async def test_what_cannot_be_begun_that_way_changes_nothing(tmp_path: Path):
    """An address that this machine does not have; the answer says so, and why."""
    data = tmp_path / "data"
    data.mkdir()
    write(data / "beamclaw.yaml", {"gateway": {"auth": {"token": "x" * 40}}})
    async with open_node(data) as node:
        said = await node.command("config", "set", "gateway.host", "203.0.113.7")
        alive = await once(f"{node.base_url}/healthz")
        held = await node.command("config", "diff")
    assert alive.status == 200
    assert "goes on with what it had" in said.out
    assert "203.0.113.7" in said.out
    assert "gateway.host" in held.out


async def test_a_port_that_another_has_changes_nothing(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    write(data / "beamclaw.yaml", {"gateway": {"port": free_port()}})
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        async with open_node(data, port=None) as node:
            with await node.connect() as connection:
                said = await node.command("config", "set", "gateway.port", str(taken))
                before = await connection.request("GET", "/healthz", {})
            after = await once(f"{node.base_url}/healthz")
            status = await node.command("status")
    assert f"port {taken} on 127.0.0.1 is in use by another program" in said.out
    assert "goes on with what it had" in said.out
    assert (before.status, after.status) == (200, 200)
    assert node.base_url in status.out


async def test_keys_that_wait_for_the_next_start_are_named_until_they_are_put_back(
    tmp_path: Path,
):
    """Also when the edit changes no other key."""
    words = "at the next start: tools.max_calls (calls in progress would have to be"
    async with open_node(tmp_path / "data") as node:
        done = await node.command("config", "set", "tools.max_calls", "7")
        assert "it holds at the next start of the node" in done.out
        assert words in node.stderr()
        back = await node.command("config", "unset", "tools.max_calls")
        assert "written; nothing is different" in back.out
        assert "waiting   " not in (await node.command("status")).out
        assert applied(node) == 2
        assert node.stderr().count("nothing waits for the next start") == 1
        (node.data / "beamclaw.yaml").write_text("tools: {max_calls: many}\n")
        wrong = await node.command("config", "diff")
    assert (wrong.code, wrong.out) == (2, "")
    assert "the file cannot be used; see: beamclaw config check" in wrong.err


async def test_a_token_that_the_file_does_not_name_any_more_is_the_kept_one(
    tmp_path: Path,
):
    data = tmp_path / "data"
    data.mkdir()
    file, named = data / "beamclaw.yaml", "x" * 40
    write(file, {"gateway": {"auth": {"token": named}}})

    async def status(token: str) -> int:
        # Whoever asked for any port (0) finds another one after the gateway's new start.
        found = (await node.command("status", "--json")).json()
        assert isinstance(found, dict)
        answer = await once(f"{found['address']}/v1/models", headers=bearer(token))
        return answer.status

    async with open_node(data, token="") as node:
        before = await status(named)
        write(file, {})
        await until(lambda: applied(node) == 1)
        after = await status(named)
        kept = await status((data / "token").read_text().strip())
    assert (before, after, kept) == (200, 401, 200)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_start_with_a_broken_file_is_by_the_last_good_one_if_that_is_wanted(
    tmp_path: Path,
):
    data = tmp_path / "data"
    data.mkdir()
    file = data / "beamclaw.yaml"
    write(file, {"limits": {"day": {"calls": 7}}})
    async with open_node(data) as node:
        await until((data / "config-history/last-good.json").exists)
        # What was taken over while it ran is the last good one, too.
        write(file, {"limits": {"day": {"calls": 8}}})
        await until(lambda: applied(node) == 1)
        await node.stop()
    file.write_text("limits: {day: {calls: many}}\n")
    refused = await node.command("run", "--port", "0")
    assert (refused.code, refused.out) == (2, "")
    assert f"{file}:1:23: limits.day.calls: expected a whole number" in refused.err
    assert f"with --last-good it starts by what {file} said since 20" in refused.err

    async with open_node(data, options=("--last-good",)) as node:
        said = node.stderr()
        assert f"warning: starting by what {file} said since 20" in said
        shown = await node.command("status", "--json")
        assert '"limit": 8' in shown.out
        await until(lambda: "beamclaw.config.not_applied" in node.stderr())
        assert "limits.day.calls: expected a whole number" in node.stderr()
        before = applied(node)
        write(file, {"limits": {"day": {"calls": 9}}})
        await until(lambda: applied(node) == before + 1)
        shown = await node.command("status", "--json")
        assert '"limit": 9' in shown.out
        await node.stop()

    other = tmp_path / "other.yaml"
    other.write_text("[]\n")
    nothing = await node.command(
        "run", "--config", str(other), "--last-good", "--port", "0"
    )
    assert nothing.code == 2
    assert "none is kept that could be used before" in nothing.err


def told(node: Node) -> int:
    """How often it has refused what it found."""
    return node.stderr().count("beamclaw.config.not_applied")


async def limit(node: Node) -> int:
    """The calls of a day that hold at the moment."""
    said = await node.command("status", "--json")
    found = re.search(r'"measure": "calls", "used": 0, "limit": (\d+)', said.out)
    assert found is not None, said.out
    return int(found[1])


async def test_included_files_are_followed_one_is_edited_one_broken_one_removed(
    tmp_path: Path,
):
    data = tmp_path / "data"
    parts = data / "parts"
    parts.mkdir(parents=True)
    limits, agents = parts / "limits.yaml", parts / "agents.yaml"
    (data / "beamclaw.yaml").write_text(
        "limits: {$include: parts/limits.yaml}\nagents: {$include: parts/agents.yaml}\n"
    )
    limits.write_text("# ours\nday: {calls: 7}\n")
    agents.write_text("main: {name: One}\n")
    async with open_node(data) as node:
        assert await limit(node) == 7
        limits.write_text("# ours\nday: {calls: 8}\n")
        await until(lambda: applied(node) == 1)
        assert await limit(node) == 8

        agents.write_text("main:\n  name: [One]\n")
        await until(lambda: told(node) == 1)
        wrong = f"{agents}:2:9: agents.main.name: expected a text, found a list"
        assert wrong in node.stderr()
        checked = await node.command("config", "check")
        assert (checked.code, wrong in checked.err) == (2, True)
        agents.write_text("main: {name: Two}\n")
        await until(lambda: applied(node) == 2)

        limits.unlink()
        await until(lambda: told(node) == 2)
        gone = f"limits.$include: {limits} cannot be read: No such file or directory"
        assert f"{data}/beamclaw.yaml:1:20: {gone}" in node.stderr()
        assert await limit(node) == 8
        limits.write_text("day: {calls: 9}\n")
        await until(lambda: applied(node) == 3)
        assert await limit(node) == 9

        # A command writes beside what is included, and never that.
        refused = await node.command("config", "set", "limits.day.calls", "3")
        assert refused.code == 1
        assert f"limits.day.calls stands in {limits}:1:14" in refused.err
        done = await node.command("config", "set", "limits.day.tokens", "99")
        assert "it holds now" in done.out
        assert limits.read_text() == "day: {calls: 9}\n"
        assert await limit(node) == 9

        # A new one, in a folder that comes after it was named.
        text = (data / "beamclaw.yaml").read_text()
        (data / "beamclaw.yaml").write_text(f"{text}tools: {{$include: more/t.yaml}}\n")
        await until(lambda: told(node) == 3)
        before = applied(node)
        (data / "more").mkdir()
        (data / "more/t.yaml").write_text("max_calls: 7\ndeny: [exec]\n")
        await until(lambda: applied(node) == before + 1)


async def test_a_backup_has_the_included_files_and_the_last_good_one_needs_none(
    tmp_path: Path,
):
    data = tmp_path / "data"
    (data / "parts").mkdir(parents=True)
    part = data / "parts/limits.yaml"
    (data / "beamclaw.yaml").write_text("limits: {$include: parts/limits.yaml}\n")
    part.write_text("day: {calls: 7}\n")
    async with open_node(data) as node:
        await until((data / "config-history/last-good.json").exists)
        made = await node.command("backup", str(tmp_path / "a.backup"))
        assert made.code == 0, made.err
        assert "not in it" not in made.err
        await node.stop()

    other = Node(data=tmp_path / "restored")
    assert (await other.command("restore", str(tmp_path / "a.backup"))).code == 0
    shown = await other.command("config", "show")
    assert f"calls: 7  # {other.data}/parts/limits.yaml:1:14" in shown.out

    part.unlink()
    refused = await node.command("run", "--port", "0")
    assert (refused.code, refused.out) == (2, "")
    assert f"{part} cannot be read" in refused.err
    async with open_node(data, options=("--last-good",)) as node:
        assert await limit(node) == 7

    outside = tmp_path / "etc"
    outside.mkdir()
    (outside / "main.yaml").write_text("limits: {$include: part.yaml}\n")
    (outside / "part.yaml").write_text("day: {calls: many}\n")
    for text in ("day: {calls: 7}\n", "day: {calls: many}\n"):
        (outside / "part.yaml").write_text(text)
        file = tmp_path / f"{len(text)}.backup"
        config = ("--config", str(outside / "main.yaml"))
        made = await node.command("backup", str(file), *config)
        assert made.code == 0, made.err
        for name in ("main.yaml", "part.yaml"):
            assert f"not in it: {outside}/{name}" in made.err
