"""Rows of whoever is let in: the file's, and the fake's that other tests use."""

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from beamclaw.contracts.store import (
    ChangeAccess,
    DeviceRow,
    DropDevice,
    DropKey,
    KeyRow,
    TokenRow,
)
from beamclaw.storage import open_database
from beamclaw.store import access
from beamclaw.store.schema import NODE
from tests.support.rows import Rows

IDS = st.sampled_from("abc")
BODIES = st.sampled_from([b"1", b"2"])


@st.composite
def hashes(draw: st.DrawFn) -> bytes | None:
    """No two of them are the same, as in life."""
    return draw(st.none() | st.binary(min_size=16, max_size=16))


OPS = st.one_of(
    st.builds(DeviceRow, IDS, BODIES),
    st.builds(TokenRow, IDS, st.sampled_from(["operator", "node"]), hashes(), BODIES),
    st.builds(KeyRow, IDS, hashes(), BODIES),
    st.builds(DropDevice, IDS),
    st.builds(DropKey, IDS),
)


def unique(ops: Sequence[object]) -> bool:
    found = [op.hash for op in ops if isinstance(op, TokenRow | KeyRow) and op.hash]
    return len(found) == len(set(found))


@given(st.lists(OPS, max_size=12).filter(unique))
def test_the_file_has_what_the_fake_has(tmp_path_factory, ops):
    path: Path = tmp_path_factory.mktemp("access") / "node.db"
    connection = open_database(path, NODE)
    try:
        fake = Rows()
        for op in ops:
            if isinstance(op, TokenRow) and op.device_id not in fake.devices:
                continue  # a token is of a device that is there
            access.write(connection, [op])
            fake.write(ChangeAccess((op,)))
        ours, theirs = access.read(connection), fake.read()
        assert set(ours.devices) == set(theirs.devices)
        assert set(ours.tokens) == set(theirs.tokens)
        assert set(ours.keys) == set(theirs.keys)
    finally:
        connection.close()
