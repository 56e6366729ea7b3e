"""What a skill is given commands get, of the agent that has it; and nobody sees it."""

import hashlib
from pathlib import Path

import pytest
import trio
import yaml

from tests.support.node import Node, open_node

pytestmark = pytest.mark.slow

KEY, VALUE = "canary-of-the-skill-81c4", "canary-of-its-variable-2f"
SECRETS = (KEY, VALUE)
SKILL = """\
---
name: tidy
description: Put things in order.
metadata: {openclaw: {primaryEnv: TIDY_KEY, requires: {env: [TIDY_KEY, TIDY_MORE]}}}
---
Put things in order.
"""
CONFIG = """
providers: {demo: {script: SCRIPT, delay: 0}}
agents:
  main: {model: demo}
  other: {model: demo, skills: []}
skills:
  entries:
    tidy: {api_key: "${A_KEY}", env: {TIDY_MORE: "${A_VALUE}", LD_PRELOAD: canary}}
tools: {exec: {mode: MODE, sandbox: {mode: SANDBOX, untrusted: SANDBOX}}}
logging: {level: debug}
"""
HASH = 'printf %s "$TIDY_KEY$TIDY_MORE" | sha256sum; echo "preload:$LD_PRELOAD"'
SHOW = 'env | grep TIDY; echo "$TIDY_KEY" "$TIDY_MORE"'
SCENES = [
    {"match": f"^{name}$", "calls": [{"tool": "exec", "arguments": {"command": text}}]}
    | {"reply": "{results}"}
    for name, text in (("hash", HASH), ("show", SHOW))
]


def set_up(tmp_path: Path, mode: str, sandbox: str) -> list[str]:
    """The options of a node whose agents could have the skill."""
    skill = tmp_path / "data" / "skills" / "tidy"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(SKILL)
    script, config = tmp_path / "script.yaml", tmp_path / "beamclaw.yaml"
    script.write_text(yaml.safe_dump(SCENES))
    text = CONFIG.replace("SCRIPT", str(script)).replace("MODE", mode)
    config.write_text(text.replace("SANDBOX", sandbox))
    return ["--config", str(config)]


async def said(node: Node, agent: str, text: str) -> str:
    answer = await node.complete(text, {"x-openclaw-agent-id": agent})
    assert answer.status == 200, answer.body
    return answer.body.decode()


def leaks(tmp_path: Path, *texts: str) -> list[str]:
    """Where one of them can be seen; the configuration names variables only."""
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    seen = [(path.name, path.read_bytes().decode("latin-1")) for path in files]
    seen += [("said", text) for text in texts]
    return [
        f"{name}: {each}" for name, text in seen for each in SECRETS if each in text
    ]


@pytest.mark.parametrize("sandbox", ["none", "auto"])
async def test_commands_of_who_has_the_skill_get_it_and_nobody_sees_it(
    tmp_path: Path, sandbox: str
):
    options = set_up(tmp_path, "off", sandbox)
    env = {"A_KEY": KEY, "A_VALUE": VALUE}
    async with open_node(tmp_path / "data", env=env, options=options) as node:
        has, has_not = (
            await said(node, "main", "hash"),
            await said(node, "other", "hash"),
        )
        shown = await said(node, "main", "show")
        verbs = [
            await node.command(*verb)
            for verb in (["tools"], ["status"], ["tree"], ["skills", "list"])
        ]
        assert await node.stop() == 0
    assert hashlib.sha256((KEY + VALUE).encode()).hexdigest() in has
    assert "preload:canary" not in has
    assert hashlib.sha256(b"").hexdigest() in has_not
    assert shown.count("[secret]") == 4, shown
    texts = [has, has_not, shown, *(verb.out + verb.err for verb in verbs)]
    assert leaks(tmp_path, *texts) == []


async def listed(node: Node) -> str:
    """What is asked, as soon as something is."""
    while True:
        finished = await node.command("approvals", "list", "--json")
        assert finished.code == 0, finished.err
        if yaml.safe_load(finished.out):
            return finished.out
        await trio.sleep(0.1)


async def test_a_person_is_asked_with_the_names_and_the_answer_outlives_a_kill(
    tmp_path: Path,
):
    options = set_up(tmp_path, "always", "none")
    env = {"A_KEY": KEY, "A_VALUE": VALUE}
    async with open_node(tmp_path / "data", env=env, options=options) as node:
        told: list[str] = []

        async def chat() -> None:
            finished = await node.command("chat", "hash")
            told.append(finished.out + finished.err)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(chat)
            await listed(node)
            node.kill9()
            await node.wait()
            await node.start()
            asked = await listed(node)
            assert "TIDY_KEY of tidy" in asked
            (wait_id,) = [each["wait_id"] for each in yaml.safe_load(asked)]
            allowed = await node.command("approvals", "allow", wait_id)
            assert allowed.code == 0, allowed.err
        assert await node.stop() == 0
    assert hashlib.sha256((KEY + VALUE).encode()).hexdigest() in told[0]
    assert leaks(tmp_path, asked, allowed.out, *told) == []
