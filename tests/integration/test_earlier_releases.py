"""The state of every release opens: nothing in it is lost, open turns are finished.

The folders are made by ``python -m tests.fixtures.keep``.
"""

import tarfile
from pathlib import Path

import orjson
import pytest

from tests.fixtures.keep import FAST, FOLDERS, TALK, Kept, send
from tests.support.node import open_node

RELEASES = sorted(FOLDERS.glob("*.tar.xz"))


def test_this_release_has_left_a_folder() -> None:
    assert RELEASES


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
async def test_the_folder_of_a_release_opens(release: Path, tmp_path: Path) -> None:
    with tarfile.open(release) as archive:
        # Python 3.11.0 to 3.11.3 have no filters.
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    found = orjson.loads((tmp_path / "kept.json").read_bytes())
    kept = [Kept(**message) for message in found]
    config = tmp_path / "fast.yaml"
    config.write_text(FAST)
    data = tmp_path / "data"
    async with open_node(data, options=["--config", str(config)], token="t") as node:
        for message in kept:
            # The same request joins its run: what was answered comes from the ledger.
            answer = await send(node, message.key, message.text, message.session)
            if message.answer is None:
                assert answer.startswith(f"You said: {message.text}")
            else:
                assert answer == message.answer
        status = await node.command("status", "--json")
        assert status.code == 0, status.err
        told = await send(node, "new", "and now?", TALK)
        assert told.startswith("You said: and now?")
        assert await node.stop() == 0
    assert " error " not in node.stderr()
