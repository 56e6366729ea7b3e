"""The prompt of ``beamclaw shell``: history, completion, colours."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import Lexer

from beamclaw.cli.live_table import BY_NAME, OWN, Left, split
from beamclaw.cli.output import tell

HISTORY: Final = "shell-history"
GREETING: Final = "help lists the commands; Ctrl-D leaves"
INTERRUPTED: Final = 130


class Runs(Protocol):
    """What carries out commands, as far as a prompt needs it."""

    def run(self, line: str) -> bool:
        """Do what *line* says; whether it was done."""
        ...

    def names(self, typed: str) -> list[str]:
        """Names of processes that begin so."""
        ...


class Words(Completer):
    """Commands first; then options, and names of processes, as the node has them."""

    def __init__(self, names: Callable[[str], list[str]]) -> None:
        self._names = names

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What may stand where the cursor is."""
        del complete_event
        before = document.text_before_cursor
        typed = before.rpartition(" ")[2]
        for word in self.candidates(before):
            if word.startswith(typed):
                yield Completion(word, start_position=-len(typed))

    def candidates(self, before: str) -> list[str]:
        """Words that may follow, or finish, what stands *before* the cursor."""
        words = before.split(" ")
        if len(words) == 1:
            return [*BY_NAME, *OWN]
        if words[0] == "help":
            return list(BY_NAME)
        command = BY_NAME.get(words[0])
        if command is None:
            return []
        if words[-1].startswith("-"):
            return [each.name for each in command.takes if each.name[0] == "-"]
        place = sum(bool(word) and word[0] != "-" for word in words[1:-1])
        places = [each for each in command.takes if each.name[0] != "-"]
        if place < len(places) and places[place].kind == "process":
            return self._names(words[-1])
        return []


class Colours(Lexer):
    """A known command stands out, and so do options and quotes."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The pieces of a line, each with its style."""
        lines = document.lines

        def line(number: int) -> StyleAndTextTuples:
            return styled(lines[number])

        return line


def styled(line: str) -> StyleAndTextTuples:
    """*line* in pieces with their styles."""
    name, blank, rest = line.partition(" ")
    known = name in BY_NAME or name in OWN
    pieces: StyleAndTextTuples = [("bold ansigreen" if known else "ansired", name)]
    for at, word in enumerate(f"{blank}{rest}".split(" ")):
        style = "ansicyan" if word.startswith("--") else ""
        style = "ansiyellow" if word[:1] in ("'", '"') else style
        pieces.append((style, f" {word}" if at else word))
    return pieces


def history(data: Path) -> History:
    """That of the data folder, for its owner only: expressions may hold anything."""
    path = data / HISTORY
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
    except OSError as error:
        tell(f"no history is kept: {error.strerror or error}")
        return InMemoryHistory()
    return FileHistory(path)


def converse(shell: Runs, data: Path) -> int:
    """Ask for commands until the person leaves; the exit code."""
    prompt: PromptSession[str] = PromptSession(
        "beamclaw> ",
        history=history(data),
        completer=Words(shell.names),
        complete_while_typing=False,
        lexer=Colours(),
    )
    tell(GREETING)
    while True:
        try:
            lines = split(prompt.prompt())
        except EOFError:
            return 0
        except KeyboardInterrupt:
            tell("(Ctrl-D leaves)")
            continue
        try:
            for line in lines:
                shell.run(line)
        except Left:
            return 0
        except KeyboardInterrupt:
            tell("(stopped)")
