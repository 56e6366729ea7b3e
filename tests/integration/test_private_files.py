"""What a node keeps is for its own user alone, however careless the shell it started in."""

import os
import resource
from pathlib import Path

import pytest

from tests.support.node import open_node

pytestmark = pytest.mark.slow

CONFIG = """\
providers:
  demo: {api: demo, script: SCRIPT}
agents:
  main: {model: demo/demo}
commands: {approvals: never}
logging: {level: debug}
"""
SCRIPT = """\
- match: "write"
  calls: [[{tool: write, arguments: {path: a/b.txt, content: kept}}]]
  reply: "written"
- reply: "hello"
"""
OTHERS = 0o077


def seen_by_others(folder: Path) -> list[str]:
    """What others may read or enter, as far as they get; the folder itself is let be."""
    found: list[str] = []
    waiting = [folder]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_symlink() or not path.lstat().st_mode & OTHERS:
                continue
            found.append(f"{path.relative_to(folder)} {path.lstat().st_mode:o}")
            if path.is_dir():
                waiting.append(path)
    return found


def core_limit(pid: int) -> str:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith("Max core file size"))
    return found.split()[4]


async def test_nothing_of_it_is_for_others(tmp_path: Path):
    (tmp_path / "script.yaml").write_text(SCRIPT)
    config = tmp_path / "beamclaw.yaml"
    config.write_text(CONFIG.replace("SCRIPT", str(tmp_path / "script.yaml")))
    config.chmod(0o600)
    data = tmp_path / "data"
    data.mkdir()
    # Somebody has made it himself, for all to enter.
    data.chmod(0o755)
    before, cores = os.umask(0), resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (cores[1], cores[1]))
    try:
        options = ("--config", str(config))
        async with open_node(data, options=options, token="") as node:
            node.token = (data / "token").read_text().strip()
            said = await node.complete("write it", {"x-openclaw-session-key": "main"})
            assert said.status == 200
            changed = await node.command("config", "set", "logging.level", "info")
            assert changed.code == 0, changed.err
            running = seen_by_others(data)
            # What is in memory does not end up in a file when the node crashes.
            assert core_limit(node.pid) == "0"
            node.kill9()
            await node.wait()
            await node.start()
            await node.stop()
    finally:
        os.umask(before)
        resource.setrlimit(resource.RLIMIT_CORE, cores)
    assert running == []
    assert seen_by_others(data) == []
    names = {path.name for path in data.rglob("*")}
    assert {"token", "node.db", "ledger.db", "b.txt"} <= names, "nothing was looked at"
