"""What an agent is told of its workspace: which files, in which conversation, how much."""

import pytest

from beamclaw.skills.prompt import (
    FILES,
    Caps,
    Content,
    Part,
    assemble,
    cut,
    told_files,
)

CAPS = Caps(file=1_000, user=200, total=1_500)


def files(**texts: str) -> list[Content]:
    named = {f"{name}.md": text for name, text in texts.items()}
    return [
        Content(rule.name, text, 0 if text is None else len(text))
        for rule in FILES
        for text in [named.get(rule.name)]
    ]


def told(contents: list[Content], *, strict: bool = True) -> str:
    return "\n\n".join(told_files(contents, "main", CAPS, "/ws", strict=strict)[0])


def test_files_are_told_in_their_order_and_those_missing_are_marked():
    text = told(files(SOUL="soul", AGENTS="agents", TOOLS="tools"))
    assert text == (
        "## AGENTS.md\n\nagents\n\n## SOUL.md\n\nsoul\n\n## TOOLS.md\n\ntools\n\n"
        "## IDENTITY.md\n\n[MISSING] Expected at: /ws/IDENTITY.md\n\n"
        "## USER.md\n\n[MISSING] Expected at: /ws/USER.md"
    )


def test_nothing_is_missed_where_nothing_was_made():
    assert told(files(), strict=False) == ""


@pytest.mark.parametrize(
    "scope, names",
    [
        ("main", ["AGENTS.md", "BOOTSTRAP.md", "MEMORY.md"]),
        ("chat", ["AGENTS.md", "BOOTSTRAP.md"]),
        ("subagent", ["AGENTS.md"]),
    ],
)
def test_what_it_remembers_is_for_its_own_conversation_alone(scope, names):
    contents = files(AGENTS="a", BOOTSTRAP="b", MEMORY="m")
    _, parts = told_files(contents, scope, CAPS, "/ws", strict=False)
    assert [part.name for part in parts] == names


def test_a_long_file_loses_its_middle_and_says_how_much():
    text = "".join(chr(ord("a") + i % 26) for i in range(5_000))
    short = cut(text, 1_000, "AGENTS.md")
    assert short.startswith(text[:700])
    assert short.endswith(text[-200:])
    assert (
        "[... 4100 characters of AGENTS.md are left out; read it for all ...]" in short
    )


def test_user_md_has_a_cap_of_its_own():
    _, parts = told_files(files(USER="u" * 1_000), "main", CAPS, "/ws", strict=False)
    (part,) = parts
    assert part.of == 1_000
    assert 180 <= part.chars < 300


def test_all_files_together_have_a_cap_and_the_last_ones_are_left_out_in_words():
    contents = files(AGENTS="a" * 900, SOUL="s" * 590, MEMORY="m" * 500)
    sections, parts = told_files(contents, "main", CAPS, "/ws", strict=False)
    assert parts == [
        Part("AGENTS.md", 900, 900),
        Part("SOUL.md", 590, 590),
        Part("MEMORY.md", 0, 500),
    ]
    assert sections[-1] == (
        "## MEMORY.md\n\n"
        "[Left out: the files before it take the 1500 characters; read MEMORY.md.]"
    )


def test_a_file_that_cannot_be_read_says_why():
    text = told([Content("SOUL.md", None, trouble="it is a link out")], strict=False)
    assert text == "## SOUL.md\n\n[It cannot be read: it is a link out]"


def test_without_anything_to_tell_the_workspace_is_told():
    text = assemble("/ws", "", [])
    assert text.startswith("# Your workspace\n\nYou work in /ws;")
