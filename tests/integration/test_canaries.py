"""A canary in every key that takes a secret is seen nowhere, whatever goes on.

The keys are found in the schema: a new one is looked after by itself.
"""

import re
import shlex
import sys
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import trio
import trio_websocket

from beamclaw.cli.live_table import COMMANDS
from beamclaw.cli.parser import VERBS
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.methods.table import METHODS
from beamclaw.testing.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.canaries import (
    CANARIES,
    ENVIRONMENT,
    HOOKS,
    KEY,
    NAME,
    RENEWED,
    TOKEN,
    configuration,
    in_files,
    spelled,
    where_seen,
)
from tests.support.collector import collecting
from tests.support.node import ROOT, Finished, Node, open_node
from tests.support.verb_lines import LINES, REFUSED
from tests.support.wire import once

# What the agent that goes by a script does: it asks first.
SCENES = [
    {
        "match": "wary (.*)",
        "calls": [
            {
                "tool": "exec",
                "arguments": {"command": f"echo \\1 ${NAME}; env; seq 50000"},
            }
        ],
        "reply": "{results}",
    },
]
# Verbs of the shell that are tried by themselves below; all others by their example.
BY_ITSELF = ("trace", "fault")


@pytest.fixture
def seen() -> dict[str, str]:
    """What somebody saw, by where."""
    return {}


async def over_http(node: Node, seen: dict[str, str]) -> None:
    """Every surface, with what is right and what is wrong."""
    json = {"Content-Type": "application/json"}
    body = orjson.dumps(
        {"model": "openclaw", "input": "hello", "message": "hello", "max_tokens": 9}
        | {"messages": [{"role": "user", "content": "hello"}]}
    )
    rights = {
        "right": {**json, **node.bearer},
        "none": json,
        "wrong": {**json, "Authorization": f"Bearer {TOKEN}x"},
        "cut": {**json, "Authorization": f"Bearer {TOKEN[:-1]}"},
        "hooks": {**json, "Authorization": f"Bearer {HOOKS}"},
    }
    for how, headers in rights.items():
        for method, path in (
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/responses"),
            ("POST", "/v1/messages"),
            ("POST", "/v1/embeddings"),
            ("POST", "/tools/invoke"),
            ("POST", "/hooks/agent"),
            ("POST", "/hooks/nothing"),
            ("POST", f"/hooks/agent?token={quote(HOOKS, safe='')}"),
            ("GET", "/v1/models"),
            ("GET", f"/v1/models?token={quote(TOKEN, safe='')}"),
            ("GET", "/api/v1/sessions"),
            ("GET", "/metrics"),
            ("GET", "/readyz"),
            ("GET", "/nowhere"),
            ("GET", "/"),
        ):
            sent = body if method == "POST" else b""
            answer = await once(node.base_url + path, method, headers, sent)
            seen[f"{method} {path} {how}"] = f"{answer.headers}{answer.body.decode()}"
    assert '"choices"' in seen["POST /v1/chat/completions right"]
    assert "beamclaw_" in seen["GET /metrics right"]


async def over_websocket(node: Node, seen: dict[str, str]) -> None:
    """Everything that a client can read, by whoever may and may not."""
    url = node.base_url.replace("http", "ws", 1)
    for how, token in (("right", TOKEN), ("wrong", f"{TOKEN}x"), ("hooks", HOOKS)):
        connect = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
            "role": "operator",
            "scopes": ["operator.admin"],
            "auth": {"token": token},
        }
        names = [name for name, each in METHODS.items() if each.scope == READ]
        frames = [("connect", connect), *((name, {}) for name in names)]
        got: list[str] = []
        async with trio_websocket.open_websocket_url(url) as socket:
            try:
                got.append(str(await socket.get_message()))  # the challenge
                for number, (name, params) in enumerate(frames):
                    frame = {"type": "req", "id": str(number), "method": name}
                    sent = orjson.dumps({**frame, "params": params})
                    await socket.send_message(sent.decode())
                    while f'"id":"{number}"' not in got[-1]:
                        got.append(str(await socket.get_message()))
            except trio_websocket.ConnectionClosed as closed:
                got.append(str(closed.reason))
                # Of a connection that the other side has closed it leaves the socket.
                await trio.aclose_forcefully(socket._stream)
        seen[f"websocket {how}"] = "\n".join(got)
    assert '"raw"' in seen["websocket right"]


async def logged(node: Node, what: str) -> None:
    while what not in node.stderr():  # noqa: ASYNC110 -- another process writes it
        await trio.sleep(0.1)


