"""Exact and unique replacement, against a simple model; what is not touched stays."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beamclaw.contracts.tools import ToolFailed
from beamclaw.files.edits import Edit, edited
from beamclaw.files.text import BOM, Mapped, decoded, plain

CASES = {
    "one place": ("a b c", [("b", "x")], "a x c"),
    "a line goes": ("a\nb\nc\n", [("b\n", "")], "a\nc\n"),
    "no final newline": ("a\nb", [("b", "x")], "a\nx"),
    "pairs stay pairs": ("a\r\nb\r\n", [("a\nb", "a\nx\nb")], "a\r\nx\r\nb\r\n"),
    "a model that writes pairs": ("a\nb\n", [("a\r\nb", "x\r\ny")], "x\ny\n"),
    "mixed endings stay": (
        "a\r\nb\nc\r\nd\r\n",
        [("d", "x\ny")],
        "a\r\nb\nc\r\nx\r\ny\r\n",
    ),
    "the endings of the place": (
        "a\r\nb\r\nc\r\nd\ne\n",
        [("d\ne", "d\nx\ne")],
        "a\r\nb\r\nc\r\nd\nx\ne\n",
    ),
    "a mark stays": (f"{BOM}a\nb\n", [("a", "x")], f"{BOM}x\nb\n"),
    "in any order": ("a b c", [("c", "3"), ("a", "1")], "1 b 3"),
    "not in what was written": ("a b", [("a", "b b"), ("b", "c")], "b b c"),
    "side by side": ("abcd", [("ab", "1"), ("cd", "2")], "12"),
    "half a pair": ("a\r\nb", [("a\n", "")], "b"),
    "a lone return": ("a\rb\nc", [("b", "x")], "a\rx\nc"),
}

# text, edits -> words
REFUSED = {
    "not there": ("a\nb\n", [("c", "x")], "is not in file.txt"),
    "twice": ("a\nb\na\n", [("a", "x")], r"more than once \(lines 1, 3\)"),
    "twice, overlapping": ("aaa", [("aa", "x")], "more than once"),
    "empty": ("a", [("", "x")], "is empty"),
    "the same": ("a", [("a", "a")], "nothing would change"),
    "overlapping": ("abc", [("ab", "1"), ("bc", "2")], "overlap in line 1"),
    "the second": ("abc", [("a", "1"), ("x", "2")], "oldText of edit 2 is not"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "_"))
def test_a_text_is_replaced_and_no_other_byte(case: str) -> None:
    text, edits, after = CASES[case]
    assert edited(text, [Edit(*each) for each in edits], "file.txt") == after


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "_"))
def test_what_is_not_clear_is_refused_in_words(case: str) -> None:
    text, edits, words = REFUSED[case]
    with pytest.raises(ToolFailed, match=words):
        edited(text, [Edit(*each) for each in edits], "file.txt")


def test_the_nearest_place_is_shown() -> None:
    text = "import os\n\ndef greet(name):\n    return f'hello {name}'\n"
    with pytest.raises(ToolFailed, match="white space only") as failed:
        edited(text, [Edit("def greet(name):\n  return f'hello {name}'", "x")], "f")
    assert "from line 3 on" in str(failed.value)
    assert "    return f'hello {name}'" in str(failed.value)
    with pytest.raises(ToolFailed, match="from line 3 on") as failed:
        edited(text, [Edit("def greets(names):", "x")], "f")
    assert "white space only" not in str(failed.value)
    with pytest.raises(ToolFailed) as failed:
        edited(text, [Edit("0123456789", "x")], "f")
    assert "nearest" not in str(failed.value)


@pytest.mark.parametrize(
    "data, words",
    [(b"a\0b", "is binary"), (b"caf\xe9", "not UTF-8: byte 0xe9 at 3")],
)
def test_what_is_no_text_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ToolFailed, match=words):
        decoded(data, "f")


TEXTS = st.lists(st.sampled_from(["a", "b", "\n", "\r\n", "\r", "é", " "])).map("".join)

# Half an ending beside another may become a whole one; nobody writes such files.
SOUND = st.lists(st.sampled_from(["a", "b", "\n", "\r\n", "é", " "])).map("".join)


@given(TEXTS)
def test_each_place_is_mapped(raw: str) -> None:
    mapped = Mapped(raw)
    for at in range(len(mapped.plain) + 1):
        assert plain(raw[: mapped.place(at)]) == mapped.plain[:at]
        assert plain(raw[mapped.place(at) :]) == mapped.plain[at:]


@given(SOUND, SOUND, st.data())
def test_an_edit_against_a_simple_model(
    raw: str, new: str, data: st.DataObject
) -> None:
    seen = plain(raw)
    start = data.draw(st.integers(0, len(seen)))
    end = data.draw(st.integers(start, len(seen)))
    old = seen[start:end]
    assume(old and plain(new) != old)
    alone = [at for at in range(len(seen)) if seen.startswith(old, at)] == [start]
    if not alone:
        with pytest.raises(ToolFailed, match="more than once"):
            edited(raw, [Edit(old, new)], "f")
        return
    after = edited(raw, [Edit(old, new)], "f")
    # What a model sees, and that the bytes around are those that were there.
    mapped = Mapped(raw)
    head, tail = raw[: mapped.place(start)], raw[mapped.place(end) :]
    assert after.startswith(head)
    assert after.endswith(tail)
    middle = after[len(head) : len(after) - len(tail)]
    assert plain(middle) == plain(new)


@given(TEXTS, st.permutations([("a", "1"), ("b", "2"), ("é", "3")]))
def test_the_order_of_edits_means_nothing(
    raw: str, edits: list[tuple[str, str]]
) -> None:
    here = [each for each in edits if plain(raw).count(each[0]) == 1]
    assume(here)
    expected = raw
    for old, new in here:
        expected = expected.replace(old, new)
    assert edited(raw, [Edit(*each) for each in here], "f") == expected
