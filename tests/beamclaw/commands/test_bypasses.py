"""Ways round an agreement: what was allowed allows none of them."""

import os
from pathlib import Path

import pytest

from beamclaw.commands import environment, resolving
from beamclaw.commands.keys import NoSuchKey, from_hex, pasted, typed
from beamclaw.commands.resolving import NotResolved, Wanted, resolve
from beamclaw.contracts.approvals import Ask, Clear, Deny
from beamclaw.contracts.command_policy import CommandPolicy, Rule, judge
from beamclaw.contracts.variables import refusal
from beamclaw.paths import Roots

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


@pytest.fixture
def workspace(tmp_path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "notes.txt").write_text("notes")
    (folder / "args").write_text("--output=x")
    for name in ("ls", "run.sh"):
        (folder / name).write_text("#!/bin/sh\necho evil\n")
        (folder / name).chmod(0o700)
    return folder


def real(name):
    found = next(
        Path(folder, name)
        for folder in ENV["PATH"].split(":")
        if Path(folder, name).exists()
    )
    return os.path.realpath(found)


def allowed():
    """What somebody may well allow."""
    rules = ("ls **", "cat **", "echo **", "sort **", "find **", "env **", "sh **")
    made = [rule.split() for rule in rules]
    return CommandPolicy(
        rules=tuple(Rule(real(name), tuple(more)) for name, *more in made)
    )


def cleared(workspace, command, **more):
    wanted = Wanted(command, **more)
    try:
        found = resolve(wanted, Roots(workspace=workspace), ENV)
    except NotResolved as error:
        return Deny(str(error))
    return judge(found.execution, allowed())


def test_what_is_allowed_is(workspace):
    for command in ("ls", "ls notes.txt", "cat 'notes.txt'", "echo hello world"):
        assert cleared(workspace, command) == Clear(), command


@pytest.mark.parametrize(
    "command",
    [
        "ls; rm -rf .",
        "ls && rm notes.txt",
        "ls || rm notes.txt",
        "ls & rm notes.txt",
        "ls | sh",
        "ls $(rm notes.txt)",
        'ls "$(rm notes.txt)"',
        "ls `rm notes.txt`",
        "ls\nrm notes.txt",
        "ls\r\nrm notes.txt",
        "ls *",
        "ls ?otes.txt",
        "ls {a,b}",
        "ls ~",
        "cat ~/.ssh/id_rsa",
        "cat /etc/passwd",
        "cat ../../etc/passwd",
        "cat < /etc/passwd",
        "echo x > notes.txt",
        "LD_PRELOAD=x.so ls",
        "PATH=. ls",
        "env ls",
        "env -i rm notes.txt",
        "time ls",
        "nice ls",
        "xargs ls",
        "sh -c ls",
        "sh run.sh",
        "bash -c ls",
        "busybox ls",
        "timeout 1 ls",
        "stdbuf -o0 ls",
        "setsid ls",
        "find . -exec rm {} +",
        "find . -delete",
        "find . -fprint x",
        "sort --compress-program=./run.sh notes.txt",
        "sort --compress-prog=./run.sh notes.txt",
        "sort --comp ./run.sh notes.txt",
        "sort -o notes.txt notes.txt",
        "sort --out=notes.txt notes.txt",
        "sort @args",
        "./ls",
        "./run.sh",
        "run.sh",
        "eval ls",
        ". run.sh",
        "exec ls",
        "rm notes.txt",
    ],
)
def test_none_of_these_passes_for_it(workspace, command):
    assert isinstance(cleared(workspace, command), Ask | Deny), command


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "PYTHONSTARTUP"),
        *(
            "PYTHONPATH",
            "GIT_PAGER",
            "GIT_SSH_COMMAND",
            "MAVEN_OPTS",
            "JAVA_TOOL_OPTIONS",
        ),
        *(
            "GLIBC_TUNABLES",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PATH",
            "NODE_OPTIONS",
            "PERL5OPT",
        ),
        *(
            "RUBYOPT",
            "PAGER",
            "EDITOR",
            "HOME",
            "SHELL",
            "LESSOPEN",
            "path",
            "Ld_Preload",
        ),
        *("GOPROXY", "GOTOOLCHAIN", "GO111MODULE", "GO_EXTLINK_ENABLED", "VIMINIT"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "CGO_CFLAGS_ALLOW", "BUNDLE_GEMFILE"),
        *("CURL_CA_BUNDLE", "HELM_PLUGINS", "CLOUDSDK_PYTHON", "LIBRARY_PATH"),
        *("BASH_FUNC_ls%%", "http_proxy", "BEAMCLAW_TOKEN", "", "A=B", "A B", "1A"),
    ],
)
def test_a_model_may_not_set_what_makes_it_another_command(workspace, name):
    assert isinstance(cleared(workspace, "ls", env={name: "x"}), Deny)


