"""The commands of the shell: what is typed, and what is asked for it."""

import pytest

from beamclaw.cli.live_table import BY_NAME, COMMANDS, Wrong, help_of, parse, split
from beamclaw.cli.prompt import Words, history, styled
from beamclaw.shell.methods import METHODS


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_has_a_method_and_an_example_that_is_one(command):
    assert command.method in METHODS
    found, params = parse(command.example)
    assert found is command
    assert isinstance(params, dict)
    assert any(command.example in line for line in help_of(command.name))


@pytest.mark.parametrize(
    "line, params",
    [
        ("tree", {}),
        ("tree ledger --depth 2 --most 5", {"root": "ledger", "depth": 2, "most": 5}),
        ("trace main --kind call", {"process": "main", "kinds": ["call"]}),
        (
            "trace main --kind call,reply",
            {"process": "main", "kinds": ["call", "reply"]},
        ),
        # It goes to the node, which says which there are.
        ("trace main --kind calls", {"process": "main", "kinds": ["calls"]}),
        ("fault main call", {"process": "main", "kind": "call"}),
        ("leaks --mark", {"mark": True}),
        ("replace a b 5", {"process": "a", "field": "b", "value": 5}),
        ("replace a b true", {"process": "a", "field": "b", "value": True}),
        (
            "replace a b 'two words'",
            {"process": "a", "field": "b", "value": "two words"},
        ),
        (
            "replace a b --expression 'old + 1'",
            {"process": "a", "field": "b", "expression": "old + 1"},
        ),
        ("send a hello --cast", {"process": "a", "message": "hello", "cast": True}),
        ("send a '[1]'", {"process": "a", "message": [1]}),
        (
            "call a GetLimits",
            {"process": "a", "message": {"type": "GetLimits", "fields": {}}},
        ),
        (
            """call a ReadRun '{"run_id": "x"}'""",
            {"process": "a", "message": {"type": "ReadRun", "fields": {"run_id": "x"}}},
        ),
        (
            "fault a hang --seconds 1.5",
            {"process": "a", "kind": "hang", "seconds": 1.5},
        ),
        ("eval 'a' + \"b\"  # c", {"expression": "'a' + \"b\"  # c"}),
    ],
)
def test_what_is_typed(line, params):
    assert parse(line)[1] == params


@pytest.mark.parametrize(
    "line, words",
    [
        ("kil main", "there is no command 'kil'; did you mean kill?"),
        ("hlep", "did you mean help?"),
        ("info", "process is missing; usage: info PROCESS"),
        ("info a b", "'b' is too much"),
        ("tree --dept 2", "there is no option --dept"),
        ("tree --depth", "--depth needs a value"),
        ("tree --depth x", "--depth has to be a number, not 'x'"),
        ("trace a --seconds x", "has to be a number"),
        ("info 'a", "no closing quotation"),
        ("send a 5 '{}'", "fields belong to the name of a class"),
        ("eval", "usage: eval EXPRESSION"),
    ],
)
def test_what_is_typed_wrong(line, words):
    with pytest.raises(Wrong, match=words.replace("?", r"\?").replace("(", r"\(")):
        parse(line)


@pytest.mark.parametrize(
    "text, lines",
    [
        ("a; b", ["a", "b"]),
        ("a;;b;\n c", ["a", "b", "c"]),
        ("send x 'a; b'; c", ["send x 'a; b'", "c"]),
        ('eval "\\";"; c', ['eval "\\";"', "c"]),
        ("  ", []),
    ],
)
def test_commands_are_parted_outside_quotes(text, lines):
    assert split(text) == lines


def test_help_lists_all():
    lines = list(help_of(""))
    assert len(lines) == len(COMMANDS) + 2
    with pytest.raises(Wrong, match="did you mean"):
        list(help_of("trea"))


# --- the prompt


def names(typed):
    return [name for name in ("default/ledger", "default/limits") if typed in name]


@pytest.mark.parametrize(
    "before, some",
    [
        ("", "kill"),
        ("help ki", "kill"),
        ("info default/le", "default/ledger"),
        ("trace x --k", "--kind"),
        ("info --x ", "default/ledger"),
    ],
)
def test_what_may_follow(before, some):
    assert some in Words(names).candidates(before)


@pytest.mark.parametrize("before", ["nonsense x", "info a b", "turn x", "fault a cr"])
def test_where_nothing_is_known_nothing_is_offered(before):
    assert Words(names).candidates(before) == []


def test_a_known_command_stands_out():
    assert styled("kill x --y 'z") == [
        ("bold ansigreen", "kill"),
        ("", ""),
        ("", " x"),
        ("ansicyan", " --y"),
        ("ansiyellow", " 'z"),
    ]
    assert styled("kil")[0] == ("ansired", "kil")


def test_the_history_is_for_its_owner_only(tmp_path):
    kept = history(tmp_path)
    kept.append_string("info main")
    path = tmp_path / "shell-history"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "info main" in path.read_text()
    assert "tree" in BY_NAME


def test_without_a_folder_there_is_no_history(tmp_path, capsys):
    history(tmp_path / "nowhere").append_string("x")
    assert "no history is kept" in capsys.readouterr().err
