"""How a text stands inside of another one: of JSON, an address, a page, a shell, base64.

Whoever keeps a secret out of sight looks for all of them: a provider repeats the key in a
body of its own making, a shell quotes what it shows. One of letters and digits alone is
written the same in nearly all of them, so that little is looked for.
"""

import base64
import html
import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from itertools import groupby
from os.path import commonprefix
from typing import Final
from urllib.parse import quote, quote_plus

# Of shorter ones base64 makes what may stand anywhere by chance.
SHORTEST_ENCODED: Final = 8
# What JavaScript leaves as it is (encodeURIComponent), and what a whole address has.
_COMPONENT: Final = "!~*'()"
_ADDRESS: Final = "!~*'();,/?:@&=+$#"
_PERCENT: Final = re.compile("%[0-9A-F]{2}")
_IN_A_SHELL: Final = re.compile(r'(["\\$`])')
_BY_ECHO: Final = re.compile(r"\\(?:(0[0-7]{0,3}|[1-7][0-7]{0,2})|([abfnrtv\\]))")
_ECHOED: Final = dict(zip("abfnrtv\\", "\a\b\f\n\r\t\v\\", strict=True))


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_for_pages(text: str) -> str:
    """As programs write JSON that a page may hold; Go does so always."""
    escaped = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"))
    found = _json(text)
    for char, code in escaped:
        found = found.replace(char, code)
    return found


def _by_numbers(text: str) -> str:
    """A page's text with numbers for quotes, as some templates write it."""
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _lower(text: str) -> str:
    return _PERCENT.sub(lambda found: found[0].lower(), quote(text, safe=""))


def _echoed(text: str) -> str:
    """As the ``echo`` of a plain shell shows it, which reads what a backslash begins."""

    def read(found: re.Match[str]) -> str:
        octal, letter = found.groups()
        return _ECHOED[letter] if letter else chr(int(octal, 8) & 0xFF)

    return _BY_ECHO.sub(read, text)


# Once more inside of JSON or a page each of them may stand, too.
_WRITERS: Final[tuple[Callable[[str], str], ...]] = (
    _json,
    _json_for_pages,
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: _json(text).replace("/", "\\/"),
    html.escape,
    lambda text: html.escape(text, quote=False),
    _by_numbers,
    lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    lambda text: repr(text)[1:-1],
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    _lower,
    lambda text: quote(text, safe=_COMPONENT),
    lambda text: quote(text, safe=_ADDRESS),
    _echoed,
    lambda text: _IN_A_SHELL.sub(r"\\\1", text),
    lambda text: text.replace("'", "'\\''"),
    lambda text: text.replace("'", "'\"'\"'"),
    lambda text: text.replace("'", "''"),
)
_AROUND: Final = (_json, _json_for_pages, html.escape, _by_numbers)


@lru_cache(maxsize=64)
def any_of(texts: frozenset[str]) -> re.Pattern[str] | None:
    """Finds each of *texts* in all of its spellings, the longest there is; None: no text.

    What several begin with is looked for once: text is looked through as fast for many
    as for a few.
    """
    written = {each for text in texts for each in spellings(text)}
    return re.compile(_pattern(written)) if written else None


def _pattern(words: Collection[str]) -> str:
    first = commonprefix([*words])  # noqa: RUF071 -- of texts, not of paths
    rests = sorted(word[len(first) :] for word in words)
    groups = [[*group] for char, group in groupby(rests, lambda rest: rest[:1]) if char]
    if not groups:
        return re.escape(first)
    inner = "|".join(map(_pattern, groups))
    return f"{re.escape(first)}(?:{inner}){'' if rests[0] else '?'}"


@lru_cache(maxsize=256)
def spellings(text: str) -> frozenset[str]:
    """All that it is looked for as, itself among them."""
    # What is no Unicode has no bytes to be encoded.
    sound = text.encode("utf-8", "replace").decode()
    once = {sound, *(write(sound) for write in _WRITERS)}
    twice = {write(each) for each in once for write in _AROUND}
    return frozenset({text, *once, *twice, *_encoded(sound)})


def _encoded(text: str) -> Iterator[str]:
    """In base64, wherever it begins in what is encoded; both alphabets.

    Less the characters at its ends that are made of what stands beside it as well.
    """
    raw = text.encode()
    if len(raw) < SHORTEST_ENCODED:
        return
    for before in range(3):
        made = base64.b64encode(bytes(before) + raw).decode()
        first, last = (before * 8 + 5) // 6, (before + len(raw)) * 8 // 6
        yield made[first:last]
        yield made[first:last].replace("+", "-").replace("/", "_")
