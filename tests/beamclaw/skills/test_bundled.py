"""The skills that come with BeamClaw: each can be used, and what it says to run runs."""

import gzip
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from beamclaw.contracts.resources import resource
from beamclaw.skills.manifest import Manifest, read_manifest

BUNDLED = resource("skills")
NAMES = sorted(path.name for path in BUNDLED.iterdir() if path.is_dir())
# What a skill may tell an agent to use: our tools, and programs that machines have.
TOOLS = {"read", "write", "edit", "ls", "find", "grep", "exec", "web_fetch"}
TOOLS |= {"sessions_list", "sessions_history"}
# A program of macOS.
TOOLS |= {"vm_stat"}


def text(name: str) -> str:
    return (BUNDLED / name / "SKILL.md").read_text()


def manifest(name: str) -> Manifest:
    return read_manifest(text(name))


def spans(name: str) -> list[str]:
    """What stands between backticks in a skill: commands, tools, files."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text(name))]


def run(
    command: str, folder: Path, *, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == code, (command, done.stdout, done.stderr)
    return done


def test_there_are_several():
    assert set(NAMES) >= {
        "csv-report", "daily-brief", "git-review", "host-health", "log-triage",
        "summarise-url",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_is_in_order_and_short(name: str):
    found = manifest(name)
    assert found.name == name
    assert "Use it when" in found.description
    assert not found.hidden
    assert len(text(name)) < 4_000
    assert len(found.description) < 400


@pytest.mark.parametrize("name", NAMES)
def test_it_names_no_tool_that_there_is_not(name: str):
    named = {span for span in spans(name) if re.fullmatch(r"[a-z]+_[a-z_]+", span)}
    assert named <= TOOLS


# --- csv-report

SCRIPT = BUNDLED / "csv-report" / "scripts" / "csv_profile.py"

SALES = """\
date,region,product,units,revenue
2030-01-03,north,tea,10,"1,250.50"
2030-01-04,south,tea,4,500
2030-01-04,south,coffee,3,420.25
2030-01-09,north,coffee,,99.25
2030-01-09,north,coffee,,99.25
2030-02-01,west,tea,x,30,too much
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "sales.csv").write_text(SALES)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "prices.tsv").write_text(
        "\ufeffitem\tprice\ntea\t3,50\ncake\t1.234,00\n"
    )
    (tmp_path / "empty.csv").touch()
    (tmp_path / "notes.txt").write_text("no table")
    return tmp_path


