"""Secrets that stand elsewhere: read in one way for every key, refused in words."""

import os
import select
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from beamclaw.config.json_schema import EVERY, inner_of, is_secret, json_schema
from beamclaw.config.loader import load
from beamclaw.config.problems import ConfigError
from beamclaw.config.redactor import secrets_of
from beamclaw.config.schema import Config
from beamclaw.config.secret_forms import InFile
from beamclaw.config.secret_reading import NotReading, SecretLimits, SecretReader
from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.config.writing.hiding import HIDDEN, without_secrets
from beamclaw.config.writing.writer import Writer
from tests.support.secrets import put, secret_paths

VALUE = "canary-6b0e2f7741d5"
SCHEMA = json_schema()


def program(folder: Path, text: str, name: str = "says") -> str:
    """A program in *folder* that does *text* in Python."""
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{text}\n")
    file.chmod(0o700)
    return str(file)


def loaded(folder: Path, config: Any, **variables: str) -> Config:
    file = folder / "b.yaml"
    file.write_text(yaml.safe_dump(config))
    return load(variables, file=file, data=folder / "data").config


def forms(folder: Path) -> Iterator[tuple[str, Any]]:
    (folder / "secret.txt").write_text(f"{VALUE}\n")
    says = program(folder, f"print({VALUE!r})")
    yield "text", VALUE
    yield "variable", "${HERE}"
    yield "env", {"env": "HERE"}
    yield "OpenClaw's env", {"source": "env", "provider": "default", "id": "HERE"}
    yield "file", {"file": "secret.txt"}
    yield "absolute file", {"file": str(folder / "secret.txt")}
    yield "command", {"command": [says, "an argument"], "seconds": 30}
    yield "command beside the file", {"command": ["./says"]}


@pytest.mark.parametrize("path", secret_paths())
def test_every_key_that_takes_a_secret_takes_it_from_elsewhere(tmp_path, path):
    for name, form in forms(tmp_path):
        config = put(path, form)
        read = loaded(tmp_path, config, HERE=VALUE)
        revealed = [secret.reveal() for secret in secrets_of(read)]
        assert VALUE in revealed, (path, name)
        if "${" not in str(form):
            faults = jsonschema.Draft7Validator(SCHEMA).iter_errors(config)
            assert [fault.message for fault in faults] == [], (path, name)


def test_the_table_of_keys_is_not_empty():
    assert {
        ("gateway", "auth", "token"),
        ("gateway", "auth", "password"),
        ("hooks", "token"),
        ("providers", "*", "api_key"),
        ("providers", "*", "headers", "*"),
        ("skills", "entries", "*", "api_key"),
        ("skills", "entries", "*", "env", "*"),
    } <= set(secret_paths())


def test_one_of_several_keys_may_be_elsewhere(tmp_path):
    (tmp_path / "k").write_text(VALUE)
    config = {
        "providers": {"x": {"api": "openai", "api_key": ["plain", {"file": "k"}]}}
    }
    keys = loaded(tmp_path, config).providers["x"].keys
    assert [key.reveal() for key in keys] == ["plain", VALUE]


