"""Patches: what they say, what they come to, and which are refused before any change."""

import difflib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.patch import Add, Chunk, Delete, Update, applied, parsed
from beamclaw.files.text import BOM


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def after(text: str, *lines: str) -> str | None:
    ops = parsed(patch("*** Update File: f", *lines))
    return applied(ops, {"f": text})["f"][0]


FILE = "import os\n\nclass A:\n    def go(self):\n        pass\n\nclass B:\n    def go(self):\n        pass\n"


def test_all_that_a_patch_can_say() -> None:
    ops = parsed(
        patch(
            "*** Add File: new.txt", "+one", "+", "+two", "",
            "*** Delete File: old.txt",
            "*** Update File: a.py", "*** Move to: b.py",
            "@@ class A:", "@@     def go(self):", " x", "-y", "+z", "",
            "*** Update File: c.py", "-last", "+end", "*** End of File",
        )
    )  # fmt: skip
    assert ops == (
        Add("new.txt", "one\n\ntwo\n"),
        Delete("old.txt"),
        Update(
            "a.py",
            (Chunk(("class A:", "    def go(self):"), ((" ", "x"), ("-", "y"), ("+", "z"))),),
            "b.py",
        ),
        Update("c.py", (Chunk((), (("-", "last"), ("+", "end")), at_end=True),)),
    )  # fmt: skip
    assert parsed("<<'EOF'\n" + patch("*** Delete File: x") + "\nEOF") == (Delete("x"),)
    assert parsed(patch("*** Delete File: x").replace("\n", "\r\n")) == (Delete("x"),)


APPLIED = {
    "a line": ("a\nb\nc\n", (" a", "-b", "+x", " c"), "a\nx\nc\n"),
    "two places": ("a\nb\nc\nd\n", ("-a", "+1", "@@", "-d", "+4"), "1\nb\nc\n4\n"),
    "under a header": (FILE, ("@@ class B:", "     def go(self):", "-        pass",
        "+        return 1"), FILE[:-13] + "        return 1\n"),
    "under two headers": (FILE, ("@@ class B:", "@@     def go(self):",
        "-        pass", "+        return 1"), FILE[:-13] + "        return 1\n"),
    "after a header": ("a\nb\n", ("@@ a", "+x"), "a\nx\nb\n"),
    "at the end": ("a\nb\n", ("+c",), "a\nb\nc\n"),
    "the last of several": ("x\ny\nx\n", ("-x", "+z", "*** End of File"), "x\ny\nz\n"),
    "numbers are passed over": ("a\nb\n", ("@@ -1,2 +1,2 @@", " a", "-b", "+x"),
        "a\nx\n"),
    "white space at the end": ("a  \nb\n", (" a", "-b", "+x"), "a  \nx\n"),
    "white space before": ("\ta\nb\n", (" a", "-b", "+x"), "\ta\nx\n"),
    "an empty line stays": ("a\n\nb\n", (" a", "", "-b", "+x"), "a\n\nx\n"),
    "no final newline": ("a\nb", ("-b", "+x"), "a\nx"),
    "no final newline, more": ("a\nb", (" b", "+x"), "a\nb\nx"),
    "pairs": ("a\r\nb\r\n", (" a", "+x", "-b"), "a\r\nx\r\n"),
    "a mark": (f"{BOM}a\nb\n", ("-a", "+x"), f"{BOM}x\nb\n"),
    "into an empty file": ("", ("+x",), "x\n"),
    "all of it": ("a\n", ("-a",), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", APPLIED, ids=lambda case: case.replace(" ", "_"))
def test_lines_are_changed_where_they_stand(case: str) -> None:
    text, lines, result = APPLIED[case]
    assert after(text, *lines) == result


REFUSED = {
    "not there": (("-zebra",), "these lines are not in f"),
    "several places": (
        (" class A:", "@@", "     def go(self):", "-        pass"),
        None,
    ),
    "ambiguous": (("-        pass",), "more than once, at lines 5, 9"),
    "no such header": (("@@ class C:", "-x"), "the line 'class C:' is not in f"),
    "out of order": ((" class B:", "@@", "-class A:"), "from line 8 on"),
    "nothing": ((), "no lines for 'f'"),
    "a bad sign": (("*x",), "line 3 of the patch, '\\*x': a line begins with"),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "_"))
def test_lines_that_do_not_fit_are_refused(case: str) -> None:
    lines, words = REFUSED[case]
    with pytest.raises(ToolFailed, match=words):
        after(FILE, *lines)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "first line"),
        ("*** Begin Patch", "last line"),
        (patch(), "changes nothing"),
        (patch("hello"), "line 2 of the patch, 'hello': expected"),
        (patch("*** Add File: x", "one"), "begins with \\+"),
    ],
)
def test_what_is_no_patch_is_refused(text: str, words: str) -> None:
    with pytest.raises(ToolFailed, match=words):
        parsed(text)


def test_files_are_added_deleted_moved_and_named_again() -> None:
    ops = parsed(
        patch(
            "*** Add File: n", "+1",
            "*** Update File: n", "+2",
            "*** Update File: a", "*** Move to: b",
            "*** Delete File: d",
            "*** Add File: d", "+again",
        )
    )  # fmt: skip
    files = {"n": None, "a": "x\n", "b": None, "d": "old\n"}
    assert applied(ops, files) == {
        "n": ("1\n2\n", None),
        "a": (None, None),
        "b": ("x\n", "a"),
        "d": ("again\n", None),
    }


@pytest.mark.parametrize(
    "lines, words",
    [
        (("*** Add File: a", "+x"), "a is there already"),
        (("*** Delete File: n",), "there is no file n"),
        (("*** Update File: n", "+x"), "there is no file n"),
        (("*** Update File: a", "*** Move to: b"), "b is there already"),
    ],
)
def test_what_does_not_fit_the_files_is_refused(lines, words) -> None:
    with pytest.raises(ToolFailed, match=words):
        applied(parsed(patch(*lines)), {"a": "x\n", "b": "y\n", "n": None})


LINES = st.lists(st.sampled_from(["a", "b", "c", " d", "", "@@", "*** x"]), max_size=12)


@given(LINES, LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_patch_made_by_difflib_comes_to_its_text(
    old: list[str], new: list[str], ending: str, closed: bool
) -> None:
    """Against a simple model: all the lines of a file, as `difflib` says they differ."""
    assume(old != new and old)
    assume(closed or (old[-1] and new and new[-1]))
    assume(ending == "\n" or closed or len(old) > 1)  # else it shows no ending
    body = [
        ("+" if line[0] == "+" else "-" if line[0] == "-" else " ") + line[2:]
        for line in difflib.ndiff(old, new)
        if line[0] in "+- "
    ]
    text = ending.join(old) + (ending if closed else "")
    expected = ending.join(new) + (ending if closed and new else "")
    # A last line that is blank and stays is taken for the space between two files.
    assume(body[-1] != " ")
    assert after(text, *body) == expected