def profiled(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(SCRIPT), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_folder_of_tables_is_told_with_figures_that_are_right(tables: Path):
    before = sorted(tables.rglob("*"))
    assert profiled(tables, ".") == (
        "\n## empty.csv\nempty\n"
        "\n## inner/prices.tsv\n2 rows, 2 columns\n"
        "- item: texts, 2 different; most frequent: 'tea' 1, 'cake' 1\n"
        "- price: numbers, sum 1,237.5, average 618.75, median 618.75, "
        "from 3.5 to 1,234\n"
        "\n## sales.csv\n6 rows, 5 columns\n"
        "- date: dates from 2030-01-03 to 2030-02-01, 4 different\n"
        "- region: texts, 3 different; most frequent: 'north' 3, 'south' 2, 'west' 1\n"
        "- product: texts, 2 different; most frequent: 'tea' 3, 'coffee' 3\n"
        "- units: texts, 4 different; most frequent: '10' 1, '4' 1, '3' 1, 'x' 1; "
        "2 empty\n"
        "- revenue: numbers, sum 2,399.25, average 399.88, median 259.75, "
        "from 30 to 1,250.5\n"
        "! 1 rows are there twice or more\n"
        "! 1 rows have too few or too many cells\n"
    )
    assert sorted(tables.rglob("*")) == before


def test_a_table_is_summed_up_by_group(tables: Path):
    grouped = profiled(tables, "sales.csv", "--group", "region", "--sum", "revenue")
    assert grouped == (
        "| region | rows | sum of revenue |\n| --- | --- | --- |\n"
        "| north | 3 | 1,449 |\n| south | 2 | 920.25 |\n| west | 1 | 30 |\n"
        "all: 6 rows, sum 2,399.25\n"
    )
    found = profiled(
        tables, "sales.csv", "--group", "region", "--sum", "units", "--where",
        "product=tea",
    )  # fmt: skip
    assert "all: 3 rows, sum 14" in found
    assert "! 1 cells of units are no numbers and were left out" in found


def test_what_is_not_there_is_said(tables: Path):
    said = profiled(tables, "sales.csv", "--group", "land", code=1)
    assert "no column 'land' (there are date, region" in said
    (tables / "none").mkdir()
    assert "there are no CSV or TSV files" in profiled(tables, "none", code=1)
    assert "No such file" in profiled(tables, "missing.csv", code=1)


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("csv_profile", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    "written, value",
    [
        ("1", 1.0), ("-2.5", -2.5), ("+3", 3.0), ("1,234", 1234.0), ("1.234", 1.234),
        ("1,234,567", 1234567.0), ("1.234.567", 1234567.0), ("1,234.5", 1234.5),
        ("1.234,5", 1234.5), ("3,5", 3.5), ("€ 12.00", 12.0), ("15 %", 15.0),
        ("1 234,5", 1234.5), ("1'234.5", 1234.5), ("1e3", 1000.0), ("0,125", 0.125),
        ("", None), ("x", None), ("1-2", None), ("2030-01-01", None), ("1.2.3", None),
        ("-", None), ("12a", None), (".5", 0.5), ("1,2,3", None), ("nan", None),
        ("1.5e3", 1500.0), ("-0,5", -0.5),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(written: str, value: float | None):
    assert module().number(written) == value


# --- the others: each command that they name, on something to look at


def said(name: str, *begins: str) -> list[str]:
    """The commands that a skill names and that begin like this."""
    found = [span for span in spans(name) if span.startswith(begins)]
    assert found
    return found


def commands_of(name: str, **words: str) -> list[str]:
    known = ("git ", "date ", "find ", "ls ", "grep -", "wc ", "head ", "sed ", "gzip ")
    found = said(name, *known)
    for old, new in words.items():
        found = [re.sub(rf"\b{old}\b", new, command) for command in found]
    return found


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_every_command_of_a_review_runs(tmp_path: Path):
    def git(*words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True
        )

    git("init", "-q", "-b", "main")
    (tmp_path / "a.txt").write_text("one\n")
    git("add", ".")
    git("commit", "-qm", "first")
    git("checkout", "-qb", "work")
    (tmp_path / "a.txt").write_text("two\n")
    git("commit", "-qam", "second")
    (tmp_path / "a.txt").write_text("three\n")
    (tmp_path / "new.txt").touch()
    outputs = {
        command: run(command, tmp_path).stdout
        for command in commands_of(
            "git-review", REPO=".", BRANCH="work", FILE="a.txt", N="1"
        )
    }
    assert len(outputs) >= 8
    assert "three" in outputs["git -C . diff HEAD"]
    assert "-one\n+two" in outputs["git -C . diff main...work -- a.txt"]
    assert outputs["git -C . ls-files --others --exclude-standard"] == "new.txt\n"
    assert run("git status --short", tmp_path).stdout == " M a.txt\n?? new.txt\n"


def test_every_command_of_a_brief_runs(tmp_path: Path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "2030-01-01.md").write_text("- [ ] call back")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.md").touch()
    outputs = {c: run(c, tmp_path).stdout for c in commands_of("daily-brief")}
    (found,) = [out for c, out in outputs.items() if c.startswith("find")]
    assert found == "./memory/2030-01-01.md\n"
    (when,) = [out for c, out in outputs.items() if c.startswith("date")]
    assert re.search(r", 2\d{3}-\d{2}-\d{2}, \d{2}:\d{2} ", when)


LOG = """\
2030-01-01T10:00:00 start, version 2
2030-01-01T10:00:01 warning: disk almost full
2030-01-01T10:00:02 ERROR: cannot write block 17 of 0123456789abcdef
2030-01-01T10:00:03 ERROR: cannot write block 99 of fedcba9876543210
2030-01-01T10:00:04 fatal: giving up
"""


def test_every_command_of_a_look_at_a_log_runs(tmp_path: Path):
    (tmp_path / "app.log").write_text(LOG)
    (tmp_path / "old.log.gz").write_bytes(gzip.compress(LOG.encode()))
    found = commands_of(
        "log-triage", FILES="app.log", FROM="1", TOp="4p", WORDS="cannot write"
    )
    outputs: dict[str, str] = {}
    for given in found:
        command = given.replace("FILE.gz", "old.log.gz").replace("FILE", "app.log")
        outputs[command] = run(command, tmp_path).stdout
    assert len(outputs) >= 7
    counted = next(out for c, out in outputs.items() if c.startswith("grep -icE"))
    assert counted == "3\n"
    kinds = next(out for c, out in outputs.items() if "uniq -c" in c)
    assert " ".join(kinds.split("\n")[0].split()) == (
        "2 N-N-NTN:N:N ERROR: cannot write block N of ID"
    )
    first = next(out for c, out in outputs.items() if "-m1" in c)
    assert first.startswith("3:")
    assert (tmp_path / "app.log").read_text() == LOG


@pytest.mark.skipif(sys.platform != "linux", reason="its commands for Linux")
def test_every_command_that_looks_after_the_host_runs(tmp_path: Path):
    begins = ("uptime", "nproc", "df ", "du ", "free ", "ps -eo")
    programs = {"uptime", "nproc", "df", "du", "free", "ps"}
    for command in said("host-health", *begins):
        words = command.replace("<folder>", ".").split()
        if shutil.which(words[0]) is not None:
            assert run(" ".join(words), tmp_path).stdout
        programs.discard(words[0])
    assert not programs


def test_a_summary_is_of_what_was_fetched():
    body = text("summarise-url")
    assert "web_fetch" in spans("summarise-url")
    assert "never something to do" in body
