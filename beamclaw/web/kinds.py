"""What a response is, by what its server says and by how it begins."""

from typing import Final, Literal

import attrs

from beamclaw.values import frozen
from beamclaw.web.targets import Refused

Form = Literal["html", "text", "unsaid"]

_TEXTS: Final = frozenset(
    {
        "application/atom+xml",
        "application/ecmascript",
        "application/javascript",
        "application/json",
        "application/rss+xml",
        "application/sql",
        "application/toml",
        "application/x-httpd-php",
        "application/x-javascript",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)
_WORDS: Final = {
    "application/pdf": "a PDF",
    "application/zip": "an archive",
    "application/gzip": "an archive",
    "application/x-tar": "an archive",
}
_FAMILIES: Final = {
    "image": "a picture",
    "audio": "sound",
    "video": "a film",
    "font": "a typeface",
}
# Servers that do not know say so, or nothing.
_UNSAID: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
# Files that are texts by none of their names begin with one of these, or have a NUL.
_MAGIC: Final = (
    b"%PDF-",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"PK\x03\x04",
    b"\x1f\x8b",
)
_BEGINNING: Final = 1024


@frozen
class Kind:
    """How a body is read.

    Attributes:
        form: As what; *unsaid* only as long as nobody has looked at it.
        name: Its media type, for people.
        charset: As the server names it; empty: it does not.
    """

    form: Form
    name: str
    charset: str = ""

    def seen_in(self, body: bytes) -> "Kind":
        """The kind of *body*, if the server did not say.

        Raises:
            Refused: It is no text.
        """
        beginning = body[:_BEGINNING]
        if self.form != "unsaid":
            return self
        wide = beginning.startswith((b"\xff\xfe", b"\xfe\xff"))
        if beginning.startswith(_MAGIC) or (b"\0" in beginning and not wide):
            raise Refused(f"it is no text ({self.name or 'nobody says what'})")
        html = beginning.lstrip().lower().startswith((b"<!doctype html", b"<html"))
        return attrs.evolve(self, form="html" if html else "text")


def kind_of(content_type: str) -> Kind:
    """What the header says.

    Raises:
        Refused: It is nothing that could be read as a text.
    """
    said, *parameters = (part.strip() for part in content_type.split(";"))
    name = said.lower()
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip("\"'").lower()
    if name in _UNSAID:
        return Kind("unsaid", name, charset)
    if name in {"text/html", "application/xhtml+xml"}:
        return Kind("html", name, charset)
    family = name.partition("/")[0]
    if family == "text" or name in _TEXTS or name.endswith(("+json", "+xml")):
        return Kind("text", name, charset)
    words = _WORDS.get(name) or _FAMILIES.get(family)
    raise Refused(
        f"it is {words or 'no text'} ({name[:80]}), and only pages and texts are read"
    )
