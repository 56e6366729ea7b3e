"""Questions in words, and what is typed to them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from beamclaw.cli.answer import Answer, Show
from beamclaw.cli.asking import Asking, Says
from beamclaw.cli.question import Reply, lines, over, prompt, reply, short, visible

ROW: dict[str, Any] = {
    "wait_id": "run-1/call_0",
    "session_key": "agent:main:main",
    "agent": "main",
    "question": "run: ls -l",
    "details": {"command": "ls -l", "folder": "/ws", "program": "/usr/bin/ls"},
    "grant": {"tool": "exec", "pattern": "/usr/bin/ls", "words": "ls -l (in /ws)"},
    "left": 3_700.0,
}


def test_a_question_is_shown_in_full() -> None:
    assert list(lines(ROW)) == [
        "run: ls -l",
        "  command  ls -l",
        "  folder   /ws",
        "  program  /usr/bin/ls",
        "  agent    main, in agent:main:main",
        "  expires  in 1 h 1 min",
        "  always   allows for good: ls -l (in /ws)",
    ]


def test_what_can_be_allowed_once_does_not_offer_more() -> None:
    once = ROW | {"grant": None, "left": -1.0}
    assert "always" not in "\n".join(lines(once))
    assert "expires  now" in "\n".join(lines(once))
    assert "a = always" in prompt(ROW)
    assert "a = always" not in prompt(once)


HIDDEN = [
    "ls\nrm -rf /",
    "ls\r\x1b[2K harmless",
    "\x1b]0;title\x07",
    "safe\u202etxt.sh",
    "a\u2066b\u2069",
    "zero\u200bwidth",
    "c1\x9b2J",
    "sep\u2028line",
    "tab\tbed",
    "nbsp\u00a0",
    "\ud800",
    "tag\U000e0041",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_nothing_that_a_model_writes_reaches_the_terminal_unseen(text: str) -> None:
    row = ROW | {
        "question": text,
        "details": {"command": text, text: "x"},
        "grant": {"tool": "exec", "pattern": "p", "words": text},
        "agent": text,
        "session_key": text,
    }
    shown = list(lines(row))
    assert all(line.isprintable() for line in shown)
    assert any("cannot be seen" in line for line in shown)
    assert short(row).isprintable()
    assert visible(text).isprintable()
    assert over("allow", text).isprintable()


def test_a_line_cannot_be_made_to_look_like_another() -> None:
    row = ROW | {"details": {"command": "ls\n  program  /usr/bin/true"}}
    assert list(lines(row))[1] == "  command  ls\\n  program  /usr/bin/true"


def test_a_long_question_is_cut_in_lists_only() -> None:
    row = ROW | {"question": "x" * 10_000}
    assert len(short(row)) < 200
    assert "x" * 10_000 in next(lines(row))


SEND = {"question": "send x"}
ALLOW, ALWAYS = Reply(verdict="allow"), Reply(verdict="allow", always=True)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("y\n", ALLOW),
        (" YES \n", ALLOW),
        ("a\n", ALWAYS),
        ("always\n", ALWAYS),
        ("n\n", Reply(verdict="deny")),
        ("No\n", Reply(verdict="deny")),
        ("n use the copy\n", Reply(verdict="deny", text="use the copy")),
        ("\n", None),
        ("yes please\n", None),
        ("y\x1b[A\n", None),
        ("always do it\n", None),
        ("ya\n", None),
        ("hello\n", None),
    ],
)
def test_what_is_typed(typed: str, meant: Reply | None) -> None:
    assert reply(typed, always=True) == meant


def test_always_means_nothing_where_it_is_not_offered() -> None:
    assert reply("a\n", always=False) is None


def test_an_answer_knows_what_is_asked_and_what_was_said() -> None:
    answer = Answer(0.0)
    asked = {"type": "Question", "wait_id": "w", "verdict": None, "by": "", **SEND}
    assert answer.take(asked, 1.0) == [Show("question")]
    assert answer.verdicts == {}
    answer.take(asked | {"verdict": "deny", "by": "anna"}, 2.0)
    assert answer.verdicts == {"w": ("deny", "anna")}
    assert answer.questions == {"w": "send x"}
    assert answer.phase == ""
    answer.take({"type": "Waiting", "phase": "person", "detail": ""}, 3.0)
    assert answer.phase == "person"


def test_what_was_answered_before_it_could_be_asked_here_is_told_once(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    screen = cast("Says", SimpleNamespace(say=said.append))
    asking = Asking(tmp_path, screen, answers=False)
    answer = Answer(0.0)
    asked = {"type": "Question", "wait_id": "w", "verdict": None, "by": "", **SEND}
    answer.take({"type": "Accepted", "run_id": "r", "session_key": "s"}, 0.0)
    answer.take(asked, 1.0)
    answer.take(asked | {"verdict": "allow", "by": "anna", "question": ""}, 1.0)
    for _ in range(2):
        asking.look(answer, 1.0, at_once=True)
    assert said == ["\nsend x\n[allowed by anna]"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("allow", "[allowed by anna]"),
        ("deny", "[refused by anna]"),
        ("expired", "[nobody answered in time]"),
        (None, "[answered elsewhere, or not wanted any more]"),
    ],
)
def test_what_became_of_a_question(verdict: str | None, words: str) -> None:
    assert over(verdict, "anna") == words
