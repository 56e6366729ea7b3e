"""A canary as key and token is seen nowhere: not in logs, errors, status or files."""

from pathlib import Path

import pytest

from beamclaw.testing.fake_openai import fake_openai
from tests.support.node import open_node

pytestmark = pytest.mark.slow

KEY = "canary-key-3f9c51d0"
TOKEN = "canary-token-77ab02e4"
SECRETS = (KEY, TOKEN)

CONFIG = """
providers:
  openai: {api: openai, base_url: URL, api_key: "${CANARY}"}
agents:
  main: {model: openai/some-model}
logging: {level: debug}
"""


def found(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def in_files(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [
        f"{path.relative_to(folder)}: {secret}"
        for path in files
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]


async def test_key_and_token_are_nowhere_to_be_seen(tmp_path: Path):
    seen: list[str] = []
    async with fake_openai(keys=[KEY]) as fake:
        config = tmp_path / "beamclaw.yaml"
        config.write_text(CONFIG.replace("URL", fake.base_url))
        options = ["--config", str(config)]
        env = {"CANARY": KEY, "BEAMCLAW_CONFIG": str(config)}
        async with open_node(
            tmp_path / "data", env=env, token=TOKEN, options=options
        ) as node:
            answers = [
                await node.complete("hello"),
                await node.complete("no such agent", model="openclaw/nobody"),
                await node.complete("wrong", {"Authorization": f"Bearer {TOKEN}x"}),
                await node.complete("bad model", {"x-openclaw-model": "nothing/x"}),
                await node.get("/readyz"),
                await node.get("/nowhere"),
            ]
            fake.keys = frozenset({"another"})  # the key is refused from now on
            answers.append(await node.complete("refused"))
            assert [answer.status for answer in answers[:1]] == [200]
            seen += [answer.body.decode() for answer in answers]
            figures = await node.get("/metrics")
            assert figures.status == 200
            seen.append(figures.body.decode())
            for command in (
                ("logs", "--json"),
                ("audit",),
                ("status",),
                ("status", "--json"),
                ("tree",),
                ("tree", "--json"),
                ("config", "show"),
                ("config", "show", "--json"),
                ("doctor",),
                ("doctor", "--json", "--online"),
                ("backup", str(tmp_path / "a.backup"), "--json"),
                ("chat", "hello"),
            ):
                finished = await node.command(*command)
                seen += [finished.out, finished.err]
            await node.stop()
            seen += [node.stderr(), node.out.decode()]

    assert [secret for text in seen for secret in found(text)] == []
    assert in_files(tmp_path / "data") == []
    assert any("openai" in text for text in seen), "nothing was looked at"


async def test_a_token_that_the_node_made_is_in_its_file_and_nowhere_else(
    tmp_path: Path,
):
    async with open_node(tmp_path / "data", token="") as node:
        file = tmp_path / "data" / "token"
        node.token = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert (await node.complete("hello")).status == 200
        status = await node.command("status", "--json")
        await node.stop()

    others = [p for p in node.data.rglob("*") if p.is_file() and p != file]
    assert others
    assert len(node.token) >= 32
    assert node.token not in node.stderr() + node.out.decode() + status.out
    assert not any(node.token.encode() in path.read_bytes() for path in others)
