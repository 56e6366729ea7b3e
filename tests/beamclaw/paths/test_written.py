"""Which paths are refused by their text alone, and which names count as protected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamclaw.paths import PathRefused, Written, protected, shown, written

GOOD = {
    "notes.txt": ("notes.txt",),
    "a/./b//c": ("a", "b", "c"),
    ".": (),
    "a/../b": ("a", "..", "b"),
    "100%.txt": ("100%.txt",),
    "two words%20here": ("two words%20here",),
    "caf\u00e9/caf%C3%A9": ("caf\u00e9", "caf%C3%A9"),
    "Entwurf\u2026.md": ("Entwurf\u2026.md",),
    "\u0645\u06cc\u200c\u062e.txt": ("\u0645\u06cc\u200c\u062e.txt",),
    "backup~": ("backup~",),
    "c: drive": ("c: drive",),
    "...": ("...",),
}

# text -> a word of the reason
BAD = {
    "": "empty",
    "  ": "empty",
    "a\0b": "NUL",
    "a\ud800": "Unicode",
    "a\nb": "cannot be seen",
    "a\x7fb": "cannot be seen",
    "invoice\u202efdp.exe": "turn text round",
    "a\u2066b": "turn text round",
    "AGENTS\u200b.md": "cannot be seen",
    "\ufeffnotes": "cannot be seen",
    "\\\\server\\share": "another machine",
    "//server/share": "another machine",
    "\\\\?\\C:\\x": "another machine",
    "file:///etc/passwd": "URL",
    "FILE:/etc/passwd": "URL",
    "https://example.org/x": "URL",
    "C:\\Windows": "drive letter",
    "c:/Windows": "drive letter",
    "a\\b": "backslash",
    "..\\x": "backslash",
    "~": "~",
    "~/.ssh/id": "~",
    "~root/x": "~",
    "%2e%2e/x": "%",
    "..%2Fx": "%",
    "a%00b": "%",
    "%252e%252e%252f": "%",
    "%c0%ae%c0%ae/x": "%",
    "%u002e%u002e": "%",
    "a%5cb": "%",
    "\uff0e\uff0e/x": "stand for",
    "\u2025/x": "stand for",
    "a\uff0fb": "stand for",
    "a\uff3cb": "stand for",
    "x" * 256: "255 bytes",
    "\u00e9" * 128: "255 bytes",
    "/".join(["x" * 200] * 21): "4,096 bytes",
    "a/" * 129: "129 names",
}


@pytest.mark.parametrize("text", GOOD, ids=ascii)
def test_a_path_is_taken_as_it_stands(text: str) -> None:
    assert written(text).parts == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text[:20]))
def test_what_means_something_else_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(PathRefused) as refused:
        written(text)
    assert BAD[text] in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 800


def test_absolute_paths_and_folders_are_known_by_their_strokes() -> None:
    assert written("/a/b") == Written(absolute=True, parts=("a", "b"))
    assert written("a/") == Written(absolute=False, parts=("a",), folder=True)


@given(st.text(max_size=60))
def test_whatever_is_written_is_refused_or_stays_the_same_below(text: str) -> None:
    try:
        found = written(text)
    except PathRefused:
        return
    for part in found.parts:
        assert part
        assert "/" not in part
        assert part != "."
    again = "/".join(found.parts)
    if again:
        assert written(again).parts == found.parts


@pytest.mark.parametrize(
    "path, name",
    [
        ("AGENTS.md", "AGENTS.md"),
        ("agents.MD", "AGENTS.md"),
        ("Soul.md", "SOUL.md"),
        ("\uff21GENTS.md", "AGENTS.md"),  # a wide A
        ("AGENT\u017f.md", "AGENTS.md"),  # a long s
        ("AGENTS\u200d.md", "AGENTS.md"),
        ("AGENTS.md.", "AGENTS.md"),
        ("AGENTS.md ", "AGENTS.md"),
        ("memory/2026-11-21.md", "memory/"),
        ("Memory/x", "memory/"),
        ("memory", "memory/"),
        ("MEMORY.md", "MEMORY.md"),
        ("\u017fkills/a/SKILL.md", "skills/"),
        (".git/hooks/pre-commit", ".git/hooks/"),
        (".git/config", ".git/config"),
        ("notes/AGENTS.md", None),
        ("memories/x", None),
        (".git/HEAD", None),
        ("AGENTS.md.bak", None),
    ],
)
def test_look_alikes_of_protected_names_count_as_them(
    path: str, name: str | None
) -> None:
    assert protected(path.split("/")) == name


def test_a_message_shows_a_path_without_what_it_does() -> None:
    assert shown("a\u202eb\x1b[31m") == r"'a\u202eb\x1b[31m'"
    assert len(shown("x" * 5000)) < 130
