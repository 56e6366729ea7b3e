"""The writer beside included files: those it never writes, and nothing of them is lost."""

from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.writing.documents import Order, Refusal
from beamclaw.config.writing.hiding import HIDDEN
from beamclaw.config.writing.writer import Writer

SECRET = "sk-canary-61cc"
FILES = {
    "beamclaw.yaml": """\
# mine
gateway:
  $include: parts/gateway.yaml  # ours
  backlog: 50
providers: {$include: [parts/local.yaml, parts/more.yaml]}
limits: {day: {calls: 5}}
tools: {$include: parts/tools.yaml, deny: [exec]}
""",
    "parts/gateway.yaml": "# theirs\nport: 1234\nbacklog: 60\n",
    "parts/local.yaml": f"""\
local: {{api: openai, base_url: "http://x/v1", api_key: {SECRET}}}
""",
    "parts/more.yaml": "",
    "parts/tools.yaml": "deny: [read]\n",
}


@pytest.fixture
def here(tmp_path: Path) -> Writer:
    (tmp_path / "parts").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return Writer(
        running=None,
        file=tmp_path / "beamclaw.yaml",
        data=tmp_path,
        variables={},
        options={},
        wall=lambda: 5.0,
    )


def patch(text: str, **more: Any) -> Order:
    return Order(how="patch", text=text, by="me", **more)


def texts(here: Writer) -> dict[str, str]:
    return {name: (here.file.parent / name).read_text() for name in FILES}


def test_what_stands_in_the_file_itself_is_changed_there_and_nothing_else(here: Writer):
    written = here.write(patch("{limits: {day: {calls: 9}}, agents: {a: {}}}"))
    assert "limits.day.calls" in [change.path for change in written.changes]
    now = texts(here)
    main = FILES["beamclaw.yaml"].replace("calls: 5", "calls: 9")
    assert now.pop("beamclaw.yaml").startswith(main)
    assert now == {name: FILES[name] for name in now}
    here.write(Order(how="rollback", entry=1))
    assert texts(here) == FILES


def test_a_key_beside_an_include_is_written_beside_it(here: Writer):
    here.write(patch("{gateway: {backlog: 70, max_messages: 7}}"))
    text = here.file.read_text()
    assert "  $include: parts/gateway.yaml  # ours\n  backlog: 70\n" in text
    values = here.document().values
    assert values is not None
    assert [values["gateway"][key] for key in ("port", "backlog", "max_messages")] == [
        1234,
        70,
        7,
    ]


