r"""Regular expressions as a search needs them: read into parts, without those that bite.

What Python's own engine takes for a bad one can be hours, and it holds up the whole
program meanwhile. Here an expression becomes parts that an automaton goes through once
(:mod:`beamclaw.files.automaton`), whatever it is. What no automaton can do is refused in
words: references to groups, and looking ahead or back.
"""

import string
from collections.abc import Callable, Mapping
from typing import Final

from beamclaw.contracts.tools import ToolFailed
from beamclaw.values import frozen

# Repetitions are written out, so their number is limited, and with them the size.
MAX_REPEAT: Final = 1000
# Parentheses within parentheses.
MAX_DEPTH: Final = 50


class BadExpression(ToolFailed):
    """An expression cannot be read, or not be searched for; in words."""


@frozen
class Chars:
    """One character out of many.

    Attributes:
        ranges: First and last of each range.
        tests: Kinds, such as "a letter"; those of them that are true count.
        negated: All others are meant.
    """

    ranges: tuple[tuple[str, str], ...] = ()
    tests: tuple[Callable[[str], bool], ...] = ()
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        """Whether it is one of them."""
        found = any(first <= char <= last for first, last in self.ranges) or any(
            test(char) for test in self.tests
        )
        return found != self.negated


@frozen
class At:
    """A place between characters: ``^``, ``$``, ``b`` (edge of a word) or ``B``."""

    kind: str


@frozen
class Sequence:
    """One part after the other."""

    parts: tuple["Part", ...]


@frozen
class Choice:
    """One of several."""

    parts: tuple["Part", ...]


@frozen
class Repeat:
    """A part *least* times, or more up to *most*; None: any number."""

    part: "Part"
    least: int
    most: int | None


Part = Chars | At | Sequence | Choice | Repeat


def literal(char: str) -> Chars:
    """Just this character."""
    return Chars(((char, char),))


def is_word(char: str) -> bool:
    """Whether it belongs to a word."""
    return char == "_" or char.isalnum()


def _neither(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda char: not test(char)


_KINDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "d": str.isdecimal,
    "w": is_word,
    "s": str.isspace,
    "D": _neither(str.isdecimal),
    "W": _neither(is_word),
    "S": _neither(str.isspace),
}
_POSIX: Final[Mapping[str, Callable[[str], bool]]] = {
    "alpha": str.isalpha,
    "digit": str.isdecimal,
    "alnum": str.isalnum,
    "space": str.isspace,
    "upper": str.isupper,
    "lower": str.islower,
    "punct": lambda char: char in string.punctuation,
    "word": is_word,
    "xdigit": lambda char: char in string.hexdigits,
    "blank": lambda char: char in " \t",
}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX: Final = {"x": 2, "u": 4, "U": 8}
_ANY: Final = Chars((("\n", "\n"),), negated=True)


