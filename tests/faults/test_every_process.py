"""Each process of the tree killed once: the tree is back as it was, and answers."""
# ruff: noqa: ASYNC110 -- another process, and what a file says, is looked at

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

import supervision
from beamclaw.tree import Row, outline
from supervision.testing import Change, Watched, watching
from tests.audit.book import look_into
from tests.faults.effects import (
    BROKEN,
    CLOSED,
    CONTINUED,
    Effects,
    effects_of,
    name_on_page,
    others,
    table,
)
from tests.support.inside import Reader, configuration, open_inside
from tests.support.model import open_model

TREE = outline(configuration(Path("data"), "http://127.0.0.1:9/v1"))
PATHS = ["/".join(row.path) for row in TREE]
RAM = Path("/dev/shm")
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


def test_each_process_has_its_words_on_the_page():
    assert {name_on_page(row) for row in TREE} == table().keys()


def test_the_page_says_who_starts_again_by_the_strategies():
    for row in TREE:
        told = table()[name_on_page(row)]
        assert told.restarted == others(row.path, fallen(row.path)), row.path


@pytest.mark.parametrize("cell", ["something else", "`a` and `b` start", ""])
def test_words_that_nobody_compares_are_refused(cell: str):
    with pytest.raises(ValueError, match="is none of"):
        effects_of(cell)


def test_what_is_read_from_the_page_is_spelled_as_it_stands_there():
    text = "`limits`, `runs` start again; answers break off; turns are continued"
    assert str(effects_of(text)) == text
    assert str(effects_of("`notices` starts again")) == "`notices` starts again"
    assert str(effects_of("nothing")) == "nothing"


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


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a node keeps its data; in memory: none of this is about a disk."""
    parent = RAM if RAM.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="every", dir=parent) as name:
        yield Path(name) / "data"


def revivals(ledger: Path) -> int:
    """How often a turn has been taken up again."""
    query = "SELECT sum(revivals) FROM runs"
    return look_into(ledger, lambda found: found.execute(query).fetchone()[0])


@pytest.mark.slow  # all of them, that is
@pytest.mark.parametrize("row", TREE, ids=PATHS)
async def test_a_killed_process_is_back_and_the_page_says_what_else_changes(
    folder: Path, row: Row
):
    async with open_model() as model, trio.open_nursery() as nursery:
        config = configuration(folder, model.url)
        async with open_inside(config) as node:
            reader = Reader()
            headers = node.headers("a", "t4-w0-g0-hold2")
            nursery.start_soon(node.stream, "hello <<a>>", headers, reader)
            await reader.wait_text()
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
            # A session that was awake may be back, too.
            restarted = [c.path for c in lasting(watched) if c.restarted]
            restarted.sort()
            assert restarted == names
            model.release.set()
            # It comes behind the turn in progress.
            answer = await node.ask("hello <<b>>", node.headers("b", "t5-w0-g0"))
            assert answer.status == 200, answer.body
            await reader.wait_over()

            words = {
                CLOSED: not reader.whole and not reader.errors,
                BROKEN: bool(reader.errors),
                CONTINUED: revivals(node.ledger) > 0,
            }
    seen = Effects(
        others(row.path, fallen(row.path)),
        frozenset(word for word, came in words.items() if came),
    )
    told = table()[name_on_page(row)]
    assert seen == told, f"{seen}, not {told}"
