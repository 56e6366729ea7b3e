"""From the indexes of docs one comes to every page, and every link leads somewhere."""

from collections.abc import Iterator
from pathlib import Path

from tests.support.documents import PAGES, ROOT, links, name, places, prose

DOCS = ROOT / "docs"
# What becomes a page when there is a release, and what makes pages.
APART = frozenset({DOCS / "changes", DOCS / "_build", DOCS / "conf.py"})


def test_every_link_leads_somewhere():
    assert [
        f"{name(page)}: {link}"
        for page in PAGES
        for link, target, place in links(page)
        if not target.exists()
        or (place and target.suffix == ".md" and place not in places(target))
    ] == []


def test_each_index_tells_of_its_pages():
    """In words, not only in the list that Sphinx makes: a reader asks what for."""
    assert [
        f"{name(index)} does not tell of {page.name}"
        for page in PAGES
        if (index := page.parent / "index.md").exists()
        and DOCS / "changes" not in page.parents
        and page not in {index, *(target for _, target, _ in links(index))}
    ] == []


def test_every_file_is_reached_from_the_index():
    reached = set[Path]()
    left = [DOCS / "index.md"]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            left += [target for _, target, _ in links(page)] if page in PAGES else ()
    words = "".join(prose(page) for page in reached if page in PAGES)
    # A page may also name a file, or its folder, by its path in the repository.
    assert [
        name(path)
        for path in files()
        if path not in reached
        and not any(f"`{name(each)}`" in words for each in (path, path.parent))
    ] == []


def files() -> Iterator[Path]:
    """What stands in docs for readers."""
    for path in sorted(DOCS.glob("**/*")):
        if path.is_file() and not APART & {path, *path.parents} and _ours(path):
            yield path


def _ours(path: Path) -> bool:
    return path.suffix != ".pyc" and path.name != "__init__.py"