@pytest.mark.parametrize(
    "name", ["CITY", "GOOGLE_API_KEY", "GOTIFY_URL", "VIMEO_TOKEN"]
)
def test_with_a_variable_it_is_another_command(workspace, name):
    assert isinstance(cleared(workspace, "ls", env={name: "Oslo"}), Ask)


def test_no_program_of_the_workspace_is_found_by_its_name(workspace, monkeypatch):
    for path in (".:/usr/bin:/bin", f"{workspace}:/usr/bin:/bin", ":/usr/bin", ""):
        roots = Roots(workspace=workspace)
        found = resolve(Wanted("ls"), roots, {"PATH": path})
        assert found.execution.path == real("ls"), path
        assert str(workspace) not in found.launch.env["PATH"]


def test_a_link_is_what_it_leads_to(workspace):
    (workspace / "tool").symlink_to(real("cat"))
    found = resolve(Wanted("./tool x"), Roots(workspace=workspace), ENV)

    assert found.execution.path == real("cat")
    assert found.execution.contents.keys() == {real("cat")}


def test_the_digest_is_of_all_that_counts(workspace):
    roots = Roots(workspace=workspace)
    (workspace / "sub").mkdir()

    def digest(command, **more):
        return resolve(Wanted(command, **more), roots, ENV).execution.digest

    base = digest("sh run.sh a")
    assert digest("sh run.sh a") == base
    others = [
        digest("sh run.sh b"),
        digest("dash run.sh a"),
        digest("sh ../run.sh a", workdir="sub"),
        digest("sh run.sh a", env={"CITY": "Oslo"}),
    ]
    (workspace / "run.sh").write_text("echo other\n")
    others.append(digest("sh run.sh a"))
    assert len({base, *others}) == 6


def test_a_very_long_file_counts_by_when_it_was_written(workspace, monkeypatch):
    monkeypatch.setattr(resolving, "MOST_BYTES", 3)
    roots = Roots(workspace=workspace)
    before = resolve(Wanted("sh run.sh"), roots, ENV).execution
    (workspace / "run.sh").write_text("#!/bin/sh\necho good\n")

    assert resolve(Wanted("sh run.sh"), roots, ENV).execution.digest != before.digest


def test_what_blocks_or_is_no_file_is_not_read(workspace):
    os.mkfifo(workspace / "pipe")
    found = resolve(Wanted("sh pipe /dev/zero sub"), Roots(workspace=workspace), ENV)

    assert found.execution.contents == {}


# --- environment


def test_keys_and_tokens_do_not_come_along():
    own = {
        "PATH": "/usr/bin",
        "HOME": "/root",
        "LANG": "C",
        "LC_ALL": "C",
        "OPENAI_API_KEY": "key",
        "BEAMCLAW_TOKEN": "token",
        "CITY": "Oslo",
    }
    assert environment.inherited(own) == {
        "PATH": "/usr/bin",
        "HOME": "/root",
        "LANG": "C",
        "LC_ALL": "C",
    }
    assert "CITY" in environment.inherited(own, ["CITY"])


def test_too_much_is_refused():
    assert refusal({f"A{n}": "" for n in range(65)})
    assert refusal({"A": "x" * 40_000})
    assert refusal({"A": "\0"})
    assert refusal({"A": "x", "CITY": "Oslo"}) is None


# --- keys


@pytest.mark.parametrize(
    "keys, sent",
    [
        (["Enter"], b"\r"),
        (["C-c"], b"\x03"),
        (["c-C"], b"\x03"),
        (["^C"], b"\x03"),
        (["C-Space"], b"\0"),
        (["C-["], b"\x1b"),
        (["C-?"], b"\x7f"),
        (["M-x"], b"\x1bx"),
        (["M-Enter"], b"\x1b\r"),
        (["Up", "down", "Escape"], b"\x1b[A\x1b[B\x1b"),
        (["F1", "F5", "F12"], b"\x1bOP\x1b[15~\x1b[24~"),
        (["S-Tab", "S-a"], b"\x1b[ZA"),
        (["hello", "Space", "-", "a-b"], b"hello -a-b"),
    ],
)
def test_keys_by_their_names(keys, sent):
    assert typed(keys) == sent


def test_keys_that_there_are_not():
    for key in ("C-ä", "C-Enter", "^é"):
        with pytest.raises(NoSuchKey):
            typed([key])
    with pytest.raises(NoSuchKey):
        from_hex(["zz"])
    assert from_hex(["1b", "0x0d"]) == b"\x1b\r"


def test_what_is_pasted_holds_no_key():
    assert pasted("a\x1b[201~rm\r", bracketed=True) == b"\x1b[200~arm\r\x1b[201~"
    assert pasted("a", bracketed=False) == b"a"
