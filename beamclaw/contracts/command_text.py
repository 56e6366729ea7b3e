"""What a line of text is as a command: words to be carried out, or work for a shell.

Only words are ever compared with what is allowed, and words are carried out as they are,
without a shell, so that nothing is read twice in two ways. Every doubt is the shell's:
such a line is not wrong, it is asked for each time.
"""

import re
from typing import Final

from beamclaw.values import frozen


@frozen
class Words:
    """The program and its arguments, as they are to be given to it."""

    argv: tuple[str, ...]


@frozen
class NeedsShell:
    """Only a shell can read it; *why* in words."""

    why: str


class NotACommand(Exception):  # noqa: N818 -- a situation
    """The text is no command at all; in words for the model."""


# Outside of quotes.
_MEANS: Final = {
    "\n": "a new line",
    "\r": "a new line",
    "|": "a pipe",
    "&": "&",
    ";": ";",
    "<": "a redirection",
    ">": "a redirection",
    "(": "a parenthesis",
    ")": "a parenthesis",
    "$": "$",
    "`": "a backtick",
    "*": "a pattern of names",
    "?": "a pattern of names",
    "[": "a pattern of names",
    "]": "a pattern of names",
    "{": "a brace",
    "}": "a brace",
    "!": "!",
}
# At the beginning of a word only; a word that is only "=" is plain to all of them, as in
# `test a = b`, and one that goes on is the place of a program to some.
_MEANS_FIRST: Final = {"~": "~", "#": "a comment", "=": "="}
# Within double quotes; a backslash there means different things to different shells.
_MEANS_QUOTED: Final = {"$": "$", "`": "a backtick", "!": "!", "\\": "a backslash"}
_SETS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
# What is no program, but done by the shell itself.
_OF_SHELLS: Final = frozenset(
    """
    . : alias bg bind break builtin caller case cd command compgen complete compopt
    continue coproc declare dirs disown do done elif else enable esac eval exec exit
    export fc fg fi for function getopts hash history if in jobs let local logout mapfile
    popd pushd read readarray readonly return select set shift shopt source suspend then
    time times trap type typeset ulimit umask unalias unset until wait while
    """.split()  # noqa: SIM905 -- read as a list, not as a column
)


def parse(text: str) -> Words | NeedsShell:  # noqa: C901, PLR0912 -- a case per character
    """What *text* is.

    >>> parse("git commit -m 'two words'")
    Words(argv=('git', 'commit', '-m', 'two words'))
    >>> parse("cat report.csv | wc -l")
    NeedsShell(why='a pipe')

    Raises:
        NotACommand: Nothing can be made of it.
    """
    if "\0" in text:
        raise NotACommand("a command cannot have a NUL in it")
    words: list[str] = []
    word: str | None = None
    plain = True  # nothing of the word was quoted
    place = 0
    while place < len(text):
        char = text[place]
        place += 1
        if char in " \t":
            if word is not None:
                words.append(word)
            word, plain = None, True
            continue
        means = _MEANS.get(char)
        alone = char == "=" and text[place : place + 1] in ("", " ", "\t")
        if word is None and not alone:
            means = means or _MEANS_FIRST.get(char)
        if means:
            return NeedsShell(means)
        if char == "=" and not words and plain and _SETS.match(f"{word or ''}="):
            return NeedsShell("a variable that is set for the command")
        word = word or ""
        if char == "\\":
            if place == len(text) or text[place] in "\r\n":
                return NeedsShell("a line that goes on")
            char = text[place]
            plain, place = False, place + 1
        elif char in "'\"":
            end = text.find(char, place)
            if end < 0:
                raise NotACommand(f"a quotation ({char}) has no end")
            inner = text[place:end]
            if char == '"' and (means := _first_of(inner, _MEANS_QUOTED)):
                return NeedsShell(means)
            plain, place, char = False, end + 1, inner
        word += char
    if word is not None:
        words.append(word)
    if not words or not words[0]:
        raise NotACommand("there is no command")
    if words[0] in _OF_SHELLS:
        return NeedsShell(f"{words[0]}, which is no program")
    return Words(tuple(words))


def _first_of(text: str, means: dict[str, str]) -> str:
    return next((means[char] for char in text if char in means), "")


_PLAIN: Final = re.compile(r"=|[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*")


def line(argv: tuple[str, ...]) -> str:
    r"""*argv* as a line that :func:`parse` reads as the same words, where that is possible.

    >>> line(("git", "commit", "-m", "it's"))
    "git commit -m 'it'\\''s'"
    """
    return " ".join(
        word
        if _PLAIN.fullmatch(word) and (place or not _SETS.match(word))
        else "'" + word.replace("'", "'\\''") + "'"
        for place, word in enumerate(argv)
    )
