"""Which lines are words to be carried out, and which are work for a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.command_text import (
    NeedsShell,
    NotACommand,
    Words,
    line,
    parse,
)

WORDS = [
    ("ls", ("ls",)),
    ("ls  -la\treports", ("ls", "-la", "reports")),
    ("git commit -m 'two words'", ("git", "commit", "-m", "two words")),
    ('grep "a b" x.csv', ("grep", "a b", "x.csv")),
    ("echo 'a; b | c $(d) `e` *'", ("echo", "a; b | c $(d) `e` *")),
    ("echo a\\ b", ("echo", "a b")),
    ("echo 'it'\\''s'", ("echo", "it's")),
    ("echo ''", ("echo", "")),
    ("dd if=a of=b", ("dd", "if=a", "of=b")),
    ("git log --format=%H", ("git", "log", "--format=%H")),
    ("test a = b", ("test", "a", "=", "b")),
    ("test a =", ("test", "a", "=")),
    ("test a =\t'=b'", ("test", "a", "=", "=b")),
    ("=", ("=",)),
    ("curl a#b", ("curl", "a#b")),
    ("'A=1' ls", ("A=1", "ls")),
    ("echo 'two\nlines'", ("echo", "two\nlines")),
]
SHELLS = [
    "ls; rm -rf x",
    "ls && rm x",
    "ls || rm x",
    "ls & rm x",
    "ls &",
    "cat x | sh",
    "echo $(id)",
    "echo `id`",
    'echo "$(id)"',
    'echo "`id`"',
    "echo $HOME",
    'echo "$HOME"',
    "echo ${IFS}",
    "ls\nrm x",
    "ls\r\nrm x",
    "ls \\\n-la",
    "rm *",
    "rm a?",
    "rm [ab]",
    "rm {a,b}",
    "ls ~",
    "ls ~root/x",
    "ls =git",
    "=git",
    "test a == b",
    "ls =''",
    "ls =\\ ",
    "ls =\nrm x",
    "ls =;rm x",
    "ls > out",
    "ls 2>&1",
    "sort < in",
    "cat <<EOF",
    "diff <(a) <(b)",
    "(ls)",
    "A=1 ls",
    "LD_PRELOAD=./x.so ls",
    "A+=1 ls",
    "PATH=. git status",
    "! ls",
    "cd x",
    "export A",
    ". ./x",
    "source x",
    "eval ls",
    "exec ls",
    "alias ls=rm",
    "time ls",
    "if true",
    "ls # hidden",
    "$'ls'",
    'echo "a\\nb"',
]


@pytest.mark.parametrize(("text", "argv"), WORDS)
def test_words_are_words(text: str, argv: tuple[str, ...]) -> None:
    assert parse(text) == Words(argv)


@pytest.mark.parametrize("text", SHELLS)
def test_what_a_shell_would_read_in_its_own_way_is_the_shells(text: str) -> None:
    found = parse(text)
    assert isinstance(found, NeedsShell)
    assert found.why


@pytest.mark.parametrize("text", ["", "  ", "''", "'a", 'a "b', "a\0b"])
def test_some_texts_are_no_command(text: str) -> None:
    with pytest.raises(NotACommand):
        parse(text)


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_a_line_reads_as_the_words_it_was_made_of(words: list[str]) -> None:
    argv = ("run", *words)
    assert parse(line(argv)) == Words(argv)


LINES = [
    (("git", "log", "--format=%H"), "git log --format=%H"),
    (("test", "a", "=", "b"), "test a = b"),
    (("test", "a", "==", "b"), "test a '==' b"),
    (("ls", "=git", "a=", ""), "ls '=git' a= ''"),
    (("A=1", "x"), "'A=1' x"),
    (("A+=1", "A+=1"), "'A+=1' A+=1"),
    (("=", "="), "= ="),
    (("ls", "~", "#", "a~", "a#"), "ls '~' '#' 'a~' 'a#'"),
]


@pytest.mark.parametrize(("argv", "text"), LINES)
def test_what_some_shell_reads_in_its_own_way_is_quoted(
    argv: tuple[str, ...], text: str
) -> None:
    assert line(argv) == text
    assert parse(text) == Words(argv)
