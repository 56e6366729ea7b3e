"""A canary in every key that takes a secret is seen nowhere, whatever goes on.

The keys are found in the schema: a new one is looked after by itself.
"""

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio_websocket
import yaml

from beamclaw.cli.live_table import COMMANDS
from beamclaw.gateway.auth.scopes import READ
from beamclaw.gateway.methods.table import METHODS
from beamclaw.testing.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.collector import collecting
from tests.support.node import Node, open_node
from tests.support.secrets import Path as KeyPath
from tests.support.secrets import put, secret_paths
from tests.support.wire import once

pytestmark = pytest.mark.slow

# Verbs of the shell that are tried by themselves below; all others by their example.
BY_ITSELF = ("trace", "fault")
NAME = "SOME_TOKEN"
MODEL = f"{NAME}/some-model"
# A key that was refused is asked for again at once.
QUICK = {"max_attempts": 2, "retry_first": 0.01, "key_hold": 0.01}


def canary(path: KeyPath, life: int = 0) -> str:
    """Another one for each key, and when it is renewed."""
    digest = hashlib.sha256(f"{path} {life}".encode()).hexdigest()
    return f"canary-{digest[:20]}"


CANARIES = {path: canary(path) for path in secret_paths()}
RENEWED = {path: canary(path, 1) for path in secret_paths()}
TOKEN = CANARIES["gateway", "auth", "token"]
HOOKS = CANARIES["hooks", "token"]
KEY = ("providers", "*", "api_key")


def merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(one.get(key), dict):
            merged(one[key], value)
        else:
            one[key] = value
    return one


def configuration(
    folder: Path, url: str, traces: str, canaries: Mapping[KeyPath, str]
) -> str:
    """All of them: as texts, in files, and from a program, in turns.

    Two sections stand in files of their own, which the configuration includes.
    """
    says = folder / "says"
    says.write_text(
        f"#!{sys.executable}\nimport sys; print(open(sys.argv[1]).read())\n"
    )
    says.chmod(0o700)
    config: dict[str, Any] = {}
    for number, (path, value) in enumerate(canaries.items()):
        file = folder / f"secret-{number}"
        file.write_text(f"{value}\n")
        forms = [
            value,
            {"file": file.name},
            {"command": [str(says), file.name]},
            {"env": f"IN_{number}"},
        ]
        merged(config, put(path, forms[number % len(forms)], NAME))
    more = {
        "providers": {NAME: {"base_url": url, **QUICK}},
        "agents": {"main": {"model": MODEL}},
        "hooks": {"enabled": True},
        "gateway": {"auth": {"mode": "token"}},
        "logging": {"level": "debug"},
        "telemetry": {"otlp": {"endpoint": traces, "interval": 0.1}},
        "shell": {"expressions": True, "children": 10_000},
    }
    merged(config, more)
    for name in ("providers", "telemetry"):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config[name]))
        config[name] = {"$include": f"{name}.yaml"}
    return yaml.safe_dump(config)


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
            ("POST", f"/hooks/agent?token={HOOKS}"),
            ("GET", "/v1/models"),
            ("GET", f"/v1/models?token={TOKEN}"),
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


async def by_commands(node: Node, seen: dict[str, str], *verbs: str) -> None:
    """What people type; and *verbs*, in the shell."""
    listed = (await node.command("shell", "--json", "-c", "tree")).out
    names = sorted(set(re.findall(r'"name": ?"([^"]+)"', listed)))
    assert len(names) > 15, listed
    looks = [f"{verb} {name}" for verb in ("state", "info") for name in names]
    looks += [f"{verb} {name}" for verb in ("mailbox", "waiting") for name in names]
    for command in (
        ("status",),
        ("status", "--json"),
        ("tree", "--json"),
        ("usage", "--json"),
        ("sessions", "list", "--json"),
        ("tools", "--json"),
        ("skills", "list", "--json"),
        ("devices", "list", "--json"),
        ("keys", "list", "--json"),
        ("logs", "--json"),
        ("audit", "--json"),
        ("config", "get"),
        ("config", "get", "--json"),
        ("config", "show", "--json"),
        ("config", "diff"),
        ("config", "history"),
        ("config", "schema"),
        ("chat", "hello"),
        ("shell", "--json", "-c", "; ".join(looks)),
        *(("shell", "-c", verb) for verb in verbs),
        ("shell", "-c", "sessions; limits; slow; leaks; turn main"),
        ("shell", "-c", "eval supervision.lookup('config').value"),
        ("shell", "-c", "eval supervision.lookup('config').value.providers"),
    ):
        done = await node.command(*command)
        seen[" ".join(command)[:60]] = done.out + done.err
    assert NAME in seen["config get"]


