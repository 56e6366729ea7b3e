"""Each process of the tree killed once: the tree is back as it was, and answers."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import supervision
from beamclaw.tree import Row, outline
from tests.support.inside import Inside, configuration, open_inside
from tests.support.model import open_model

TREE = outline(configuration(Path("data"), "http://127.0.0.1:9/v1"))
PATHS = ["/".join(row.path) for row in TREE]
BACK = 2.0  # seconds until a restart that takes longer is a failure; P6 says 0.1

Pids = dict[tuple[str, ...], supervision.Pid | None]


def running(node: Inside) -> Pids:
    """Path to pid of every process of the tree; nobody's connections."""

    def below(
        info: supervision.ProcessInfo, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], supervision.Pid | None]]:
        for child in info.children:
            if child.restart != "temporary" and child.kind != "adopted":
                here = (*path, child.id)
                ready = child.status in ("running", "waiting")
                yield here, child.pid if ready else None
                yield from below(child, here)

    (top,) = supervision.tree(node.root).children
    return dict(below(top, ()))


def fallen(path: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Whom the death of the process at *path* takes along, by the strategies."""
    rows = {row.path: row for row in TREE}
    parent = rows.get(path[:-1])
    siblings = [row.path for row in TREE if row.path[:-1] == path[:-1]]
    gone = {path}
    if parent is not None and parent.strategy == "rest_for_one":
        gone = {*siblings[siblings.index(path) :]}
    elif parent is not None and parent.strategy == "one_for_all":
        gone = {*siblings}
    return {row.path for row in TREE if any(row.path[: len(p)] == p for p in gone)}


def names_of(paths: set[tuple[str, ...]]) -> list[str]:
    return sorted("/".join(path) for path in paths)


def test_the_outline_is_the_running_tree():
    assert len({row.path for row in TREE}) == len(TREE)


@pytest.mark.parametrize("row", TREE, ids=PATHS)
async def test_a_killed_process_is_back_with_those_it_took_along(
    tmp_path: Path, row: Row
):
    async with open_model() as model:
        config = configuration(tmp_path / "data", model.url)
        async with open_inside(config) as node:
            before = running(node)
            assert set(before) >= {entry.path for entry in TREE}
            victim = before[row.path]
            assert victim is not None

            supervision.exit(victim, supervision.KILL)
            with trio.fail_after(BACK):
                while (
                    (after := running(node)).keys() != before.keys()
                    or None in after.values()
                    or after[row.path] == victim
                ):
                    await trio.sleep(0.001)

            changed = {path for path in before if before[path] != after[path]}
            assert names_of(changed) == names_of(fallen(row.path))
            answer = await node.ask("hello <<a>>", node.headers("a", "t5-w0-g0"))
            assert answer.status == 200, answer.body
