"""A program of its own: reads a page that a stranger has written, and says its text.

It is started for one page, with little memory and time, knows nothing of the node and
imports nothing but the standard library: whatever a page does to it ends with it. It
gets a line of JSON (what it is to do), then the page; it writes one line of JSON.
"""

import html.parser
import json
import re
import sys
from collections.abc import Iterator
from typing import Final
from urllib.parse import urljoin

# --- what the elements mean

_VOID: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()
)
_DROPPED: Final = frozenset(
    """
    script style noscript template svg math iframe object embed canvas audio video map
    input select button textarea datalist dialog meter progress frame frameset noframes
    """.split()
)
_BLOCKS: Final = frozenset(
    """
    address article aside blockquote body caption center dd details dir div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main
    menu nav ol p pre search section summary table tbody td tfoot th thead tr ul
    """.split()
)
# An element that is begun ends these, if they are open right above it.
_ENDS: Final = {
    "li": {"li"},
    "dt": {"dt", "dd"},
    "dd": {"dt", "dd"},
    "tr": {"tr", "td", "th"},
    "td": {"td", "th"},
    "th": {"td", "th"},
    "thead": {"tr", "td", "th", "tbody", "tfoot", "thead"},
    "tbody": {"tr", "td", "th", "tbody", "tfoot", "thead"},
    "tfoot": {"tr", "td", "th", "tbody", "tfoot", "thead"},
    "option": {"option"},
}
# What one of these means depends on the whole of it.
_WHOLE: Final = frozenset("ul ol menu dir dl table pre blockquote p li dt dd".split())
# Behind these an element that is open is not looked for.
_WALLS: Final = frozenset({"table", "td", "th", "ul", "ol", "dl", "body", "html"})
_AROUND: Final = frozenset({"nav", "footer", "aside", "form", "search"})
_AROUND_ROLES: Final = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search", "dialog", "menu"}
)
_AROUND_NAMES: Final = re.compile(
    r"(^|[\s_-])(nav|navbar|menu|breadcrumbs?|sidebar|footer|masthead|cookies?|consent"
    r"|gdpr|share|sharing|social|related|recommended|newsletter|subscribe|advert\w*|ads?"
    r"|sponsored|promo|popup|modal|paywall|toc|skip-link)([\s_-]|$)",
    re.IGNORECASE,
)
_HIDDEN_NAMES: Final = frozenset(
    """
    sr-only visually-hidden visuallyhidden screen-reader-only screen-reader-text
    offscreen off-screen d-none hidden invisible
    """.split()
)
_HIDDEN_STYLE: Final = re.compile(
    r"display:none|visibility:(hidden|collapse)|opacity:0(\.0*)?(;|%|$)"
    r"|font-size:0(\.0*)?(px|em|rem|pt|%)?(;|$)|text-indent:-\d{3,}"
    r"|(left|top|right|bottom):-\d{3,}|color:transparent|clip-path:inset\((50|100)%"
    r"|clip:rect\(0|transform:scale\(0|(^|;)(width|height):0(px)?(;|$)"
)

# --- how much is read

_MOST_DEEP: Final = 150
_MOST_ELEMENTS: Final = 100_000
# Characters that are read between two looks whether that is enough.
_PIECE: Final = 64 * 1024
_MOST_ROWS: Final = 2_000
_MOST_TITLE: Final = 300


class Element:
    """One element of the page."""

    __slots__ = ("attributes", "children", "tag", "weight")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []
        # Characters of text in it that lead nowhere.
        self.weight = 0

    def elements(self) -> Iterator["Element"]:
        """Those right inside."""
        for child in self.children:
            if isinstance(child, Element):
                yield child


