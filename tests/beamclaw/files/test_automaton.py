"""Searching: the same answers as Python's own engine, in a time that nothing can spoil."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamclaw.files.automaton import MAX_KEPT, Automaton
from beamclaw.files.expression import BadExpression, needed, read
from tests.support.examples import examples

LINES = [
    "", "a", "aaa", "abc", "xabcx", "foo bar", "foo_bar", "def go(self):", "1,234.5",
    "  x", "A", "ABC", "é", "ß", "a-b]", "\tx", "a\\b", "{2}", "été", "x" * 50,
]  # fmt: skip
EXPRESSIONS = [
    "", "a", "abc", "a|b", "a|", "(a|b)c", "a*", "a+b", "a?b", "a{2}", "a{2,}", "a{1,2}b",
    "a{,2}b", "(?:ab)+", "(?P<name>a)b", "(?<name>a)b", "^a", "a$", "^$", "^a|c$", r"\bfoo\b",
    r"\Bo", r"\w+\(", r"\d+[.,]\d", r"\S+\s\S", "[a-c]x", "[^a-c]", "[]a]", "[^]]",
    "[a-]", r"[\w-]+\]", r"\.", r"\t", r"\x41", r"\u00e9", "(?i)abc", "(?i)É", ".*x.*",
    "a.c", r"def \w+\(self", "(a*)*b", "(a|a)*c", r"\\", "a{x}", "((a)(b))?c",
    r"\Aa", r"c\Z", r"[\d,]+", "x{50}", "x{51}",
]  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_it_finds_what_python_s_engine_finds(text: str) -> None:
    ours, theirs = Automaton(text), re.compile(text.replace("(?<n", "(?P<n"))
    for line in LINES:
        assert ours.search(line) == bool(theirs.search(line)), line


def expressions() -> st.SearchStrategy[str]:
    single = st.sampled_from(
        ["a", "b", "_", " ", ".", r"\w", r"\s", "[ab]", "[^a]", "^", "$", r"\b", r"\B"]
    )

    def more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        wrapped = inner.map(lambda text: f"(?:{text})")
        counted = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?", "{2,}"])
        return st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(
                lambda parts: f"(?:{'|'.join(parts)})"
            ),
            st.tuples(wrapped, counted).map("".join),
        )

    return st.recursive(single, more, max_leaves=6)


@settings(max_examples=examples(300))
@given(expressions(), st.lists(st.text("ab_ ", min_size=1, max_size=8), max_size=10))
def test_any_expression_finds_what_python_s_engine_finds(text: str, lines: Any) -> None:
    ours, theirs = Automaton(text), re.compile(text)
    for line in lines:
        assert ours.search(line) == bool(theirs.search(line))
        assert not ours.search(line) or ours.needed in line
        whole = Automaton(text, whole=True)
        assert whole.search(line) == bool(theirs.fullmatch(line))


@pytest.mark.parametrize(
    "text", ["(a*)*b", "(a|a)*b", "(a+)+$", "a*a*a*a*a*b", "(.*)*x", "(a?){50}a{50}b"]
)
def test_what_takes_another_engine_for_ever_is_over_at_once(text: str) -> None:
    ours = Automaton(text)
    kept: list[int] = []
    original = ours._closure
    ours._closure = lambda *given: kept.append(1) or original(*given)  # type: ignore  # noqa: PGH003
    ours.search("a" * 10_000 + "!")
    # Each state is worked out once, not once for each way to it.
    assert len(kept) < 200


def test_what_is_kept_of_an_automaton_is_limited() -> None:
    ours = Automaton(r"(a|b|c|\w)+x[^y]")
    for number in range(MAX_KEPT + 1000):
        ours.search(chr(0x4E00 + number % 20_000) + chr(0x4E00 + number % 17_000))
    assert ours._size <= MAX_KEPT + 10
    assert ours.search("axz")
    assert not ours.search("axy")


@pytest.mark.parametrize(
    "text, why",
    [
        ("(a", r"a \( is not closed"),
        ("a)", r"a \) too many"),
        ("[a", "ends too early"),
        ("*a", "nothing to repeat"),
        ("a**", "two repetitions"),
        ("a++", "possessive"),
        (r"(a)\1", r"\\1 is not known"),
        ("(?=a)", "looking ahead"),
        ("(?<!a)b", "looking ahead"),
        ("(?P=a)", "looking ahead"),
        ("a{3,2}", "wrong way round"),
        ("[z-a]", "wrong way round"),
        ("a{2000}", "more than 1000"),
        ("(a{1000}){1000}", "too large"),
        ("(" * 60 + ")" * 60, "within one another"),
        (r"\xzz", "hexadecimal"),
        ("[[:nope:]]", "not known here"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(BadExpression, match=why):
        Automaton(text)


def test_posix_names_are_known() -> None:
    assert Automaton("^[[:alpha:]_]+[[:digit:]]$").search("ab_1")
    assert not Automaton("^[[:space:]]$").search("a")


def test_case_is_passed_over_on_demand() -> None:
    assert Automaton("abc", ignore_case=True).search("xABCx")
    assert Automaton("[a-z]É", ignore_case=True).search("Xé")
    assert not Automaton("abc").search("ABC")


@pytest.mark.parametrize(
    "text, literal",
    [
        ("abc", "abc"), ("ab+c", "a"), (r"def \w+\(", "def "), ("a|b", ""), ("(abc)?d", "d"),
        ("x(?:long)+y", "long"), ("", ""), ("[a]bc", "abc"),
    ],
)  # fmt: skip
def test_a_text_that_has_to_be_there_is_known(text: str, literal: str) -> None:
    assert needed(read(text)[0]) == literal