KEYS = "${NAME}, {file: PATH}, {command: [PROGRAM, ...]}, {keyring: SERVICE/NAME}"
WRONG: Mapping[str, str] = {
    "{}": f"expected a text or one of {KEYS}",
    f"{{fiel: {VALUE}}}": f"expected a text or one of {KEYS}; did you mean file?",
    f"{{{VALUE}: x}}": f"expected a text or one of {KEYS}",
    "{env: NOWHERE}": "the variable NOWHERE is not set",
    "{env: []}": "expected the name of a variable, found a list",
    "{env: EMPTY}": "the variable EMPTY is not set",
    "{file: nothing}": "TMP/nothing cannot be read: No such file or directory",
    "{file: .}": "TMP cannot be read: Is a directory",
    "{file: pipe}": "TMP/pipe is no file",
    "{file: empty}": "the file TMP/empty is empty",
    "{file: large}": "TMP/large is larger than 20 bytes; a secret is not",
    "{file: binary}": "the file TMP/binary is not UTF-8 text",
    "{file: zero}": "the file TMP/zero has a NUL in it",
    "{file: 5}": "TMP/5 cannot be read: No such file or directory",
    "{file: null}": "expected a path, found nothing",
    "{file: a, mode: raw}": "{file: …} has no mode",
    f"{{command: {VALUE}}}": (
        "expected a list of words, as [pass, show, KEY], since no shell reads it, "
        "found a text"
    ),
    "{command: []}": (
        "expected a list of words, as [pass, show, KEY], since no shell reads it, "
        "found a list"
    ),
    "{command: [[a]]}": "expected a word, found a list",
    f"{{command: [no-such-program, {VALUE}]}}": (
        "the command no-such-program cannot be started: No such file or directory"
    ),
    "{command: [./empty]}": "the command empty cannot be started: Permission denied",
    f"{{command: [./fails, {VALUE}]}}": (
        "the command fails ended with 3; run it by hand to see why"
    ),
    "{command: [./dies]}": (
        "the command dies was ended by signal 9; run it by hand to see why"
    ),
    "{command: [./hangs], seconds: 0.2}": "the command hangs did not end within 0.2 s",
    "{command: [./closes], seconds: 0.4}": "the command closes did not end within 0.4 s",
    "{command: [./floods]}": (
        "the command floods said more than 20 bytes; a secret is shorter"
    ),
    "{command: [./silent]}": "the command silent is empty",
    "{command: [./fails], seconds: -1}": (
        "expected a number of seconds above 0, 600 at most, found a number"
    ),
    "{command: [./fails], seconds: 601}": (
        "expected a number of seconds above 0, 600 at most, found a number"
    ),
    "{command: [./fails], shell: true}": "{command: …} has no shell",
    "{keyring: name}": "expected SERVICE/NAME, found a text",
    "{keyring: -x/name}": "expected SERVICE/NAME, found a text",
    "{keyring: service/name}": (
        "the keyring's entry service/name needs the package keyring beside beamclaw; "
        'install it by: pip install "beamclaw[keyring]"'
    ),
    "{source: env, provider: default}": "has no id, which is the name of the variable",
    "{source: env, id: A, more: b}": "{source: …} has no more",
    "{source: file, provider: vault, id: /a/b}": (
        "source: file means one of OpenClaw's secrets.providers, which are not read "
        "here; write {file: PATH}"
    ),
    "{source: exec, provider: vault, id: a}": (
        "source: exec means one of OpenClaw's secrets.providers, which are not read "
        "here; write {command: [PROGRAM, ...]}"
    ),
}


@pytest.fixture
def places_of_all_kinds(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text("x" * 21)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "zero").write_bytes(b"a\0b")
    say = f"import sys, os, time; print({VALUE!r}, file=sys.stderr)"
    program(tmp_path, f"{say}; print('{VALUE[:9]}'); sys.exit(3)", "fails")
    program(tmp_path, f"{say}; os.kill(os.getpid(), 9)", "dies")
    program(tmp_path, f"{say}; time.sleep(600)", "hangs")
    program(tmp_path, f"{say}; os.close(1); time.sleep(600)", "closes")
    program(tmp_path, "while True: print('x' * 1000)", "floods")
    program(tmp_path, "pass", "silent")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("written", list(WRONG))
