"""What an installation is made of: the pinned versions, the skills, the web files."""

import importlib.metadata
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from beamclaw.contracts.resources import resource

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in listed}


def needed() -> dict[str, list[Requirement]]:
    """Everything that the project needs with all extras, as deep as is installed."""
    extras = PROJECT["optional-dependencies"]
    waiting = [
        Requirement(text)
        for group in (PROJECT["dependencies"], *extras.values())
        for text in group
    ]
    found: dict[str, list[Requirement]] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        found.setdefault(name, []).append(wanted)
        if (key := (name, frozenset(wanted.extras))) in done:
            continue
        done.add(key)
        try:
            lines = importlib.metadata.requires(name) or ()
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        for text in lines:
            deeper = Requirement(text)
            marker = deeper.marker
            names = ["", *wanted.extras]
            if marker is None or any(marker.evaluate({"extra": e}) for e in names):
                waiting.append(deeper)
    return found


def test_every_dependency_however_deep_is_pinned_to_a_version_that_fits():
    pinned = pins()
    wrong = []
    for name, wanted in needed().items():
        if name not in pinned:
            wrong.append(f"{name} is not pinned")
            continue
        (version,) = (spec.version for spec in pinned[name].specifier)
        wrong += [
            f"{name}=={version} is not {want}"
            for want in wanted
            if not want.specifier.contains(version, prereleases=True)
        ]
    assert not wrong, "\n".join(wrong)


def test_a_pin_is_one_exact_version_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert re.fullmatch(r"#.*|[A-Za-z0-9_.\-]+==[A-Za-z0-9_.!+]+", line), line


def skills() -> list[Path]:
    return sorted(path for path in resource("skills").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", skills(), ids=lambda folder: folder.name)
def test_a_bundled_skill_says_what_it_is_for(folder):
    _, front, body = (folder / "SKILL.md").read_text().split("---\n", 2)
    manifest = yaml.safe_load(front)
    assert manifest["name"] == folder.name
    assert 40 < len(manifest["description"]) < 500
    assert body.strip().startswith("# ")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.references: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.references += [given[k] or "" for k in ("src", "href") if k in given]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [k for k in given if k == "style" or k.startswith("on")]


@pytest.mark.parametrize(
    "path", sorted(resource("web").rglob("*.html")), ids=lambda path: path.name
)
def test_a_page_asks_no_foreign_host_and_has_nothing_inline(path):
    page = _Page()
    page.feed(path.read_text())
    assert not page.inline
    for reference in page.references:
        assert not re.match(r"[a-z]+:|//", reference), reference
        # They are asked for from wherever the page stands, and lie beside it.
        name = reference.partition("#")[0].removeprefix("/page/")
        assert not name or (path.parent / name).is_file(), reference


def test_the_style_sheets_ask_no_foreign_host():
    for path in resource("web").rglob("*.css"):
        assert not re.search(r"url\(|@import|//", path.read_text())
