"""Files found by name and lines by what they say, and what neither may cost."""

import contextlib
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.tools import ToolFailed
from beamclaw.files import Setting, tools
from beamclaw.files.expression import BadExpression
from beamclaw.files.globs import Glob
from beamclaw.paths import Roots
from tests.beamclaw.files.stage import Stage, order
from tests.support.descriptors import open_files


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.put("a.py", "import os\n\ndef go():\n    return os.name\n")
    made.put("src/b.py", "# go\nx = 1\n")
    made.put("src/deep/c.ts", "const go = 1;\r\n")
    made.put("src/deep/bin", b"go\0")
    made.put("node_modules/x/d.py", "go\n")
    made.put(".git/config", "go\n")
    (made.space / "link").symlink_to(made.space / "src")
    (made.space / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(made.space / "pipe")
    before = len(open_files())
    yield made
    assert len(open_files()) == before


GLOBS = {
    ("*.py", "a/b.py"): True,
    ("*.py", "b.pyc"): False,
    ("b*", "a/b.py"): True,
    ("src/*.py", "src/b.py"): True,
    ("src/*.py", "src/x/b.py"): False,
    ("src/**/*.py", "src/b.py"): True,
    ("src/**/*.py", "src/x/y/b.py"): True,
    ("**/b.py", "b.py"): True,
    ("./src/b.py", "src/b.py"): True,
    ("src/**", "src/x/y"): True,
    ("?.py", "a.py"): True,
    ("?.py", "ab.py"): False,
    ("[ab].py", "b.py"): True,
    ("[!ab].py", "b.py"): False,
    ("[a-c].py", "c.py"): True,
    ("*.{ts,tsx}", "a.tsx"): True,
    ("*.{ts,tsx}", "a.py"): False,
    ("a+b(c).txt", "a+b(c).txt"): True,
    ("[", "["): True,
    ("a\\b", "a\\b"): True,
    ("é*", "été"): True,
    ("*a*a*a*a*a*b", "a" * 200): False,
}


@pytest.mark.parametrize("case", GLOBS, ids=str)
def test_a_pattern_fits_names(case: tuple[str, str]) -> None:
    pattern, path = case
    assert Glob(pattern).fits(tuple(path.split("/"))) == GLOBS[case]


def test_a_pattern_that_is_not_closed_is_refused() -> None:
    with pytest.raises(BadExpression):
        Glob("{a{b}")


async def test_files_are_found_by_name(stage: Stage) -> None:
    assert await stage.call("find", pattern="*.py") == "a.py\nsrc/b.py"
    assert await stage.call("find", pattern="**/*.ts", path="src") == "src/deep/c.ts"
    assert await stage.call("find", pattern="deep") == "src/deep/"
    assert (await stage.call("find", pattern="*.rs")).startswith("[no file or folder")
    # Where somebody looks on purpose nothing is passed over.
    assert await stage.call("find", pattern="*", path=".git") == ".git/config"
    skill = stage.folder / "skill"
    (skill / "SKILL.md").write_text("x")
    found = await stage.call("find", pattern="*", path=str(skill))
    assert found == str(skill / "SKILL.md")


async def test_lines_are_found(stage: Stage) -> None:
    assert await stage.call("grep", pattern=r"\bgo\b") == (
        "a.py:3: def go():\nsrc/b.py:1: # go\nsrc/deep/c.ts:1: const go = 1;"
    )
    assert await stage.call("grep", pattern="GO", ignoreCase=True, glob="*.ts") == (
        "src/deep/c.ts:1: const go = 1;"
    )
    assert await stage.call("grep", pattern="go()", literal=True) == "a.py:3: def go():"
    more = {"literal": True, "ignore_case": True}
    assert await stage.call("grep", pattern="GO()", **more) == "a.py:3: def go():"
    assert await stage.call("grep", pattern="name", path="a.py", context=1) == (
        "a.py-3- def go():\na.py:4:     return os.name"
    )
    assert await stage.call("grep", pattern="nothing") == "[no line fits]"
    with pytest.raises(ToolFailed, match="looking ahead"):
        await stage.call("grep", pattern="(?=x)")
    with pytest.raises(ToolFailed, match="pattern is empty"):
        await stage.call("grep", pattern="")


async def test_context_is_shown_once_and_apart(stage: Stage) -> None:
    stage.put("x", "".join(f"{'hit' if n in {2, 4, 9} else n}\n" for n in range(1, 11)))
    assert await stage.call("grep", pattern="hit", path="x", context=1) == (
        "x-1- 1\nx:2: hit\nx-3- 3\nx:4: hit\nx-5- 5\n--\nx-8- 8\nx:9: hit\nx-10- 10"
    )


async def test_lines_at_the_edges_of_pieces_are_whole(stage: Stage) -> None:
    line = "x" * 99 + "\n"
    stage.put("x", line * 6000 + "needle at the end")
    found = await stage.call("grep", pattern="needle at the end$", path="x")
    assert found == "x:6001: needle at the end"
    stage.put("y", "needle" + "z" * 1_000_000 + "needle2\nneedle3\n")
    found = await stage.call("grep", pattern="needle", path="y")
    assert [each[:10] for each in found.split("\n")] == ["y:1: needl", "y:2: needl"]
    assert "needle2" not in found


@pytest.mark.parametrize(
    "limits, words",
    [
        (FilesConfig(found_lines=2), "there are more"),
        (FilesConfig(read_chars=30), "tools.files.read_chars"),
        (FilesConfig(looked_at=3), "only 3 files and folders"),
        (FilesConfig(search_bytes=20), "tools.files.search_bytes"),
    ],
)
async def test_what_one_search_shows_and_reads_is_limited(
    tmp_path: Path, limits: FilesConfig, words: str
) -> None:
    stage = Stage(tmp_path, limits)
    for number in range(9):
        stage.put(f"f{number}", f"hit {number}\n")
    assert words in await stage.call("grep", pattern="hit")


async def test_what_one_find_shows_is_limited(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FilesConfig(found_files=2))
    for number in range(9):
        stage.put(f"f{number}", "")
    found = await stage.call("find", pattern="f*")
    assert found.startswith("f0\nf1\n\n[there are more")
    skipping = Stage(tmp_path, FilesConfig(skip=("d",)))
    skipping.put("d/x", "")
    assert await skipping.call("find", pattern="x") == "[no file or folder fits 'x']"


async def test_a_search_that_takes_too_long_shows_what_it_has(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FilesConfig(search_seconds=0.05), threads=True)
    stage.put("a", "needle\n")
    stage.put("b", "hay (a*)*b\n" * 2_000_000)
    found = await stage.call("grep", pattern="needle|[h](a+)+c")
    assert found.startswith("a:1: needle\n")
    assert "search_seconds" in found


async def test_a_search_that_is_given_up_closes_its_files(tmp_path: Path) -> None:
    stage = Stage(tmp_path, threads=True)
    stage.put("b", "hay\n" * 2_000_000)
    before = len(open_files())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            stage.tools["grep"].run, order("grep", "key", {"pattern": "(h|a)+y+x"})
        )
        while not stage.bench.statistics()["searching"]:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    while len(open_files()) > before:  # noqa: ASYNC110 -- a thread tells nobody
        await trio.sleep(0.001)


