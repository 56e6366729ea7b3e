"""Whether a command may go on, as a table."""

from typing import Any

import attrs
import pytest

from beamclaw.contracts.approvals import Ask, Clear, Deny, Grant
from beamclaw.contracts.command_policy import (
    BadRule,
    CommandPolicy,
    Rule,
    grant_of,
    judge,
)
from beamclaw.contracts.execution import Execution, carries

LS = Execution(path="/usr/bin/ls", argv=("ls", "reports"), folder="/ws")
SCRIPT = attrs.evolve(LS, contents={"/ws/x.py": "abc"})
SHELL = attrs.evolve(LS, path="/bin/sh", argv=("sh", "-c", "a | b"), shell="a pipe")
RULES = (Rule.parse("/usr/bin/ls **"),)
GRANTS = (grant_of(LS),)


def policy(mode: Any = "on-miss", after: Any = "ask", *, rules: bool = False) -> Any:
    return CommandPolicy(mode=mode, after_untrusted=after, rules=RULES if rules else ())


CASES = [
    # mode, rule, grant, tainted, after, command: outcome, whether "always" is offered
    ("off", 0, 0, 0, "ask", LS, Clear, False),
    ("off", 0, 0, 0, "ask", SHELL, Clear, False),
    ("on-miss", 0, 0, 0, "ask", LS, Ask, True),
    ("on-miss", 1, 0, 0, "ask", LS, Clear, False),
    ("on-miss", 0, 1, 0, "ask", LS, Clear, False),
    ("on-miss", 1, 1, 0, "ask", SHELL, Ask, False),
    ("on-miss", 1, 1, 0, "ask", SCRIPT, Ask, False),
    ("always", 0, 0, 0, "ask", LS, Ask, False),
    ("always", 1, 1, 0, "ask", LS, Ask, False),
    ("off", 0, 0, 1, "ask", LS, Ask, False),
    ("on-miss", 1, 1, 1, "ask", LS, Ask, False),
    ("always", 0, 0, 1, "ask", LS, Ask, False),
    ("off", 0, 0, 1, "allow", LS, Clear, False),
    ("on-miss", 1, 0, 1, "allow", LS, Clear, False),
    ("on-miss", 0, 0, 1, "allow", LS, Ask, True),
    ("off", 0, 0, 1, "deny", LS, Deny, False),
    ("on-miss", 1, 1, 1, "deny", LS, Deny, False),
    ("on-miss", 1, 0, 0, "deny", LS, Clear, False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_table(case: tuple[Any, ...]) -> None:
    mode, rule, grant, tainted, after, command, outcome, always = case
    cleared = judge(
        command,
        policy(mode, after, rules=bool(rule)),
        GRANTS if grant else (),
        tainted=bool(tainted),
    )
    assert type(cleared) is outcome
    if isinstance(cleared, Ask):
        assert cleared.digest == command.digest
        assert (cleared.grant is not None) == always
        assert cleared.details["folder"] == "/ws"
        assert cleared.details["program"] == command.path


CHANGES: list[dict[str, Any]] = [
    {"path": "/ws/ls"},
    {"argv": ("ls", "-R", "reports")},
    {"argv": ("ls", "reports", "")},
    {"argv": ("ls reports",)},
    {"folder": "/"},
    {"environment": {"LANG": "C"}},
    {"contents": {"/ws/x": "abc"}},
    {"shell": "a pipe"},
    {"where": "bubblewrap"},
    {"tool": "other"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_makes_it_another_command(change: dict[str, Any]) -> None:
    other = attrs.evolve(LS, **change)
    assert other.digest != LS.digest
    assert isinstance(judge(other, policy(), GRANTS), Ask)


def test_how_it_is_written_does_not_make_it_another_one() -> None:
    assert attrs.evolve(LS, shown="ls  'reports'").digest == LS.digest


def test_a_rule_does_not_know_of_an_environment() -> None:
    hijacked = attrs.evolve(LS, environment={"LD_PRELOAD": "./x.so"})
    asked = judge(hijacked, policy(rules=True))
    assert isinstance(asked, Ask)
    assert asked.details["environment"] == "LD_PRELOAD=./x.so"


RULE_CASES = [
    ("/usr/bin/ls", (), True),
    ("/usr/bin/ls", ("a",), False),
    ("/usr/bin/ls a", ("a",), True),
    ("/usr/bin/ls a", ("b",), False),
    ("/usr/bin/ls a", (), False),
    ("/usr/bin/ls *", ("a",), True),
    ("/usr/bin/ls *", ("a/b.csv",), True),
    ("/usr/bin/ls *", ("a", "b"), False),
    ("/usr/bin/ls *", ("-R",), False),
    ("/usr/bin/ls *", ("--rec",), False),
    ("/usr/bin/ls *", ("",), False),
    ("/usr/bin/ls *", ("@args",), False),
    ("/usr/bin/ls *", ("/etc/passwd",), False),
    ("/usr/bin/ls *", ("~/x",), False),
    ("/usr/bin/ls *", ("../x",), False),
    ("/usr/bin/ls *", ("a/../../x",), False),
    ("/usr/bin/ls *", ("if=/etc/passwd",), False),
    ("/usr/bin/ls *", ("a=../x",), False),
    ("/usr/bin/ls *", ("host:/etc",), False),
    ("/usr/bin/ls *", ("file:///etc/passwd",), False),
    ("/usr/bin/ls -l **", ("-l",), True),
    ("/usr/bin/ls -l **", ("-l", "a", "b"), True),
    ("/usr/bin/ls -l **", ("-l", "a", "-b"), False),
    ("/usr/bin/ls -l **", ("a",), False),
    ("/usr/bin/ls 'a b'", ("a b",), True),
]


@pytest.mark.parametrize(("rule", "arguments", "fits"), RULE_CASES)
def test_rules(rule: str, arguments: tuple[str, ...], fits: bool) -> None:
    assert Rule.parse(rule).allows("/usr/bin/ls", arguments) == fits
    assert not Rule.parse(rule).allows("/tmp/ls", arguments)


@pytest.mark.parametrize("text", ["ls", "", "'", "./ls", "/bin/ls ** x"])
def test_some_rules_mean_nothing(text: str) -> None:
    with pytest.raises(BadRule):
        Rule.parse(text)


CARRIERS = [
    ("env", "ls"),
    ("/usr/bin/env", "A=1", "ls"),
    ("time", "ls"),
    ("xargs", "rm"),
    ("nice", "ls"),
    ("nohup", "ls"),
    ("setsid", "ls"),
    ("timeout", "5", "ls"),
    ("stdbuf", "-o0", "ls"),
    ("sh", "-c", "ls"),
    ("bash", "-c", "ls"),
    ("busybox", "sh"),
    ("toybox", "ls"),
    ("sudo", "ls"),
    ("ssh", "host", "ls"),
    ("python", "-c", "1"),
    ("python3", "-m", "http.server"),
    ("python3.12", "x.py"),
    ("perl5.36", "-e", "1"),
    ("node", "-e", "1"),
    ("awk", "BEGIN{system(1)}"),
    ("sed", "e"),
    ("make", "all"),
    ("gcc-13", "@opts"),
    ("x86_64-linux-gnu-gcc-13", "a.c"),
    ("ld-linux-x86-64.so.2", "./x"),
    ("ld.so", "./x"),
    ("find", ".", "-exec", "rm", "{}", "+"),
    ("find", ".", "-delete"),
    ("find", ".", "-fprintf", "x", "%p"),
    ("git", "-c", "alias.x=!sh", "x"),
    ("git", "--exec-path=.", "status"),
    ("git", "--exec", "status"),
    ("git", "ls-remote", "--upload-pack=sh", "x"),
    ("git", "ls-remote", "--upl=sh", "x"),
    ("git", "submodule", "foreach", "ls"),
    ("git", "bisect", "run", "ls"),
    ("git", "rebase", "--exec", "ls"),
    ("tar", "--to-command=sh", "-xf", "x"),
    ("tar", "--checkpoint-action=exec=sh", "-xf", "x"),
    ("tar", "--checkpoint-act=exec=sh", "-xf", "x"),
    ("tar", "-Ish", "-xf", "x"),
    ("sort", "--compress-program=sh", "x"),
    ("sort", "--comp=sh", "x"),
    ("split", "--filter=sh", "x"),
    ("cat", "@response"),
]


@pytest.mark.parametrize("argv", CARRIERS)
def test_what_carries_something_else_out_is_always_asked_for(
    argv: tuple[str, ...],
) -> None:
    path = argv[0] if argv[0].startswith("/") else f"/usr/bin/{argv[0]}"
    command = attrs.evolve(LS, path=path, argv=argv)
    everything = Rule(path, argv[1:])
    allowed = CommandPolicy(rules=(everything,))
    asked = judge(command, allowed, (grant_of(command),))
    assert isinstance(asked, Ask)
    assert asked.grant is None
    assert carries(command) == asked.details["why"]


PLAIN = [
    ("ls", "-la"),
    ("cat", "a.csv"),
    ("git", "status"),
    ("git", "log", "--oneline"),
    ("find", ".", "-name", "x"),
    ("tar", "-xf", "x.tar"),
    ("sort", "-u", "x"),
    ("wc", "-l", "x"),
    ("head", "-c", "5", "x"),
]


@pytest.mark.parametrize("argv", PLAIN)
def test_what_does_one_thing_can_be_allowed_for_good(argv: tuple[str, ...]) -> None:
    command = attrs.evolve(LS, path=f"/usr/bin/{argv[0]}", argv=argv)
    asked = judge(command, policy())
    assert isinstance(asked, Ask)
    assert asked.grant is not None
    assert judge(command, policy(), (asked.grant,)) == Clear()
    assert isinstance(judge(LS, policy(), (asked.grant,)), Ask)


def test_another_name_in_front_does_not_hide_what_a_program_is() -> None:
    linked = attrs.evolve(LS, path="/usr/bin/busybox", argv=("ls", "reports"))
    assert "busybox" in carries(linked)
    assert "sh" in carries(attrs.evolve(LS, argv=("/ws/sh",)))


def test_a_grant_is_for_its_own_tool() -> None:
    other = attrs.evolve(GRANTS[0], tool="process")
    assert isinstance(judge(LS, policy(), (other,)), Ask)
    assert isinstance(judge(LS, policy(), (Grant(tool="exec", pattern="*"),)), Ask)