def test_what_is_wrong_is_said_without_the_secret(
    places_of_all_kinds, monkeypatch, written
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folder = places_of_all_kinds
    file = folder / "b.yaml"
    file.write_text(
        f"hooks:\n  token: {written}\nconfig: {{secret_bytes: 20, secret_seconds: 60}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load({"EMPTY": ""}, file=file, data=folder / "data")
    (problem,) = caught.value.problems
    assert (
        problem.message.replace(str(folder), "TMP").removesuffix("/") == WRONG[written]
    )
    assert problem.path.startswith("hooks.token")
    assert problem.where.line == 2
    assert VALUE not in str(caught.value)


@pytest.mark.slow
def test_what_a_program_leaves_behind_keeps_nobody_waiting(tmp_path):
    """It prints, and something goes on that holds its output open; it is ended, too."""
    told = tmp_path / "pid"
    says = program(
        tmp_path,
        f"import os, time, pathlib; print({VALUE!r}, flush=True)\n"
        "if os.fork() == 0:\n"
        f"    pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        f"while not pathlib.Path({str(told)!r}).exists(): time.sleep(0.01)",
    )
    config = {"hooks": {"token": {"command": [says], "seconds": 60}}}
    read = loaded(tmp_path, config)
    assert read.hooks.token is not None
    assert read.hooks.token.reveal() == VALUE
    try:
        left = os.pidfd_open(int(told.read_text()))
    except ProcessLookupError:
        return  # it is gone already
    try:
        select.select([left], [], [])
    finally:
        os.close(left)


@pytest.mark.slow
def test_the_keyring_is_asked_in_a_process_of_its_own(tmp_path, monkeypatch):
    package = tmp_path / "keyring"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import sys\n"
        "assert sys.argv[1:] == ['get', 'a/service', 'me'], sys.argv\n"
        f"print({VALUE!r})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = {"hooks": {"token": {"keyring": "a/service/me"}}}
    read = loaded(tmp_path, config, PYTHONPATH=str(tmp_path))
    assert read.hooks.token is not None
    assert read.hooks.token.reveal() == VALUE


def counting(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A program that counts how often it was asked, and says so."""
    told = folder / "told"
    says = program(
        folder,
        f"import pathlib; p = pathlib.Path({str(told)!r})\n"
        "n = p.stat().st_size if p.exists() else 0\n"
        "p.write_text('x' * (n + 1)); print('secret-number', n)",
    )
    return told, {"hooks": {"token": {"command": [says]}}}


def writer(folder: Path, config: Any) -> Writer:
    file = folder / "b.yaml"
    file.write_text(yaml.safe_dump(config))
    return Writer(
        running=None,
        file=file,
        data=folder / "data",
        variables={},
        options={},
        wall=lambda: 5.0,
    )


@pytest.mark.slow
def test_a_program_is_asked_once_for_a_change_and_not_to_look(tmp_path, monkeypatch):
    told, config = counting(tmp_path)
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    here = writer(tmp_path, config)
    here.load()
    here.write(Order(how="patch", text="{gateway: {port: 1}}"))
    here.load()
    assert told.read_text() == "x"
    now[0] += 3600
    here.document()
    assert told.read_text() == "x"
    here.load()
    assert told.read_text() == "xx"


def test_whoever_only_looks_reads_no_secret(tmp_path):
    told, config = counting(tmp_path)
    file = tmp_path / "b.yaml"
    file.write_text(yaml.safe_dump(config))
    read = load({}, file=file, data=tmp_path, secrets=NotReading()).config
    assert read.hooks.token is not None
    assert not told.exists()


def test_a_file_that_is_named_is_looked_at_from_then_on(tmp_path):
    (tmp_path / "k").write_text(VALUE)
    read = loaded(tmp_path, {"hooks": {"token": {"file": "k"}}})
    assert read.files == (tmp_path / "k",)
    (tmp_path / "k").unlink()
    with pytest.raises(ConfigError) as caught:
        load({}, file=tmp_path / "b.yaml", data=tmp_path)
    assert caught.value.files == (tmp_path / "k",)


def test_a_file_is_read_again_each_time(tmp_path):
    file = tmp_path / "k"
    reader, form = SecretReader(), InFile(file)
    for said in ("one", "two"):
        file.write_text(said)
        assert (
            reader.read(form, {}, SecretLimits(seconds=10, most=1000)).reveal() == said
        )


def test_whoever_is_shown_the_file_sees_where_a_secret_is_and_no_argument():
    shown = without_secrets(
        "hooks: {token: {file: /run/secrets/hooks}}\n"
        f"gateway: {{auth: {{token: {{command: [op, read, {VALUE}]}}}}}}\n"
        f"providers: {{x: {{api_key: [{{keyring: a/b}}, {VALUE}, {{fiel: {VALUE}}}]}}}}\n"
    )
    assert shown == (
        "hooks: {token: {file: /run/secrets/hooks}}\n"
        f"gateway: {{auth: {{token: {{command: [op, {HIDDEN}, {HIDDEN}]}}}}}}\n"
        f"providers: {{x: {{api_key: [{{keyring: a/b}}, {HIDDEN}, {{fiel: {HIDDEN}}}]}}}}\n"
    )


@pytest.mark.parametrize(
    "change",
    [
        "{hooks: {token: {command: [id]}}}",
        "{hooks: {token: {file: /etc/passwd}}}",
        "{providers: {x: {api: openai, api_key: [{keyring: a/b}]}}}",
        "{providers: {x: {api: openai, headers: {a: {file: /etc/passwd}}}}}",
    ],
)
def test_a_client_names_no_place_that_the_file_does_not_name(tmp_path, change):
    (tmp_path / "k").write_text(VALUE)
    here = writer(tmp_path, {"hooks": {"token": {"file": "k"}}})
    before = here.file.read_text()
    with pytest.raises(Refusal) as caught:
        here.write(Order(how="patch", text=change, far=True))
    assert caught.value.code == "place"
    assert here.file.read_text() == before
    written = here.write(Order(how="patch", text="{gateway: {port: 1}}", far=True))
    assert [each.path for each in written.changes] == ["gateway.port"]


def test_no_key_of_the_schema_is_named_like_a_place():
    found: set[str] = set()
    todo: list[Any] = [SCHEMA]
    while todo:
        inner = inner_of(todo.pop())
        for name, schema in inner.items():
            if not is_secret(schema):
                found.add(name)
                todo.append(schema)
    assert {"gateway", "port", EVERY} <= found
    assert not found & {"file", "command", "keyring"}