@pytest.mark.slow
async def test_many_entries_are_no_burden(tmp_path: Path, monkeypatch) -> None:
    """A folder of a million, as the system tells it: no more is held than is looked at."""

    class Entries:
        def __init__(self) -> None:
            self.count = 0

        def __iter__(self):
            for number in range(1_000_000):
                self.count += 1
                yield Entry(f"name {number:07}")

    @contextlib.contextmanager
    def scandir(folder: int):
        yield told

    told = Entries()
    monkeypatch.setattr("beamclaw.files.listing.os.scandir", scandir)
    stage = Stage(tmp_path, FilesConfig(looked_at=20_000))
    tracemalloc.start()
    try:
        listed = await stage.call("ls", limit=3)
        found = await stage.call("find", pattern="nothing")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert listed.startswith("name 0000000\nname 0000001\nname 0000002\n")
    assert "20,000 or more" in listed
    assert "only 20,000" in found
    assert told.count <= 2 * 20_000 + 2
    assert peak < 20_000_000


class Entry:
    def __init__(self, name: str) -> None:
        self.name = name

    def is_symlink(self) -> bool:
        return False

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return False

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return True


async def test_the_node_s_own_data_is_not_searched(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    own = stage.space / "own"
    own.mkdir()
    (own / "token").write_text("canary\n")
    setting = Setting(
        roots=Roots(stage.space, closed=(own,)),
        limits=stage.limits,
        receipts=stage.receipts,
        bench=stage.bench,
        outside=stage.bench.outside,
    )
    stage.tools = {each.spec.name: each for each in tools(setting)}
    assert await stage.call("grep", pattern="canary") == "[no line fits]"
    assert "token" not in await stage.call("find", pattern="*")
    for tool, more in (("ls", {}), ("read", {}), ("grep", {"pattern": "canary"})):
        with pytest.raises(ToolFailed, match="belongs to BeamClaw"):
            await stage.call(tool, path="own", **more)
