"""The file that could be used last: kept whole, found again, used for its own place only."""

import stat
from pathlib import Path

import pytest

from beamclaw.config.last_good import NAME, Kept, find, keep, load_kept
from beamclaw.config.problems import ConfigError
from beamclaw.contracts.points import hooked

GOOD = "gateway: {port: 1234}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "beamclaw.yaml"


def kept(file: Path, text: str = GOOD, at: float = 5.0) -> Kept:
    return Kept(file=file, text=text, at=at)


def test_what_was_kept_is_found_and_private(tmp_path: Path, file: Path) -> None:
    assert find(tmp_path) is None
    keep(tmp_path, kept(file))
    keep(tmp_path, kept(file, at=9.0))  # the same text: it holds since then
    assert find(tmp_path) == kept(file)
    path = tmp_path / "config-history" / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    keep(tmp_path, kept(file, "{}\n", 9.0))
    assert find(tmp_path) == kept(file, "{}\n", 9.0)


class Killed(BaseException):
    """Here it ends."""


def test_killed_anywhere_the_old_or_the_new_one_is_there(
    tmp_path: Path, file: Path
) -> None:
    def count(point: str) -> None:
        points.append(point)

    points: list[str] = []
    with hooked(count):
        keep(tmp_path / "x", kept(file))
    assert len(points) > 4
    for at in range(len(points)):
        folder = tmp_path / str(at)
        keep(folder, kept(file, "{}\n"))
        seen: list[str] = []

        def die(point: str, at: int = at, seen: list[str] = seen) -> None:
            seen.append(point)
            if len(seen) > at:
                raise Killed

        try:
            with hooked(die):
                keep(folder, kept(file))
        except Killed:
            pass
        assert find(folder) in (kept(file), kept(file, "{}\n"))
        keep(folder, kept(file))
        assert find(folder) == kept(file)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"file": "x"}', b"\xff"])
def test_what_cannot_be_read_is_none(tmp_path: Path, file: Path, raw: bytes) -> None:
    keep(tmp_path, kept(file))
    (tmp_path / "config-history" / NAME).write_bytes(raw)
    assert find(tmp_path) is None


def test_it_is_for_the_file_that_it_was_made_from(tmp_path: Path, file: Path) -> None:
    file.write_text("gateway: {port: x}\n")
    assert load_kept({}, data=tmp_path) is None
    keep(tmp_path, kept(file))
    found = load_kept({}, data=tmp_path, options={"gateway.host": "::1"})
    assert found is not None
    loaded, was = found
    assert (loaded.config.gateway.port, loaded.config.gateway.host) == (1234, "::1")
    assert (loaded.file, was) == (file, kept(file))
    other = tmp_path / "other.yaml"
    assert load_kept({}, data=tmp_path, file=other) is None
    assert load_kept({}, data=tmp_path, file=file) is not None


def test_what_it_leads_to_may_be_gone(tmp_path: Path, file: Path) -> None:
    file.write_text("[]\n")
    keep(tmp_path, kept(file, "gateway: {auth: {token: {file: gone}}}\n"))
    with pytest.raises(ConfigError, match="gone"):
        load_kept({}, data=tmp_path)