async def traced(node: Node, seen: dict[str, str], *names: str) -> None:
    """What goes through processes while a turn does."""

    async def trace(name: str) -> None:
        with trio.move_on_after(8):
            done = await node.command("shell", "--json", "-c", f"trace {name} --most 3")
            seen[f"trace {name}"] = done.out + done.err

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(trace, name)
        for _ in range(4):
            await trio.sleep(1)
            await node.complete("hello")


async def with_failing_providers(
    node: Node, fake: FakeOpenAI, seen: dict[str, str], key: str
) -> None:
    told = f"Incorrect API key provided: {key}; you sent {CANARIES[KEY]}"
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
        answer = await node.complete("hello")
        seen[f"provider {name}"] = answer.body.decode()
        assert answer.status >= 400, (name, answer.body)


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


def found(text: str) -> Iterator[str]:
    for path, value in (*CANARIES.items(), *RENEWED.items()):
        if value in text:
            yield f"the canary of {'.'.join(path)}"


def in_files(folder: Path) -> list[str]:
    return [
        f"{file.relative_to(folder)}: {what}"
        for file in folder.rglob("*")
        # Files that were replaced are kept as they were, for nobody else to read.
        if file.is_file() and file.parent.name != "config-history"
        for what in found(file.read_bytes().decode("latin-1"))
    ]


async def test_no_secret_of_the_configuration_is_seen_anywhere(tmp_path, seen):
    config, data = tmp_path / "beamclaw.yaml", tmp_path / "data"
    env = {f"IN_{number}": value for number, value in enumerate(CANARIES.values())} | {
        "BEAMCLAW_CONFIG": str(config)
    }
    keys = [CANARIES[KEY], RENEWED[KEY]]
    async with collecting() as collector, fake_openai(keys=keys) as fake:
        urls = fake.base_url, collector.url
        config.write_text(configuration(tmp_path, *urls, CANARIES))
        async with open_node(
            data, env=env, token="", options=["--config", str(config)]
        ) as node:
            node.token = TOKEN
            await over_http(node, seen)
            await over_websocket(node, seen)
            await by_commands(node, seen)
            await with_failing_providers(node, fake, seen, CANARIES[KEY])
            await traced(node, seen, "config", f"providers/{NAME}", "ledger")
            assert "[secret]" in seen["provider key"]

            # Renewed, but for the two that this test comes in by.
            kept = {p: CANARIES[p] for p in RENEWED if p[0] in ("gateway", "hooks")}
            text = configuration(tmp_path, *urls, {**RENEWED, **kept})
            config.write_text(text)
            await logged(node, '"beamclaw.config.applied"')
            await node.complete("hello")
            await with_failing_providers(node, fake, seen, RENEWED[KEY])
            # Wrong, at a key with a secret, and in all of the others as well.
            config.write_text(text.replace("mode: token", "mode: tokne"))
            await logged(node, '"beamclaw.config.not_applied"')
            refused = await node.command("config", "check")
            seen["config check"] = refused.out + refused.err
            assert "tokne" in seen["config check"]
            config.write_text(text)
            await with_a_wrong_included_file(node, tmp_path, seen)

            changed = await node.command(
                "config", "set", "hooks.max_body_bytes", "9999"
            )
            seen["config set"] = changed.out + changed.err
            assert "holds now" in seen["config set"]
            for command in (("config", "history", "--json"), ("config", "diff", "1")):
                done = await node.command(*command)
                seen[" ".join(command)] = done.out + done.err

            for name in ("config", f"providers/{NAME}", "sessions", "gateway/server"):
                done = await node.command("shell", "-c", f"fault {name} crash")
                seen[f"crash {name}"] = done.out + done.err
            verbs = [x.example for x in COMMANDS if x.name not in BY_ITSELF]
            await by_commands(node, seen, *verbs)
            await node.stop()
            for number, request in enumerate(collector.requests):
                seen[f"traces {number}"] = request.body.decode()
            assert collector.spans
            seen["log"] = node.stderr() + node.out.decode()

    wrong = [f"{where}: {what}" for where, text in seen.items() for what in found(text)]
    assert wrong == []
    assert in_files(data) == []
    kept = list((data / "config-history").iterdir())
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600] * 2
    assert fake.breaches == []