def read(text: str) -> tuple[Part, bool]:
    """The parts of the expression *text*, and whether it asks to pass over case.

    Raises:
        BadExpression: It is none, or needs what is not searched for.
    """
    ignore_case = text.startswith("(?i)")
    reader = _Reader(text, 4 if ignore_case else 0)
    part = reader.choice(0)
    if reader.next:
        raise reader.wrong("there is a ) too many")
    return part, ignore_case


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at

    @property
    def next(self) -> str:
        return self._text[self._at : self._at + 1]

    def take(self) -> str:
        char = self.next
        if not char:
            raise self.wrong("it ends too early")
        self._at += 1
        return char

    def _took(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def wrong(self, why: str) -> BadExpression:
        return BadExpression(
            f"the pattern {self._text[:200]!r} cannot be used: {why} (character "
            f"{self._at + 1}). Set literal to look for a text as it is."
        )

    # --- parts

    def choice(self, depth: int) -> Part:
        if depth > MAX_DEPTH:
            raise self.wrong("there are too many ( within one another")
        parts = [self._sequence(depth)]
        while self._took("|"):
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self, depth: int) -> Part:
        parts: list[Part] = []
        while self.next and self.next not in "|)":
            parts.append(self._repeated(self._one(depth)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        while True:
            counts = self._counts()
            if counts is None:
                return part
            if self.next == "+":
                raise self.wrong("possessive repetition is not known here")
            self._took("?")  # how much it takes first makes no difference to a search
            part = Repeat(part, *counts)
            if self.next and self.next in "*+?":
                raise self.wrong("there are two repetitions in a row")

    def _counts(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._took(sign):
                return counts
        end = self._text.find("}", self._at)
        if self.next != "{" or end < 0:
            return None
        inside = self._text[self._at + 1 : end]
        least, comma, most = inside.partition(",")
        if not all(each.isascii() and each.isdigit() for each in (least + most,)):
            return None
        self._at = end + 1
        first = int(least or 0)
        last = first if not comma else int(most) if most else None
        if first > MAX_REPEAT or (last or 0) > MAX_REPEAT:
            raise self.wrong(f"nothing is repeated more than {MAX_REPEAT} times")
        if last is not None and last < first:
            raise self.wrong("the repetition has its numbers the wrong way round")
        return first, last

    def _one(self, depth: int) -> Part:
        char = self.take()
        match char:
            case "(":
                return self._group(depth)
            case "[":
                return self._set()
            case ".":
                return _ANY
            case "^" | "$":
                return At(char)
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise self.wrong("there is nothing to repeat")
            case _:
                return literal(char)

    def _group(self, depth: int) -> Part:
        if self._took("?") and not self._took(":"):
            if self._took("P<") or (self.next == "<" and self._named()):
                while self.take() != ">":
                    pass
            else:
                raise self.wrong(
                    "looking ahead or back, references and flags inside are not known "
                    "here"
                )
        part = self.choice(depth + 1)
        if not self._took(")"):
            raise self.wrong("a ( is not closed")
        return part

    def _named(self) -> bool:
        if self._text[self._at + 1 : self._at + 2] in {"=", "!", ""}:
            return False
        return self._took("<")

    def _escape(self) -> Part:
        char = self.take()
        if char in _KINDS:
            return Chars(tests=(_KINDS[char],))
        if char in "bB":
            return At(char)
        if char in "AZz":
            return At("^" if char == "A" else "$")
        return literal(self._escaped(char))

    def _escaped(self, char: str) -> str:
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in _HEX:
            digits = "".join(self.take() for _ in range(_HEX[char]))
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise self.wrong(f"\\{char} needs hexadecimal digits") from None
        if char == "0":
            return "\0"
        if char.isascii() and char.isalnum():
            raise self.wrong(f"\\{char} is not known here")
        return char

    def _set(self) -> Part:
        negated = self._took("^")
        ranges: list[tuple[str, str]] = []
        tests: list[Callable[[str], bool]] = []
        first = True
        while first or self.next != "]":
            first = False
            if self._took("[:"):
                tests.append(self._posix())
                continue
            char = self.take()
            if char == "\\" and self.next in _KINDS:
                tests.append(_KINDS[self.take()])
                continue
            start = self._in_set(char)
            end = start
            if self.next == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self.take()
                end = self._in_set(self.take())
            if end < start:
                raise self.wrong("a range has its ends the wrong way round")
            ranges.append((start, end))
        self.take()
        return Chars(tuple(ranges), tuple(tests), negated)

    def _in_set(self, char: str) -> str:
        if char != "\\":
            return char
        char = self.take()
        return "\b" if char == "b" else self._escaped(char)

    def _posix(self) -> Callable[[str], bool]:
        end = self._text.find(":]", self._at)
        name = self._text[self._at : end] if end >= 0 else ""
        if name not in _POSIX:
            raise self.wrong(f"[:{name[:20]}:] is not known here")
        self._at = end + 2
        return _POSIX[name]


# --- a text that has to be there


def needed(part: Part) -> str:
    """The longest text that everything that fits *part* has in it; perhaps empty."""
    best = run = ""
    for each in part.parts if isinstance(part, Sequence) else (part,):
        char = _single(each)
        if char is not None:
            run += char
            continue
        best, run = max(best, run, key=len), ""
        if isinstance(each, Repeat) and each.least > 0:
            best = max(best, needed(each.part), key=len)
        elif isinstance(each, Sequence):
            best = max(best, needed(each), key=len)
    return max(best, run, key=len)


def _single(part: Part) -> str | None:
    """The one character that fits."""
    if isinstance(part, Chars) and len(part.ranges) == 1:
        first, last = part.ranges[0]
        if first == last and not part.tests and not part.negated:
            return first
    return None
