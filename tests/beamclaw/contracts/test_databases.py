"""Which names are those of the node's databases."""

from pathlib import Path

import pytest

from beamclaw.contracts.databases import databases_in, is_database, ledger_of

NAMES = {
    "node.db": True,
    "tenants/default/ledger.db": True,
    "tenants/a_b-C9/ledger.db": True,
    "ledger.db": False,
    "node.db-wal": False,
    "node.db\n": False,
    "./node.db": False,
    "/etc/node.db": False,
    "/tmp/ledger.db": False,
    "tenants/../ledger.db": False,
    "tenants/a/b/ledger.db": False,
    "tenants//ledger.db": False,
    "tenants/default/node.db": False,
    "": False,
}


@pytest.mark.parametrize(("name", "is_one"), NAMES.items())
def test_a_name_is_a_databases_or_not(name: str, *, is_one: bool):
    assert is_database(name) is is_one


def test_those_of_a_folder_are_named_the_nodes_own_last(tmp_path: Path):
    for name in ("node.db", ledger_of("b"), ledger_of("a"), ledger_of("no name")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert databases_in(tmp_path) == [
        "tenants/a/ledger.db",
        "tenants/b/ledger.db",
        "node.db",
    ]
