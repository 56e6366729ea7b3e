"""What may stand in a backup, and when its list and its files agree."""

from pathlib import PurePosixPath

import attrs
import pytest

from beamclaw.backup.manifest import (
    BackupRefused,
    Entry,
    LeftOut,
    Manifest,
    bad_name,
    decode,
    disagreement,
    is_kept,
)

ONE = Entry(name="token", size=3, mode=0o600, sha256="a" * 64)
TWO = Entry(name="workspace/a", size=1, mode=0o700, sha256="b" * 64)
WHOLE = Manifest(
    version="1.0",
    made_at=1.5,
    schemas={"node.db": 2},
    entries=(ONE, TWO),
    left_out=(LeftOut("x", "a symbolic link"),),
)


@pytest.mark.parametrize(
    "name, fine",
    [
        ("token", True),
        ("workspace/a b/ü.txt", True),
        ("", False),
        ("/etc/passwd", False),
        ("../token", False),
        ("workspace/../../token", False),
        ("workspace/./a", False),
        ("workspace//a", False),
        ("a\nb", False),
        ("a\0b", False),
        ("node.lock", False),
        ("node.sock", False),
        (".restore/moving", False),
        ("before-restore-x/token", False),
        ("a" * 5000, False),
    ],
)
def test_names_that_are_taken_out_of_an_archive(name: str, fine: bool):
    assert (bad_name(name) is None) is fine


@pytest.mark.parametrize(
    "name, kept",
    [
        ("token", True),
        ("beamclaw.yaml", True),
        ("workspace/node.db", True),
        ("audit/2026-11.jsonl", True),
        ("node.db", False),
        ("node.db-wal", False),
        ("tenants/default/ledger.db", False),
        ("tenants/default/ledger.db-shm", False),
        ("tenants/default/receipts/1", True),
        ("node.lock", False),
        (".probe-17", False),
        (".restore/new/token", False),
        ("before-restore-x/token", False),
    ],
)
def test_what_of_a_folder_is_kept_as_it_lies(name: str, kept: bool):
    assert is_kept(PurePosixPath(name)) is kept


def test_a_list_is_read_as_it_was_written():
    assert decode(WHOLE.encode()) == WHOLE


@pytest.mark.parametrize(
    "text, words",
    [
        (b"", "no list"),
        (b"[]", "no list"),
        (b"[" * 100_000, "no list"),
        (b'{"format": 2}', "format 2"),
        (b'{"format": 1}', "damaged"),
        (WHOLE.encode().replace(b'"size": 3', b'"size": -1'), "damaged"),
        (WHOLE.encode().replace(b"a" * 64, b"a"), "damaged"),
        (WHOLE.encode().replace(b'"size": 3', b'"size": Infinity'), "damaged"),
        (WHOLE.encode().replace(b'"made_at": 1.5', b'"made_at": 1e18'), "damaged"),
        (WHOLE.encode().replace(b'"made_at": 1.5', b'"made_at": -1e12'), "damaged"),
        (WHOLE.encode().replace(b'"made_at": 1.5', b'"made_at": NaN'), "damaged"),
        (WHOLE.encode().replace(b'"node.db": 2', b'"a\\u001b[2J": 2'), "damaged"),
        (WHOLE.encode().replace(b'"1.0"', b'"1.0\\u001b[2J"'), "damaged"),
        (WHOLE.encode().replace(b'{\n  "node.db": 2\n }', b"[]"), "damaged"),
    ],
)
def test_a_list_that_is_none_is_refused_in_words(text: bytes, words: str):
    with pytest.raises(BackupRefused, match=words):
        decode(text)


@pytest.mark.parametrize(
    "found, words",
    [
        ((ONE, TWO), None),
        ((TWO, ONE), None),
        ((ONE,), "workspace/a is in its list"),
        ((ONE, TWO, attrs.evolve(ONE, name="b")), "b is in it and not"),
        ((attrs.evolve(ONE, sha256="c" * 64), TWO), "token is not as"),
        ((attrs.evolve(ONE, mode=0o700), TWO), "token is not as"),
        ((ONE, TWO, TWO), "workspace/a is in it and not"),
    ],
)
def test_the_files_and_the_list_have_to_agree(
    found: tuple[Entry, ...], words: str | None
):
    said = disagreement(WHOLE, found)
    assert said is None if words is None else said is not None and words in said
