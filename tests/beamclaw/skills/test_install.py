"""Packages of strangers: what is refused, and that an installation is old or new."""

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from beamclaw.contracts import points
from beamclaw.skills.install import NotInstalled, Store
from beamclaw.skills.package import PackageRefused
from beamclaw.skills.pins import Tampered, tree_hash, verify
from tests.beamclaw.skills.stage import LIMITS, skill, store

MANIFEST = b"---\nname: tidy\ndescription: tidies up\n---\nDo.\n"


def zipped(path: Path, members: dict[str, bytes], **more: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return path


def tarred(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    mode = {".gz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType] -- a mode by the suffix
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, body = member
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


def special(name: str, kind: bytes, target: str = "SKILL.md") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def contents(shelf: Store, name: str = "tidy") -> dict[str, bytes]:
    folder = shelf.pins()[name].folder(shelf.folder, name)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def shelf(tmp_path: Path) -> Store:
    return store(tmp_path / "data" / "skills")


def untouched(shelf: Store) -> bool:
    """Whether nothing is left of what was refused."""
    left = {path.name for path in shelf.folder.iterdir()} - {".command"}
    return not left and not list(shelf.folder.parent.parent.glob("escaped*"))


# --- what is installed


def test_a_folder_is_installed_private_and_pinned(tmp_path: Path, shelf: Store):
    source = skill(tmp_path / "source")
    (source / "bin").mkdir()
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o4755)
    (source / ".git").mkdir()
    manifest, pin = shelf.install(source, 5.0)
    folder = pin.folder(shelf.folder, "tidy")
    assert manifest.name == "tidy"
    assert set(contents(shelf)) == {"SKILL.md", "bin/run"}
    assert stat.S_IMODE((folder / "bin" / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "SKILL.md").stat().st_mode) == 0o600
    assert stat.S_IMODE((shelf.folder / "lock.json").stat().st_mode) == 0o600
    verify(folder, shelf.pins()["tidy"])
    assert (pin.at, pin.source, pin.files) == (5.0, str(source), 2)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("top", ["", "tidy-1.0/"])
def test_an_archive_is_installed(tmp_path: Path, shelf: Store, suffix: str, top: str):
    members = {f"{top}SKILL.md": MANIFEST, f"{top}scripts/a.py": b"print()"}
    path = tmp_path / f"tidy.{suffix}"
    if suffix == "zip":
        zipped(path, members)
    else:
        tarred(path, *members.items())
    shelf.install(path, 1.0)
    assert contents(shelf) == {"SKILL.md": MANIFEST, "scripts/a.py": b"print()"}


def test_nothing_in_it_is_run(tmp_path: Path, shelf: Store):
    source = skill(
        tmp_path / "source",
        more="metadata: {openclaw: {install: [{kind: node, package: evil}]}}\n",
    )
    touched = tmp_path / "ran"
    for name in ("install.sh", "postinstall", "setup.py", "package.json", "Makefile"):
        (source / name).write_text(f"#!/bin/sh\ntouch {touched}\n")
        (source / name).chmod(0o755)
    manifest, _ = shelf.install(source, 1.0)
    assert manifest.installs
    assert not touched.exists()


# --- what is refused


def evil_zip(name: str) -> Callable[[Path], Path]:
    return lambda at: zipped(at / "p.zip", {"SKILL.md": MANIFEST, name: b"x"})


def evil_tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> Callable[[Path], Path]:
    return lambda at: tarred(at / "p.tar.gz", ("SKILL.md", MANIFEST), *members)


def zip_link(at: Path) -> Path:
    with zipfile.ZipFile(at / "p.zip", "w") as archive:
        archive.writestr("SKILL.md", MANIFEST)
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return at / "p.zip"


def zip_bomb(at: Path) -> Path:
    return zipped(at / "p.zip", {"SKILL.md": MANIFEST, "a": bytes(LIMITS.file + 1)})


def zip_that_lies(at: Path) -> Path:
    """It says that a file is small, in the directory and before the file."""
    path = zip_bomb(at)
    raw = path.read_bytes()
    size = struct.pack("<I", LIMITS.file + 1)
    path.write_bytes(raw.replace(size, struct.pack("<I", 10)))
    return path


def zip_of_many(at: Path) -> Path:
    members = {f"{n}": b"" for n in range(LIMITS.files + 1)}
    return zipped(at / "p.zip", {"SKILL.md": MANIFEST, **members})


def zip_that_lies_of_its_directory(at: Path) -> Path:
    path = zip_of_many(at)
    raw = bytearray(path.read_bytes())
    at_end = raw.rindex(b"PK\x05\x06")
    raw[at_end + 8 : at_end + 12] = struct.pack("<HH", 2, 2)
    path.write_bytes(raw)
    return path


def tar_bomb(at: Path) -> Path:
    with gzip.open(at / "p.tar.gz", "wb") as file:
        info = tarfile.TarInfo("SKILL.md")
        info.size = 1 << 30
        file.write(info.tobuf())
        for _ in range(3):
            file.write(bytes(1 << 20))
    return at / "p.tar.gz"


def tar_with_a_huge_name(at: Path) -> Path:
    """A header that says: the next name has a gigabyte."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    (at / "p.tar").write_bytes(info.tobuf() + bytes(4096))
    return at / "p.tar"


def folder_with(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def made(at: Path) -> Path:
        source = skill(at / "source")
        make(source)
        return source

    return made


def padded(at: Path) -> Path:
    source = skill(at / "source")
    for number in range(3):
        (source / str(number)).write_bytes(bytes(LIMITS.file - 1))
    return source


def padded_manifest(at: Path) -> Path:
    return skill(at / "source", body=" " * 20_000)


def hidden(at: Path) -> Path:
    return skill(at / "source", body="fine\u202e\U000e0049")


def cut_short(at: Path) -> Path:
    path = zipped(at / "p.zip", {"SKILL.md": MANIFEST, "a": os.urandom(5_000)})
    path.write_bytes(path.read_bytes()[:2_000])
    return path


def encrypted(at: Path) -> Path:
    path = zipped(at / "p.zip", {"SKILL.md": MANIFEST})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    return path


def no_archive(at: Path) -> Path:
    (at / "p.zip").write_bytes(b"hello")
    return at / "p.zip"


EVIL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "up in a zip": (evil_zip("../escaped"), "leads out"),
    "up in a tar": (evil_tar(("a/../../escaped", b"x")), "leads out"),
    "up in wide dots": (evil_zip("\uff0e\uff0e/escaped"), "leads out"),
    "absolute in a zip": (evil_zip("/tmp/escaped"), "absolute"),
    "absolute in a tar": (evil_tar(("/tmp/escaped", b"x")), "absolute"),
    "a drive": (evil_zip("C:escaped"), "absolute"),
    "backslashes": (evil_zip("a\\..\\escaped"), "backslash"),
    "a line break in a name": (evil_tar(("a\nb", b"x")), "cannot be seen"),
    "a turned name": (evil_zip("a\u202ecod.exe"), "cannot be seen"),
    "a deep name": (evil_zip("/".join("abcdefghijklmnopqr")), "too deep"),
    "a link in a zip": (zip_link, "a link"),
    "a link": (evil_tar(special("l", tarfile.SYMTYPE, "/etc/passwd")), "a link"),
    "a link within": (evil_tar(special("l", tarfile.SYMTYPE)), "a link"),
    "a hard link": (evil_tar(special("l", tarfile.LNKTYPE)), "a link"),
    "a device": (evil_tar(special("d", tarfile.CHRTYPE)), "a device"),
    "a pipe": (evil_tar(special("p", tarfile.FIFOTYPE)), "a device"),
    "a link, then through it": (
        evil_tar(special("d", tarfile.SYMTYPE, ".."), ("d/escaped", b"x")),
        "a link",
    ),
    "a name twice": (evil_tar(("a", b"1"), ("a", b"2")), "twice"),
    "two names in one": (evil_zip("skill.MD"), "is one on some systems"),
    "a file that is a folder": (evil_tar(("a", b"1"), ("a/b", b"2")), "twice"),
    "a large file": (zip_bomb, "max_file_bytes"),
    "a small one that is large": (zip_that_lies, "max_file_bytes|damaged"),
    "many files": (zip_of_many, "max_files"),
    "many that are few": (zip_that_lies_of_its_directory, "max_files|damaged"),
    "a tar that grows": (tar_bomb, "max_bytes"),
    "a huge name": (tar_with_a_huge_name, "damaged|too long|SKILL.md"),
    "padding": (padded, "max_bytes"),
    "a padded SKILL.md": (padded_manifest, "file_bytes"),
    "hidden characters": (hidden, r"U\+202E, U\+E0049"),
    "cut short": (cut_short, "damaged"),
    "encrypted": (encrypted, "encrypted"),
    "a link in a folder": (
        folder_with(lambda at: (at / "l").symlink_to("/etc/passwd")),
        "a link",
    ),
    "a pipe in a folder": (folder_with(lambda at: os.mkfifo(at / "p")), "plain file"),
    "no skill": (
        lambda at: zipped(at / "p.zip", {"README.md": b"x"}),
        "no SKILL.md at its top",
    ),
    "no archive": (
        no_archive,
        "damaged",
    ),
    "a name out of the way": (lambda at: skill(at / "s", "../../x"), "is none"),
}


@pytest.mark.parametrize("what", EVIL)
def test_a_package_that_is_not_in_order_is_refused(
    tmp_path: Path, shelf: Store, what: str
):
    make, why = EVIL[what]
    work = tmp_path / "work"
    work.mkdir()
    source = make(work)
    with pytest.raises(PackageRefused, match=why):
        shelf.install(source, 1.0)
    assert untouched(shelf)
    assert not Path("/tmp/escaped").exists()


def test_an_archive_that_is_too_large_is_not_opened(tmp_path: Path, shelf: Store):
    path = tmp_path / "p.zip"
    with path.open("wb") as file:
        file.truncate(LIMITS.archive + 1)
    with pytest.raises(PackageRefused, match="max_archive_bytes"):
        shelf.install(path, 1.0)


# --- names, updates


def test_a_second_one_of_the_name_is_refused_in_any_case(tmp_path: Path, shelf: Store):
    shelf.install(skill(tmp_path / "a", "tidy"), 1.0)
    for name in ("tidy", "Tidy"):
        with pytest.raises(PackageRefused, match="beamclaw skills update tidy"):
            shelf.install(skill(tmp_path / "b", name), 2.0)
    assert set(shelf.pins()) == {"tidy"}


def test_an_update_takes_the_place_and_the_old_version_goes(
    tmp_path: Path, shelf: Store
):
    shelf.install(skill(tmp_path / "a", body="old"), 1.0)
    shelf.install(skill(tmp_path / "b", body="new"), 2.0, update="tidy")
    assert b"new" in contents(shelf)["SKILL.md"]
    assert len(list((shelf.folder / "installed" / "tidy").iterdir())) == 1
    with pytest.raises(PackageRefused, match="it is 'other', not 'tidy'"):
        shelf.install(skill(tmp_path / "c", "other"), 3.0, update="tidy")
    with pytest.raises(NotInstalled, match="installed: tidy"):
        shelf.install(skill(tmp_path / "c", "other"), 3.0, update="other")


def test_one_that_is_pinned_is_not_updated(tmp_path: Path, shelf: Store):
    shelf.install(skill(tmp_path / "a", body="old"), 1.0)
    assert shelf.hold("tidy", held=True).held
    with pytest.raises(PackageRefused, match="pin tidy --off"):
        shelf.install(skill(tmp_path / "b", body="new"), 2.0, update="tidy")
    shelf.hold("tidy", held=False)
    shelf.install(skill(tmp_path / "b", body="new"), 2.0, update="tidy")


def test_what_was_changed_is_whole_again_after_an_update(tmp_path: Path, shelf: Store):
    source = skill(tmp_path / "a")
    _, pin = shelf.install(source, 1.0)
    (pin.folder(shelf.folder, "tidy") / "SKILL.md").write_text("evil")
    shelf.install(source, 2.0, update="tidy")
    verify(pin.folder(shelf.folder, "tidy"), shelf.pins()["tidy"])


def test_removed_it_leaves_nothing(tmp_path: Path, shelf: Store):
    shelf.install(skill(tmp_path / "a"), 1.0)
    shelf.remove("tidy")
    assert shelf.pins() == {}
    assert list((shelf.folder / "installed").iterdir()) == []
    with pytest.raises(NotInstalled, match="installed: none"):
        shelf.remove("tidy")


def test_the_hash_is_of_names_contents_and_what_can_be_run(tmp_path: Path):
    def hashed(name: str, make: Callable[[Path], object]) -> str:
        folder = skill(tmp_path / name)
        make(folder)
        return tree_hash(folder).sha256

    def nothing(folder: Path) -> None:
        del folder

    seen = {
        hashed("0", nothing),
        hashed("1", lambda at: (at / "a").touch()),
        hashed("2", lambda at: (at / "b").touch()),
        hashed("3", lambda at: (at / "a").write_text("x")),
        hashed("4", lambda at: (at / "a").touch(0o700)),
        hashed("5", lambda at: (at / "a").mkdir()),
    }
    assert len(seen) == 6
    assert hashed("again", nothing) in seen
    with pytest.raises(Tampered, match="no plain file"):
        hashed("link", lambda at: (at / "l").symlink_to("SKILL.md"))


# --- ended anywhere


class Killed(BaseException):
    pass


def killed_at(number: int) -> Callable[[str], None]:
    reached = iter(range(10_000))

    def hook(name: str) -> None:
        if next(reached) == number:
            raise Killed(name)

    return hook


def install_new(shelf: Store, at: Path) -> None:
    shelf.install(skill(at / "source", body="new"), 2.0)


def update(shelf: Store, at: Path) -> None:
    shelf.install(skill(at / "source", body="new"), 2.0, update="tidy")


def remove(shelf: Store, at: Path) -> None:
    del at
    shelf.remove("tidy")


OLD, NEW = b"old", b"new"
ACTS = {
    "install": (install_new, None, NEW),
    "update": (update, OLD, NEW),
    "remove": (remove, OLD, None),
}


@pytest.mark.parametrize("act", ACTS)
def test_ended_at_any_step_it_is_old_or_new(tmp_path: Path, act: str):
    do, before, after = ACTS[act]
    found: set[bytes | None] = set()
    number = 0
    for number in range(1_000):
        at = tmp_path / str(number)
        shelf = store(at / "skills")
        if before is not None:
            shelf.install(skill(at / "first", body="old"), 1.0)
        try:
            with points.hooked(killed_at(number)):
                do(shelf, at)
        except Killed:
            state = standing(shelf)
            found.add(state)
            assert state in {before, after}
            again(shelf, at, act, state)
        else:
            break
        assert standing(shelf) == after
    assert found == {before, after}
    assert number > 5


def standing(shelf: Store) -> bytes | None:
    """What is installed; it is whole."""
    pin = shelf.pins().get("tidy")
    if pin is None:
        return None
    folder = pin.folder(shelf.folder, "tidy")
    verify(folder, pin)
    return OLD if b"old" in (folder / "SKILL.md").read_bytes() else NEW


def again(shelf: Store, at: Path, act: str, state: bytes | None) -> None:
    """The person does it once more, and nothing is left behind."""
    do, _, after = ACTS[act]
    if state != after:
        do(shelf, at)
    elif after is not None:
        update(shelf, at)
    versions = list((shelf.folder / "installed").glob("*/*"))
    if state != after:
        assert len(versions) == (after is not None)
    assert not (shelf.folder / ".staging").exists()
