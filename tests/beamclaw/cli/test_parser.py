"""Verbs, options, help and completion: what is said to whoever mistypes."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from beamclaw.cli import main
from beamclaw.cli.completion import SCRIPTS
from beamclaw.cli.parser import VERBS, Usage, parse
from beamclaw.cli.reference import reference

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "line, words",
    [
        ("sttus", "beamclaw: there is no verb 'sttus'; did you mean status?"),
        ("foo", "beamclaw: there is no verb 'foo'\nsee: beamclaw --help"),
        ("config chek", "beamclaw: there is no verb 'chek'; did you mean check?"),
        (
            "chat hi --sesion x",
            (
                "beamclaw: there is no option '--sesion'; did you mean --session?\n"
                "see: beamclaw chat --help"
            ),
        ),
        ("status --jsn", "there is no option '--jsn'; did you mean --json?"),
        ("status now", "beamclaw: there is no argument 'now'"),
        ("run --prot=1", "there is no option '--prot'; did you mean --port?"),
        ("run --port", "beamclaw: argument --port: expected one argument"),
        ("completion tcsh", "choose from"),
        ("sessions lst", "beamclaw: there is no verb 'lst'; did you mean list?"),
        ("sessions rewind main x", "argument EVENT: invalid int value: 'x'"),
        ("sessions delete", "the following arguments are required: KEY"),
        ("chat hi --queue stear", "choose from"),
        ("config", "the following arguments are required: VERB"),
        ("", "usage: beamclaw"),
    ],
)
def test_a_wrong_line_is_told_with_what_is_near(line, words, capsys):
    with pytest.raises(Usage) as caught:
        parse(line.split())
    assert words in str(caught.value)
    assert main(line.split()) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert not shown.out


def test_words_may_stand_before_and_behind_options():
    options = parse(["sessions", "set", "main", "--data", "x", "model=demo", "label=y"])
    assert options is not None
    assert (options.session, options.settings) == ("main", ["model=demo", "label=y"])
    options = parse(["chat", "hello", "--session", "work", "there"])
    assert options is not None
    assert options.message == ["hello", "there"]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_json_help_and_examples(verb, capsys):
    assert "--json" in [name for option in verb.options for name in option.names]
    assert main([*verb.name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "examples:\n  " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_reference_page_is_the_help():
    page = ROOT / "docs" / "reference" / "command-line.md"
    assert reference() in page.read_text(), "run: python -m beamclaw.cli.reference"


@pytest.mark.slow
def test_help_comes_at_once_and_loads_nothing_heavy():
    program = (
        "import sys; from beamclaw.cli import main; main(['--help']);"
        "heavy = {'trio', 'attrs', 'attr', 'yaml', 'orjson', 'cattrs', 'rich'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_windows_is_refused_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["run"]) == 2
    shown = capsys.readouterr().err
    assert "WSL2" in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("shell", SCRIPTS)
def test_completion_knows_every_verb_and_option(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for verb in VERBS:
        assert verb.name.split()[-1] in script
        for option in verb.options:
            for name in option.names:
                if name.startswith("--"):
                    assert (name[2:] if shell == "fish" else name) in script


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, found",
    [
        (["be", "st"], "status"),
        (["beamclaw", "config", ""], "check show"),
        (["beamclaw", "chat", "--se"], "--session"),
        (["beamclaw", "config", "check", "--st"], "--strict"),
    ],
)
def test_completion_in_bash(words, found):
    bash = shutil.which("bash")
    assert bash
    line = " ".join(f"'{word}'" for word in words)
    program = (
        f"{SCRIPTS['bash']()}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
        'COMPREPLY=(); _beamclaw; echo "${COMPREPLY[@]}"'
    )
    command = [bash, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    assert set(found.split()) <= set(done.stdout.split())


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch, tmp_path):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

        def fileno(self):
            return spare

    spare = os.open(tmp_path / "x", os.O_CREAT | os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", Closed())
    assert main(["completion", "bash"]) == 1
    os.close(spare)


def test_no_node_is_told_with_how_to_start_one(tmp_path, capsys):
    for verb in ("status", "tree", "chat hello"):
        assert main([*verb.split(), "--data", str(tmp_path)]) == 1
        assert capsys.readouterr().err == (
            f"beamclaw: no node is running on {tmp_path}; "
            f"start one with: beamclaw run --data {tmp_path}\n"
        )


def test_no_node_in_the_place_that_is_known_needs_no_option(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("BEAMCLAW_DATA", str(tmp_path))
    assert main(["status"]) == 1
    assert capsys.readouterr().err.endswith("start one with: beamclaw run\n")


def test_a_data_folder_that_no_socket_fits_in(tmp_path, capsys):
    assert main(["status", "--data", str(tmp_path / ("a" * 100))]) == 2
    assert "choose a shorter one with --data" in capsys.readouterr().err
