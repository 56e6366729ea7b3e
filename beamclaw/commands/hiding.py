"""Keeps secrets that a command was given out of what is kept of its output.

No wall against an agent that wants them: a command can write them in any other way. It is
against those that come along by accident, in a list of variables or the trace of a shell.
"""

from collections.abc import Iterable

from beamclaw.contracts.secret import REDACTED, Secret, hideable
from beamclaw.contracts.spellings import any_of, spellings


class Hiding:
    """Takes secrets out of a text that comes in pieces."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        values = hideable(secrets)
        self._pattern = any_of(values)
        written = {each for value in values for each in spellings(value)}
        self._values = sorted(written, key=lambda value: -len(value))
        # What could be the beginning of one: shown when it is known not to be.
        self._held = ""

    def clean(self, text: str, *, last: bool = False) -> str:
        """What can be shown now; *last*: no more comes."""
        if self._pattern is None:
            return text
        text = self._held + text
        cut = len(text) if last else self._sure(text)
        found: list[str] = []
        place = 0
        for match in self._pattern.finditer(text):
            if match.start() >= cut:
                break
            found += (text[place : match.start()], REDACTED)
            place = match.end()
        cut = max(cut, place)
        found.append(text[place:cut])
        self._held = text[cut:]
        return "".join(found)

    def _sure(self, text: str) -> int:
        """Up to which character no value begins that is not there as a whole."""
        for place in range(max(0, len(text) - len(self._values[0]) + 1), len(text)):
            rest = text[place:]
            if any(
                len(rest) < len(each) and each.startswith(rest) for each in self._values
            ):
                return place
        return len(text)
