"""Each process of the tree killed once: the tree is back as it was, and answers."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

from pathlib import Path

import pytest
import trio

import supervision
from beamclaw.tree import Row, outline
from supervision.testing import Change, Watched, watching
from tests.support.inside import configuration, open_inside
from tests.support.model import open_model

TREE = outline(configuration(Path("data"), "http://127.0.0.1:9/v1"))
PATHS = ["/".join(row.path) for row in TREE]
BACK = 60.0  # a guard against one that never comes back; how long it takes is measured


def lasting(watched: Watched) -> list[Change]:
    """Every process of the tree, then and now; nobody's connections."""
    return [
        change
        for change in watched.changes()
        if (info := change.before or change.after) is not None
        and info.restart != "temporary"
        and info.kind != "adopted"
    ]


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


def kill(watched: Watched, path: str) -> None:
    (victim,) = [change for change in watched.changes() if change.path == path]
    assert victim.before is not None
    assert victim.before.pid is not None
    supervision.exit(victim.before.pid, supervision.KILL)


def is_back(watched: Watched, victim: str) -> bool:
    """Whether everybody runs again, the one that was killed as another process."""
    return victim in watched.restarted() and all(
        change.unchanged or change.restarted for change in lasting(watched)
    )


@pytest.mark.slow  # all of them, that is
@pytest.mark.parametrize("row", TREE, ids=PATHS)
async def test_a_killed_process_is_back_with_those_it_took_along(
    tmp_path: Path, row: Row
):
    async with open_model() as model:
        config = configuration(tmp_path / "data", model.url)
        async with open_inside(config) as node:
            with watching(node.root) as watched:
                # Their paths begin with the one at the top.
                (top, *_) = watched.changes()
                victim = "/".join((top.path, *row.path))
                paths = {change.path for change in lasting(watched)}
                assert paths >= {"/".join((top.path, *each.path)) for each in TREE}
                kill(watched, victim)
                with trio.fail_after(BACK):
                    while not is_back(watched, victim):
                        await trio.sleep(0.001)

            names = [f"{top.path}/{name}" for name in names_of(fallen(row.path))]
            assert sorted(watched.restarted()) == names
            answer = await node.ask("hello <<a>>", node.headers("a", "t5-w0-g0"))
            assert answer.status == 200, answer.body
