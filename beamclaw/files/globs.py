"""Names of files by pattern: ``*.py``, ``src/**/*.ts``, ``{a,b}.txt``, ``[a-c]?``."""

import re
from typing import Final

from beamclaw.files.automaton import Automaton
from beamclaw.files.expression import BadExpression

_SET = re.compile(r"\[(!?)(\]?[^\]]*)\]")
_PLAIN: Final = {"*": "[^/]*", "?": "[^/]"}


class Glob:
    """Which paths below a folder fit a pattern.

    One without ``/`` is about names, wherever they are; one with it is about the whole
    path. ``*`` and ``?`` stay in one name, ``**`` goes through folders.

    Args:
        text: The pattern.

    Raises:
        BadExpression: It cannot be read.
    """

    def __init__(self, text: str) -> None:
        pattern = text.removeprefix("./")
        self._by_name = "/" not in pattern
        self._fits = Automaton(_expression(pattern.lstrip("/")), whole=True)

    def fits(self, names: tuple[str, ...]) -> bool:
        """Whether the path of *names* fits."""
        return self._fits.search(names[-1] if self._by_name else "/".join(names))


def _expression(text: str) -> str:
    made: list[str] = []
    at, depth = 0, 0
    while at < len(text):
        char = text[at]
        found = _SET.match(text, at)
        if text.startswith("**/", at):
            made.append("(?:.*/)?")
            at += 3
        elif text.startswith("**", at):
            made.append(".*")
            at += 2
        elif char in _PLAIN:
            made.append(_PLAIN[char])
            at += 1
        elif found:
            inside = found[2].replace("\\", r"\\").replace("[", r"\[")
            made.append(f"[{'^' if found[1] else ''}{inside}]")
            at = found.end()
        elif char == "{" and "}" in text[at:]:
            made.append("(?:")
            depth += 1
            at += 1
        elif char in ",}" and depth:
            made.append("|" if char == "," else ")")
            depth -= char == "}"
            at += 1
        else:
            made.append(re.escape(char) if char.isascii() else char)
            at += 1
    if depth:
        raise BadExpression(f"the pattern {text!r} has a {{ that is not closed")
    return "".join(made)
