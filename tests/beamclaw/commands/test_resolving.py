"""What a command is agreed to with, the files whose words it carries out among it."""

from pathlib import Path

import attrs
import pytest

from beamclaw.commands.resolving import Resolved, Wanted, resolve
from beamclaw.contracts.approvals import Ask, digest_of
from beamclaw.contracts.command_policy import CommandPolicy, judge
from beamclaw.contracts.secret import Secret
from beamclaw.paths import Roots


def scripts(folder: Path, command: str) -> set[str]:
    """The names of those files."""
    found = resolve(Wanted(command), Roots(folder), {"PATH": "/usr/bin:/bin"})
    return {Path(path).name for path in found.execution.contents}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("run.sh", "lib.sh", "data.csv"):
        (tmp_path / name).write_text("echo hello\n")
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "bound"),
    [
        ("./run.sh", {"run.sh"}),
        ("sh run.sh", {"run.sh"}),
        ("cat data.csv", set()),
        ("./run.sh | wc -l", {"run.sh"}),
        ("sh -e run.sh && true", {"run.sh"}),
        ("true; . lib.sh", {"lib.sh"}),
        ("x=$(sh 'run.sh')", {"run.sh"}),
        ("cat data.csv | wc -l", set()),
    ],
)
def test_scripts_are_bound_and_data_is_not(
    folder: Path, command: str, bound: set[str]
) -> None:
    assert scripts(folder, command) == bound


def test_a_script_behind_a_pipe_that_is_written_anew_is_another_command(
    folder: Path,
) -> None:
    roots = Roots(folder)
    wanted = Wanted("./run.sh | wc -l")
    before = resolve(wanted, roots, {"PATH": "/usr/bin:/bin"}).execution.digest
    (folder / "run.sh").write_text("rm -rf .\n")
    assert resolve(wanted, roots, {"PATH": "/usr/bin:/bin"}).execution.digest != before


CANARY = "canary-of-a-skill"


def test_a_key_that_all_commands_get_is_not_to_be_seen(tmp_path: Path) -> None:
    base = {"PATH": "/usr/bin:/bin", "SOME_TOKEN": CANARY, "LANG": "C.UTF-8"}
    found = resolve(Wanted("env"), Roots(tmp_path), base)
    assert found.launch.env["SOME_TOKEN"] == CANARY
    assert [secret.reveal() for secret in found.secrets] == [CANARY]


def with_skills(folder: Path, env: dict[str, str], *names: str) -> Resolved:
    """A command with *env* from its model, and a variable for each of *names*."""
    given = {name: ("tidy", Secret(CANARY)) for name in names}
    base = {"PATH": "/usr/bin:/bin", "ANYWAY": "anyway"}
    return resolve(Wanted("true", env=env), Roots(folder), base, "", given)


def test_a_command_gets_the_variables_of_skills_and_nobody_sees_the_values(
    folder: Path,
) -> None:
    found = with_skills(folder, {}, "TIDY_KEY")
    assert found.launch.env["TIDY_KEY"] == CANARY
    assert [secret.reveal() for secret in found.secrets] == [CANARY]
    asked = judge(found.execution, CommandPolicy(mode="always"))
    assert isinstance(asked, Ask)
    assert asked.details["skills"] == "TIDY_KEY of tidy"
    assert CANARY not in f"{found}{found.launch}{asked}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ANYWAY", "anyway"), ("OF_THE_CALL", "own"), ("BEAMCLAW_SHELL", "exec")],
)
def test_what_a_command_has_anyway_goes_before(
    folder: Path, name: str, value: str
) -> None:
    found = with_skills(folder, {"OF_THE_CALL": "own"}, name)
    assert found.launch.env[name] == value
    assert found.secrets == ()
    assert found.execution.given == ()


@pytest.mark.parametrize("name", ["LD_PRELOAD", "GIT_PAGER", "PATH", "not a name"])
def test_a_skill_sets_nothing_that_a_model_may_not_set(folder: Path, name: str) -> None:
    found = with_skills(folder, {}, name)
    assert CANARY not in found.launch.env.values()
    assert found.execution.given == ()


def test_with_a_skill_it_is_another_command_and_without_one_the_same_as_ever(
    folder: Path,
) -> None:
    plain, given = with_skills(folder, {}), with_skills(folder, {}, "TIDY_KEY")
    assert plain.execution.digest != given.execution.digest
    facts = attrs.asdict(plain.execution)
    for name in ("tool", "shown", "given"):
        del facts[name]
    assert plain.execution.digest == digest_of("exec", facts)