IN_GATEWAY = "parts/gateway.yaml:2:7, which is included; change it there"
REFUSED: dict[str, tuple[Order, str, str]] = {
    "a value that an included file says": (
        patch("{gateway: {port: 1}}"),
        "included",
        "gateway.port stands in FOLDER/" + IN_GATEWAY,
    ),
    "the end of one": (
        patch("{gateway: {port: null}}"),
        "included",
        "gateway.port stands in FOLDER/" + IN_GATEWAY,
    ),
    "the end of one that would show what was under it": (
        patch("{gateway: {backlog: null}}"),
        "included",
        "gateway.backlog stands in FOLDER/parts/gateway.yaml:3:10",
    ),
    "the end of all that is included": (
        patch("{gateway: null}"),
        "included",
        "gateway.$include would lose parts/gateway.yaml",
    ),
    "a mapping in the place of an included one": (
        patch("{gateway: {port: 2}}", replace=("gateway",)),
        "included",
        "gateway.$include would lose parts/gateway.yaml",
    ),
    "an entry of an included file": (
        patch("{providers: {local: null}}"),
        "included",
        "providers.local stands in FOLDER/parts/local.yaml:1:8",
    ),
    "a list that is joined of both": (
        patch("{tools: {deny: [write]}}"),
        "included",
        "tools.deny stands in FOLDER/parts/tools.yaml:1:7",
    ),
    "an include": (
        patch("{limits: {$include: parts/limits.yaml}}"),
        "included",
        "limits.$include is written in the file itself",
    ),
    "a whole file without an include": (
        Order(text="gateway: {port: 1}\n" + "# more\n" * 100),
        "included",
        "gateway.$include would lose parts/gateway.yaml",
    ),
    "a whole file without one of several": (
        Order(text=FILES["beamclaw.yaml"].replace(", parts/more.yaml", "")),
        "included",
        "providers.$include would lose parts/more.yaml",
    ),
    "an include by somebody far away": (
        Order(text=FILES["beamclaw.yaml"] + "agents: {$include: a}\n", far=True),
        "place",
        "agents.$include includes a; which files are read",
    ),
    "a file that is not there": (
        Order(text=FILES["beamclaw.yaml"] + "agents: {$include: a}\n"),
        "invalid",
        "agents.$include: FOLDER/a cannot be read",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_included_file_says_is_not_written_here(here: Writer, name: str):
    order, code, words = REFUSED[name]
    with pytest.raises(Refusal) as refused:
        here.write(order)
    assert words.replace("FOLDER", str(here.file.parent)) in str(refused.value)
    assert refused.value.code == code
    assert texts(here) == FILES
    assert here.history() == []


def test_what_is_meant_is_said(here: Writer):
    written = here.write(Order(text="gateway: {port: 1}\n", shrink=True))
    assert "providers.local" in [change.path for change in written.changes]
    here.write(Order(how="rollback", entry=1))
    assert texts(here) == FILES


def test_somebody_far_away_changes_what_is_beside(here: Writer):
    here.write(patch("{gateway: {backlog: 70}}", far=True))
    text = here.file.read_text().replace("70", "80")
    here.write(Order(text=text, far=True))
    assert here.file.read_text() == text


def test_the_hash_is_of_all_files(here: Writer):
    folder = here.file.parent
    seen = [here.document().hash]
    for name, text in (
        ("parts/gateway.yaml", "port: 99\n"),
        ("parts/more.yaml", "# words\n"),
        ("parts/more.yaml", "other: {$include: more/other.yaml}\n"),
    ):
        (folder / name).write_text(text)
        seen.append(here.document().hash)
    (folder / "parts/more").mkdir()
    (folder / "parts/more/other.yaml").write_text("api: demo\n")
    seen.append(here.document().hash)
    (folder / "parts/gateway.yaml").unlink()
    seen.append(here.document().hash)
    assert len(set(seen)) == len(seen)


def test_an_order_for_other_files_is_refused(here: Writer):
    base = here.document().hash
    (here.file.parent / "parts/more.yaml").write_text("# somebody else\n")
    order = patch("{limits: {day: {calls: 9}}}", base=base)
    with pytest.raises(Refusal) as refused:
        here.write(order)
    assert refused.value.code == "stale"
    now = here.document().hash
    written = here.write(patch(order.text, base=now))
    assert written.hash == here.document().hash
    (entry,) = here.history()
    assert (entry.hash, entry.next) == (now, written.hash)


def test_what_is_shown_names_the_files_and_has_no_secret(here: Writer):
    document = here.document()
    folder = here.file.parent
    assert document.valid
    assert set(document.included) == {str(folder / n) for n in FILES} - {str(here.file)}
    assert document.text == FILES["beamclaw.yaml"]
    assert document.parsed["gateway"]["$include"] == "parts/gateway.yaml"
    assert SECRET not in repr(document)
    (folder / "parts/gateway.yaml").write_text("port: x\n")
    document = here.document()
    (issue,) = document.issues
    assert (issue["source"], issue["line"]) == (f"{folder}/parts/gateway.yaml", 1)
    assert (issue["path"], document.valid) == ("gateway.port", False)
    assert SECRET not in repr(document)
    (folder / "parts/gateway.yaml").unlink()
    document = here.document()
    assert [issue["path"] for issue in document.issues] == ["gateway.$include"]
    assert f"{folder}/parts/gateway.yaml" in document.included


def test_the_name_of_a_file_is_no_secret_where_secrets_stand(here: Writer):
    (here.file.parent / "headers.yaml").write_text(f"x-key: {SECRET}\n")
    (here.file.parent / "token.yaml").write_text("file: token\n")
    (here.file.parent / "token").write_text("x" * 40)
    text = (
        "providers:\n  o: {api: demo, headers: {$include: headers.yaml, x-b: b}}\n"
        "gateway: {auth: {token: {$include: token.yaml}}}\n"
    )
    here.write(Order(text=text, shrink=True))
    document = here.document()
    assert document.text == text.replace("x-b: b", f"x-b: {HIDDEN}")
    assert SECRET not in repr(document)


def test_what_the_file_said_is_told_with_what_is_included_now(here: Writer):
    here.write(patch("{limits: {day: {calls: 9}}}"))
    (here.file.parent / "parts/gateway.yaml").write_text("port: 99\n")
    changes = here.changes_since(1)
    assert [(c.path, c.before, c.after) for c in changes] == [
        ("limits.day.calls", 5, 9)
    ]