async def in_the_shell(node: Node, seen: dict[str, str], *lines: str) -> None:
    """All that can be looked at of each process; and *lines*."""
    listed = (await node.command("shell", "--json", "-c", "tree")).out
    # By number: a name of one part may be the id of another.
    names = sorted(set(re.findall(r'"pid": ?"<(\d+)>"', listed)))
    assert len(names) > 40, listed
    looks = [f"{verb} {name}" for verb in ("state", "info") for name in names]
    looks += [f"{verb} {name}" for verb in ("mailbox", "waiting") for name in names]
    for line in lines:
        done = await node.command("shell", "-c", line)
        seen[f"shell {line}"] = done.out + done.err
    for commands in (
        "; ".join(looks),
        "sessions; limits; slow; leaks; turn main",
        "eval supervision.lookup('config').value",
        "eval supervision.lookup('config').value.providers",
    ):
        for form in ((), ("--json",)):
            done = await node.command("shell", *form, "-c", commands)
            seen[f"shell {commands[:60]} {form}"] = done.out + done.err


# --- the verbs of the command line


def with_skill(folder: Path) -> None:
    """One that can be installed."""
    skill = folder / "tidy"
    skill.mkdir()
    words = "---\nname: tidy\ndescription: Put things in order.\n---\nDo it.\n"
    (skill / "SKILL.md").write_text(words)


