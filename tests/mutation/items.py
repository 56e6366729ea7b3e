"""Whether the tests of an item are red when a fault of that item is in the sources."""

import ast
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from .copies import copied, run
from .fault import ROOT, Fault

# A test that takes longer than this, in seconds, hangs: the longest takes about one.
PATIENCE = 60.0
# Runs with one fault: after a test that hangs, the others have to have their turn.
MOST_RUNS = 4
# How it begins what a test says that failed only by what was left behind.
LEFT = "left behind"

Colour: TypeAlias = Literal["red", "hangs", "green", "broken"]


@attrs.frozen
class Verdict:
    """What the tests of one item say of one fault.

    Attributes:
        item: The item.
        colour: ``red`` and ``hangs`` are what is wanted. ``green``: the fault survives.
            ``broken``: there was no test, or it did not get as far as to be run.
        test: The test that is red, or hangs.
        says: What it says.
    """

    item: str
    colour: Colour
    test: str = ""
    says: str = ""

    @property
    def is_found(self) -> bool:
        """Whether the tests have done what they are for."""
        return self.colour in ("red", "hangs")


@cache
def marked() -> dict[str, tuple[str, ...]]:
    """The files with tests of each item, as far as they are not compared with others."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text()
        if "mark.otp" not in source:
            continue
        for item in items_in(source):
            found.setdefault(item, set()).add(str(path.relative_to(ROOT)))
    return {item: tuple(sorted(files)) for item, files in found.items()}


def items_in(source: str) -> Iterator[str]:
    """The items that the markers in *source* name, also those in parameters."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func) == "pytest.mark.otp"
        ):
            yield from (str(ast.literal_eval(argument)) for argument in node.args)


@attrs.define
class _Story:
    """What a run has written down."""

    finished: bool = False
    collected: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])
    # Tests that failed, and what they say.
    failed: dict[str, str] = attrs.field(factory=dict[str, str])
    hangs: str = ""
    broken: str = ""

    @classmethod
    def read(cls, path: Path) -> "_Story":
        story = cls()
        for line in path.read_text().splitlines() if path.exists() else ():
            story.hear(json.loads(line))
        return story

    def hear(self, line: list[Any]) -> None:
        """Take in one line."""
        match line:
            case ["collected", tests]:
                self.collected = tests
            case ["broken", why]:
                self.broken = why
            case ["begins", test]:
                self.hangs = test
            case ["failed", test, "setup", says]:
                self.broken = f"{test}: {says}"
            case ["failed", test, "teardown", says]:
                self.failed.setdefault(test, f"{LEFT}: {says}")
            case ["failed", test, _, says]:
                self.failed.setdefault(test, says)
            case ["ends", _]:
                self.hangs = ""
            case ["finished"]:
                self.finished = True
            case _:
                raise AssertionError(line)

    def verdict(self, item: str) -> Verdict | None:
        """What the tests of *item* have said so far."""
        for test, says in self.failed.items():
            if item in self.collected[test]:
                return Verdict(item, "red", test, says)
        if self.hangs and item in self.collected[self.hangs]:
            return Verdict(item, "hangs", self.hangs, f"no end after {PATIENCE:.0f} s")
        if not any(item in items for items in self.collected.values()):
            return Verdict(item, "broken", says=self.broken or "no test is collected")
        return Verdict(item, "green") if self.finished else None


def judge(source: Path, fault: Fault | None, items: Sequence[str]) -> list[Verdict]:
    """Run the tests of *items* with *fault* in a copy of the package in *source*."""
    verdicts: dict[str, Verdict] = {}
    without: list[str] = []
    with copied(source, fault) as folder:
        for _ in range(MOST_RUNS):
            left = [item for item in items if item not in verdicts]
            if not left:
                break
            story, said = _play(folder, left, without)
            if not story.finished and not story.hangs:
                why = story.broken or said[-2000:]
                verdicts |= {item: Verdict(item, "broken", says=why) for item in left}
            for item in left:
                verdict = story.verdict(item)
                if verdict is not None:
                    verdicts[item] = verdict
            without.append(story.hangs)
    return [verdicts.get(item, Verdict(item, "green")) for item in items]


def _play(
    folder: Path, items: Iterable[str], without: Iterable[str]
) -> tuple[_Story, str]:
    files = sorted({file for item in items for file in marked().get(item, ())})
    with tempfile.TemporaryDirectory(prefix="story-") as place:
        path = Path(place) / "story"
        arguments = [
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"),
            *("-p", "tests.mutation.plugin", "-m", "not live"),
            *("-o", f"pythonpath={folder}"),
            *(f"--timeout={PATIENCE}", "--timeout-method=thread"),
            f"--items={','.join(items)}",
            f"--story={path}",
            *(f"--without={test}" for test in without if test),
            *files,
        ]
        _, said = run(folder, arguments, seconds=20 * PATIENCE)
        return _Story.read(path), said
