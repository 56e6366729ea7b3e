"""Writes an answer to standard output, and beside it what is waited for."""

import shutil
import sys
import unicodedata

from beamclaw.cli.output import harmless, is_terminal, tell

AGAIN = "--- the answer begins again ---"


def width_of(text: str) -> int:
    """Columns that *text*, of one line, takes."""
    return sum(
        0
        if unicodedata.combining(char)
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def rows_of(text: str, columns: int) -> int:
    """Rows that the cursor went down while *text* was written from the left edge."""
    lines = text.expandtabs().split("\n")
    wraps = sum(max(0, width_of(line) - 1) // columns for line in lines)
    return len(lines) - 1 + wraps


class Screen:
    """Standard output and error, as far as an answer needs them."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._terminal = is_terminal(sys.stdout)
        self._notes = is_terminal(sys.stderr)
        self._note = ""
        self._line = ""  # what stands in the present line, by us
        self._shown = ""  # all of this answer's present attempt, and lines beside it

    def begin(self) -> None:
        """Another answer begins; the screen above is finished."""
        self._line = self._shown = ""

    def text(self, text: str) -> None:
        """More of the answer."""
        self.note("")
        shown = harmless(text) if self._terminal else text
        self._write(shown)
        self._shown += shown
        self._line = (self._line + shown).rpartition("\n")[2]

    def again(self) -> None:
        """What was shown is void."""
        self.note("")
        size = shutil.get_terminal_size()
        rows = rows_of(self._shown, size.columns)
        if self._terminal and rows < size.lines - 1:
            up = f"\x1b[{rows}A" if rows else ""
            self._write(f"{up}\r\x1b[J")
        else:
            self.end_line()
            self._write(f"{AGAIN}\n")
        self._line = self._shown = ""

    def end_line(self) -> None:
        """Go to the beginning of a line."""
        self.note("")
        if self._line:
            self._write("\n")
            self._shown += "\n"
            self._line = ""

    def note(self, words: str) -> None:
        """Show *words* behind the text, on a terminal, until the next change."""
        if words == self._note or not self._notes:
            return
        # Back to the place that was saved, not by a number of columns: the terminal may
        # have written ^C behind the note.
        if self._note:
            sys.stderr.write("\x1b8\x1b[K")
        self._note = ""
        if words and self._terminal:
            columns = shutil.get_terminal_size().columns
            shown = f"{' ' if self._line else ''}[{harmless(words)}]"
            # It can only be taken back while it is all in one row, ^C included.
            room = columns - 3 - width_of(self._line.expandtabs()) % columns
            if width_of(shown) <= room:
                sys.stderr.write(f"\x1b7{shown}")
                self._note = words
        sys.stderr.flush()

    def say(self, words: str) -> None:
        """A line for the person, beside the answer."""
        self.end_line()
        tell(words)
        if self._notes:
            self._shown += f"{words}\n"

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
        except UnicodeEncodeError:
            encoding = self._out.encoding or "ascii"
            self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()