async def typed(node: Node, words: Sequence[str]) -> Finished:
    """What somebody is told who types *words*: the folder is in the environment."""
    done = await trio.run_process(
        [sys.executable, "-m", "beamclaw", *words],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=ROOT,
        env={**node.environment, "BEAMCLAW_DATA": str(node.data)},
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


async def question(node: Node, number: int, nursery: trio.Nursery) -> str:
    """The id of one that an agent asks now; *number* makes it another one."""
    key = f"agent:scripted:asks-{number}"
    words = "chat", "--session", key, f"wary {number}"
    nursery.start_soon(node.command, *words)
    with trio.fail_after(30):
        while True:
            found: Any = (await node.command("approvals", "list", "--json")).json()
            if found:
                return found[0]["wait_id"]


async def filled(
    node: Node, line: str, number: int, nursery: trio.Nursery
) -> list[str]:
    """The words of *line*, the *number*-th, with what is there for what it names."""
    folder, quoted = node.data.parent, shlex.quote(RENEWED[KEY])
    words = line.replace("{folder}", str(folder)).replace("{secret}", quoted)
    new = str(folder / f"new-{number}")
    words = words.replace("{new}", new)
    if "{asked}" in words:
        words = words.replace("{asked}", await question(node, number, nursery))
    if "{key}" in words:
        made: Any = (await node.command("keys", "create", "one", "--json")).json()
        words = words.replace("{key}", made["key"]["id"])
    if "{output}" in words:
        words = words.replace("{output}", await kept_output(node, number))
    if "{backup}" in words:
        await node.command("backup", f"{new}.backup")
        words = words.replace("{backup}", f"{new}.backup")
    return shlex.split(words)


async def kept_output(node: Node, number: int) -> str:
    """What the command has said that somebody has agreed to."""
    with trio.fail_after(60):
        while True:
            for before in range(number - 12, number):
                key = f"agent:scripted:asks-{before}"
                said = (await node.command("sessions", "history", key)).out
                if told := re.search(r"beamclaw sessions output (\S+?)\]", said):
                    return told[1]


async def by_every_verb(node: Node, seen: dict[str, str]) -> None:
    """Each line as people type it, and as programs do; each verb does what it is for."""
    refused: set[str] = set()
    number = 0
    async with trio.open_nursery() as nursery:
        for verb, lines in LINES.items():
            codes: list[int] = []
            for line in (each + form for each in lines for form in ("", " --json")):
                number += 1
                done = await typed(node, await filled(node, line, number, nursery))
                seen[line] = done.out + done.err
                codes.append(done.code)
            if 0 not in codes:
                refused.add(verb)
        nursery.cancel_scope.cancel()  # of those who ask still
    wrong = refused ^ {*REFUSED}
    assert not wrong, [(line, seen[line]) for each in wrong for line in LINES[each]]


async def traced(node: Node, seen: dict[str, str], *names: str) -> None:
    """What goes through processes while a turn does."""

    async def trace(name: str) -> None:
        command = f"trace {name} --seconds 3"
        done = await node.command("shell", "--json", "-c", command)
        seen[f"trace {name}"] = done.out + done.err

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(trace, name)
        for _ in range(4):
            await trio.sleep(0.5)
            await node.complete("hello")


async def with_failing_providers(
    node: Node, fake: FakeOpenAI, seen: dict[str, str], key: str
) -> None:
    # Providers repeat it in bodies of their own making, each in another way.
    ways = [f"Incorrect API key provided: {key}; you sent {key}"]
    each = [f"{how}: {spelling}!" for how, spelling in spelled(key)]
    each += [b64encode(f"{user}:{key}".encode()).decode() for user in ("a", "me")]
    # Of more words than these, the last are cut off.
    ways += ["; ".join(each[n : n + 3]) for n in range(0, len(each), 3)]
    for number, told in enumerate(ways):
        await _failing(node, fake, seen, told, number)


async def _failing(
    node: Node, fake: FakeOpenAI, seen: dict[str, str], told: str, number: int
) -> None:
    faults = {
        "key": [Fault(status=401, code="invalid_api_key", message=told)],
        "ill": [Fault(status=500, message=told)] * 2,
        "limited": [Fault(status=429, message=told, retry_after=0.01)] * 2,
        "odd": [Fault(status=418, message=told)],
        "page": [Fault(status=502, html=True, message=told)] * 2,
        "inside": [Fault(error_after=1, message=told)] * 2,
    }
    for name, each in faults.items():
        fake.fail(*each)
        answers: list[str] = []
        # A key that was refused just now is left alone for a while: nobody is asked.
        # What was left over would tell the old key behind its renewal.
        while fake.faults_left:
            answer = await node.complete("hello")
            answers.append(answer.body.decode())
            assert answer.status >= 400 or not fake.faults_left, (name, answer.body)
        seen[f"provider {name} {number}"] = "\n".join(answers)
        assert '"error"' in answers[-1], (name, answers)


async def with_a_wrong_included_file(
    node: Node, folder: Path, seen: dict[str, str]
) -> None:
    included = folder / "providers.yaml"
    sound = included.read_text()
    included.write_text(sound.replace("max_attempts: 2", "max_attempts: many"))
    refused = await node.command("config", "check")
    seen["config check included"] = refused.out + refused.err
    assert f"{included}:" in seen["config check included"]
    included.write_text(sound)


def test_each_verb_of_the_command_line_is_typed():
    verbs = {verb.name for verb in VERBS}
    assert verbs == {*LINES}, "new verbs: what would somebody type with them?"
    other = [
        line
        for verb, lines in LINES.items()
        for line in lines
        if not f"{line} ".startswith(f"{verb} ")
    ]
    assert other == []


@pytest.mark.slow
async def test_no_secret_of_the_configuration_is_seen_anywhere(tmp_path, seen):
    config, data = tmp_path / "beamclaw.yaml", tmp_path / "data"
    env = {**ENVIRONMENT, "BEAMCLAW_CONFIG": str(config)}
    with_skill(tmp_path)
    keys = [CANARIES[KEY], RENEWED[KEY]]
    async with collecting() as collector, fake_openai(keys=keys) as fake:
        urls = fake.base_url, collector.url
        config.write_text(configuration(tmp_path, urls, SCENES))
        async with open_node(
            data, env=env, token="", options=["--config", str(config)]
        ) as node:
            node.token = TOKEN
            await over_http(node, seen)
            await over_websocket(node, seen)
            await in_the_shell(node, seen)
            await with_failing_providers(node, fake, seen, CANARIES[KEY])
            await traced(node, seen, "beamclaw/config", f"providers/{NAME}", "ledger")
            assert "[secret]" in seen["provider key 0"]

            # Renewed, but for the two that this test comes in by.
            text = configuration(tmp_path, urls, SCENES, life=1)
            config.write_text(text)
            await logged(node, '"beamclaw.config.applied"')
            await node.complete("hello")
            await with_failing_providers(node, fake, seen, RENEWED[KEY])
            # Wrong, at a key with a secret, and in all of the others as well.
            config.write_text(text.replace("mode: token", "mode: tokne"))
            await logged(node, '"beamclaw.config.not_applied"')
            refused = await node.command("config", "check")
            seen["config check of a wrong one"] = refused.out + refused.err
            assert "tokne" in seen["config check of a wrong one"]
            config.write_text(text)
            await with_a_wrong_included_file(node, tmp_path, seen)

            crashing = (
                "beamclaw/config",
                f"providers/{NAME}",
                "door",
                "gateway/server",
            )
            for name in crashing:
                done = await node.command("shell", "-c", f"fault {name} crash")
                seen[f"crash {name}"] = done.out + done.err
            verbs = [x.example for x in COMMANDS if x.name not in BY_ITSELF]
            await in_the_shell(node, seen, *verbs)
            await by_every_verb(node, seen)
            await node.stop()
            for number, request in enumerate(collector.requests):
                seen[f"traces {number}"] = request.body.decode()
            assert collector.spans
            seen["log"] = node.stderr() + node.out.decode()

    assert where_seen(seen) == []
    assert in_files(data) == []
    kept = list((data / "config-history").iterdir())
    assert kept
    assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
    assert fake.breaches == []