class Page(html.parser.HTMLParser):
    """The elements of a page, as far as they mean something for a reader."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("html", {})
        self.open = [self.root]
        self.title = ""
        self.base = ""
        # Elements that are open and left out: how deep, and of which sort.
        self.left_out: list[str] = []
        self.in_title = False
        self.count = 0
        self.cut = False

    def parse_html_declaration(self, i: int) -> int:
        """Comments by the book; all else that begins with ``<!`` ends with the next ``>``."""
        if self.rawdata[i : i + 4] == "<!--":
            return self.parse_comment(i)
        end = self.rawdata.find(">", i + 2)
        return -1 if end < 0 else end + 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if self.left_out:
            if tag == self.left_out[-1] and tag not in _VOID:
                self.left_out.append(tag)
            return
        if tag == "title":
            self.in_title = not self.title
            return
        known = {name: value or "" for name, value in reversed(attrs)}
        if tag == "base":
            self.base = self.base or known.get("href", "")
        if tag in _DROPPED or _is_hidden(known):
            if tag not in _VOID:
                self.left_out.append(tag)
            return
        if tag in {"html", "body", "head", "meta", "link", "base"}:
            return
        self.begin(tag, known)

    def begin(self, tag: str, known: dict[str, str]) -> None:
        """Put a new element into the one that is open, and open it."""
        self.make_way(tag)
        self.count += 1
        if self.count > _MOST_ELEMENTS:
            self.cut = True
            return
        made = Element(tag, known)
        self.open[-1].children.append(made)
        if tag not in _VOID and len(self.open) < _MOST_DEEP:
            self.open.append(made)

    def make_way(self, tag: str) -> None:
        """End what a *tag* that begins ends."""
        if tag in _BLOCKS and any(each.tag == "p" for each in self.open[-3:]):
            self.end("p")
        ends = _ENDS.get(tag, set[str]())
        place = len(self.open) - 1
        found = 0
        while place > 0 and ends:
            here = self.open[place].tag
            if here in ends:
                found = place
            elif here in _WALLS:
                break
            place -= 1
        if found:
            del self.open[found:]

    def handle_endtag(self, tag: str) -> None:
        """An element ends, and with it all that was left open inside."""
        if tag == "title":
            self.in_title = False
        elif self.left_out:
            if tag == self.left_out[-1]:
                self.left_out.pop()
        else:
            self.end(tag)

    def end(self, tag: str) -> None:
        """End the innermost *tag* that is open, if it is not behind a wall."""
        for place in range(len(self.open) - 1, 0, -1):
            here = self.open[place].tag
            if here == tag:
                del self.open[place:]
                return
            if here in {"table", "td", "th"} and tag not in {"table", "tr", "tbody"}:
                return

    def handle_data(self, data: str) -> None:
        """Text."""
        if self.in_title:
            self.title += data
        elif not self.left_out:
            self.open[-1].children.append(data)


def _is_hidden(known: dict[str, str]) -> bool:
    if "hidden" in known or known.get("aria-hidden", "").lower() == "true":
        return True
    if not _HIDDEN_NAMES.isdisjoint(known.get("class", "").lower().split()):
        return True
    style = re.sub(r"\s|!important", "", known.get("style", "").lower())
    return bool(style) and _HIDDEN_STYLE.search(style) is not None


# --- what a page is about


def _weigh(element: Element, *, in_link: bool = False) -> int:
    in_link = in_link or element.tag == "a"
    total = 0
    for child in element.children:
        if isinstance(child, Element):
            total += _weigh(child, in_link=in_link)
        elif not in_link:
            total += len(child.strip())
    element.weight = total
    return total


def _is_around(element: Element) -> bool:
    """Whether an element is around what a page is about, by what it is or is called."""
    if element.tag in _AROUND:
        return True
    known = element.attributes
    if known.get("role", "").lower() in _AROUND_ROLES:
        return True
    if element.tag in {"article", "main", "p", "a", "span", "pre", "code", "em", "b"}:
        return False
    names = f"{known.get('class', '')} {known.get('id', '')}"
    return _AROUND_NAMES.search(names) is not None


def _strip(element: Element, whole: int) -> None:
    """Take away what is around the text; nothing that is a good part of it."""
    element.children = [
        child
        for child in element.children
        if isinstance(child, str)
        or not (_is_around(child) and child.weight * 3 < whole)
    ]
    for child in element.elements():
        _strip(child, whole)


def _main(root: Element) -> Element:
    """The element with what the page is about."""
    whole = _weigh(root)
    _strip(root, whole)
    whole = _weigh(root)
    for tag in ("main", "article"):
        found = [each for each in _all(root) if _is(each, tag)]
        if len(found) == 1 and found[0].weight * 3 > whole:
            return found[0]
    here = root
    while (heavy := max(here.elements(), key=_weight, default=None)) is not None:
        most_of_it = heavy.weight * 5 >= whole * 4
        if heavy.tag not in _BLOCKS - _WHOLE or not most_of_it:
            break
        here = heavy
    return here


def _weight(element: Element) -> int:
    return element.weight


def _is(element: Element, tag: str) -> bool:
    return element.tag == tag or element.attributes.get("role") == tag


def _all(element: Element) -> Iterator[Element]:
    waiting = [element]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(here.elements())


# --- how it is written


class Writer:
    """Writes elements as Markdown, or as plain text."""

    def __init__(self, base: str, *, markdown: bool) -> None:
        self.base = base
        self.markdown = markdown

    def blocks(self, element: Element) -> list[str]:
        """The paragraphs in *element*."""
        found: list[str] = []
        line: list[str] = []

        def end() -> None:
            text = _tidy("".join(line))
            if text:
                found.append(text)
            line.clear()

        for child in element.children:
            if isinstance(child, Element) and self.has_blocks(child):
                end()
                found += self.block(child)
            else:
                line.append(self.inline(child))
        end()
        return found

    def has_blocks(self, element: Element) -> bool:
        """Whether it is not written inside of a line."""
        if element.tag in _BLOCKS:
            return True
        return any(self.has_blocks(each) for each in element.elements())

    def block(self, element: Element) -> list[str]:
        """One element that is not inside of a line."""
        tag = element.tag
        if tag in {"ul", "ol", "menu", "dir"}:
            return self.items(element)
        if tag == "table":
            return self.table(element)
        if tag == "pre":
            return self.code(element)
        if tag == "hr":
            return ["---"] if self.markdown else []
        inside = self.blocks(element)
        if tag in {"h1", "h2", "h3", "h4", "h5", "h6"} and inside:
            mark = f"{'#' * int(tag[1])} " if self.markdown else ""
            return [mark + " ".join(" ".join(inside).split())]
        if tag == "blockquote" and inside and self.markdown:
            lines = "\n\n".join(inside).split("\n")
            return ["\n".join(f"> {line}".rstrip() for line in lines)]
        return inside

    def items(self, element: Element) -> list[str]:
        """A list; what is not in one of its items is one."""
        lines: list[str] = []
        number = 0
        for child in element.elements():
            inside = self.blocks(child) if child.tag == "li" else self.block(child)
            if not inside:
                continue
            number += 1
            mark = f"{number}. " if element.tag == "ol" else "- "
            first, *rest = "\n".join(inside).split("\n")
            lines.append(mark + first)
            lines += [" " * len(mark) + line for line in rest]
        return ["\n".join(lines)] if lines else []

    def table(self, element: Element) -> list[str]:
        """A table; one whose cells hold whole paragraphs is there for its looks."""
        rows = list(_all_rows(element))[:_MOST_ROWS]
        cells = [
            [self.blocks(cell) for cell in row.elements() if cell.tag in {"td", "th"}]
            for row in rows
        ]
        width = max(map(len, cells), default=0)
        longest = max((len(cell) for row in cells for cell in row), default=0)
        if width <= 1 or longest > 1:
            return [text for row in cells for cell in row for text in cell]
        written = [[" ".join(cell).replace("\n", " ") for cell in row] for row in cells]
        if not self.markdown:
            return ["\n".join("\t".join(row) for row in written)]
        lines = [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
            for row in ([*row, *[""] * (width - len(row))] for row in written)
        ]
        lines.insert(1, "|" + " --- |" * width)
        caption = [
            text
            for each in element.elements()
            if each.tag == "caption"
            for text in self.blocks(each)
        ]
        return [*caption, "\n".join(lines)]

    def code(self, element: Element) -> list[str]:
        """What is written as it is."""
        text = _plain(element).strip("\n")
        if not text.strip():
            return []
        if not self.markdown:
            return [text]
        fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
        return [f"{fence}\n{text}\n{fence}"]

    def inline(self, item: Element | str) -> str:
        """One thing inside of a line; a line break is a vertical tab until it is tidied."""
        if isinstance(item, str):
            return item.replace("\v", " ")
        tag = item.tag
        if tag == "br":
            return "\v"
        if tag == "img":
            words = " ".join(item.attributes.get("alt", "").split())
            return f"[image: {words}]" if words else ""
        inside = "".join(map(self.inline, item.children))
        if not self.markdown or not inside.strip():
            return inside
        if tag == "a":
            return self.link(item, inside)
        if tag in {"b", "strong"}:
            return _around("**", inside)
        if tag in {"i", "em"}:
            return _around("*", inside)
        if tag in {"code", "kbd", "samp", "tt"} and "`" not in inside:
            return _around("`", inside)
        return inside

    def link(self, element: Element, inside: str) -> str:
        """A link to another page; one inside of this page is only its words."""
        written = element.attributes.get("href", "").strip()
        if not written or written.startswith("#"):
            return inside
        try:
            to = urljoin(self.base, written)
        except ValueError:
            return inside
        if not to.lower().startswith(("http://", "https://", "mailto:")):
            return inside
        to = re.sub(r"[\s()<>]", lambda found: f"%{ord(found[0]):02X}", to)
        words = " ".join(inside.replace("\v", " ").split())
        return f"[{words}]({to})"


def _all_rows(table: Element) -> Iterator[Element]:
    for child in table.elements():
        if child.tag == "tr":
            yield child
        elif child.tag in {"thead", "tbody", "tfoot"}:
            yield from (each for each in child.elements() if each.tag == "tr")


def _plain(element: Element) -> str:
    parts = (
        child
        if isinstance(child, str)
        else "\n"
        if child.tag == "br"
        else _plain(child)
        for child in element.children
    )
    return "".join(parts)


def _around(mark: str, text: str) -> str:
    """*text* between two marks, which blanks at its ends would make into mere stars."""
    bare = text.strip()
    start = text[: len(text) - len(text.lstrip())]
    end = text[len(text.rstrip()) :]
    return f"{start}{mark}{bare}{mark}{end}"


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\v"))
    return "\n".join(lines).strip("\n")


# --- which letters it is written with

_READ_AS: Final = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "latin1": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "unicode": "utf-16",
}
_BEGINS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_META: Final = re.compile(
    rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE
)
_META_WITHIN: Final = 2048


def decoded(body: bytes, charset: str, form: str) -> str:
    """The text of *body*: by its first bytes, its server, itself, or as it can be read."""
    for mark, name in _BEGINS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    named = [charset]
    if form == "html" and (found := _META.search(body[:_META_WITHIN])):
        named.append(found[1].decode("ascii", "replace").lower())
    for name in named:
        # UTF-7 hides letters, and no page that is meant to be read is written so.
        if name and name.replace("_", "-") not in {"utf-7", "utf7"}:
            try:
                return body.decode(_READ_AS.get(name, name), "replace")
            except (LookupError, ValueError):
                continue
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        # Its end may have been cut in the middle of a letter.
        if error.end == len(body) and "end of data" in error.reason:
            return body[: error.start].decode("utf-8")
        return body.decode("cp1252", "replace")


def read(order: dict[str, str | int], body: bytes) -> dict[str, str | bool]:
    """What there is to read in a page."""
    most = int(order["most"])
    form = str(order["form"])
    text = decoded(body, str(order["charset"]), form)
    if form != "html":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return {"title": "", "text": text[:most], "cut": len(text) > most}
    page = Page()
    for start in range(0, len(text), _PIECE):
        if not page.cut:
            page.feed(text[start : start + _PIECE])
    # What is left is the beginning of something that never ended.
    page.close()
    base = urljoin(str(order["url"]), page.base)
    writer = Writer(base, markdown=order["mode"] == "markdown")
    said = "\n\n".join(writer.blocks(_main(page.root)))
    title = " ".join(page.title.split())[:_MOST_TITLE]
    return {"title": title, "text": said[:most], "cut": page.cut or len(said) > most}


def main() -> None:
    """Read one page."""
    sys.setrecursionlimit(4_000)
    line, _, body = sys.stdin.buffer.read().partition(b"\n")
    said = json.dumps(read(json.loads(line), body))
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
