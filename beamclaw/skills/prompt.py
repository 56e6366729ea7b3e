"""What an agent is told before a conversation, cut to size. Decisions without I/O."""

from collections.abc import Iterable, Sequence
from typing import Final

from beamclaw.contracts.skills import Scope
from beamclaw.values import frozen

# Of what a file may take: its beginning, its end. The rest is for the words between.
HEAD, TAIL = 0.7, 0.2
# Below this a piece of a file is of no use to anybody.
LEAST: Final = 64


@frozen
class FileRule:
    """A file at the top of a workspace.

    Attributes:
        required: That it is missing is told.
        scopes: In which conversations it is told.
    """

    name: str
    required: bool = False
    scopes: tuple[Scope, ...] = ("main", "chat", "subagent")


# In this order they are told.
FILES: Final = (
    FileRule("AGENTS.md", required=True),
    FileRule("SOUL.md", required=True),
    FileRule("TOOLS.md"),
    FileRule("IDENTITY.md", required=True),
    FileRule("USER.md", required=True),
    FileRule("BOOTSTRAP.md", scopes=("main", "chat")),
    # What it has noted of its person is not for others who write to it.
    FileRule("MEMORY.md", scopes=("main",)),
)


@frozen
class Content:
    """What stands in a file.

    Attributes:
        text: None: there is no such file.
        chars: How many characters it has, if not all of them are in *text*.
        trouble: Why it cannot be told, in words; empty: it can.
    """

    name: str
    text: str | None
    chars: int = 0
    trouble: str = ""


@frozen
class Part:
    """One part of what an agent is told, and its size.

    Attributes:
        chars: Characters of it that are told; *of*: that there are.
    """

    name: str
    chars: int
    of: int


@frozen
class Caps:
    """Characters: of a file, of USER.md, of all files together."""

    file: int
    user: int
    total: int

    def of(self, name: str) -> int:
        """What the file *name* may take."""
        return self.user if name == "USER.md" else self.file


def cut(text: str, most: int, name: str) -> str:
    """*text*, in *most* characters: its beginning and its end, and words between."""
    if len(text) <= most:
        return text
    head, tail = int(most * HEAD), int(most * TAIL)
    left = len(text) - head - tail
    words = f"\n[... {left} characters of {name} are left out; read it for all ...]\n"
    return f"{text[:head]}{words}{text[len(text) - tail :]}"


def told_files(
    contents: Iterable[Content], scope: Scope, caps: Caps, folder: str, *, strict: bool
) -> tuple[list[str], list[Part]]:
    """The files' sections, and how large each is.

    Args:
        contents: By :data:`FILES`, in that order.
        scope: For what sort of conversation.
        caps: Sizes.
        folder: The workspace.
        strict: Whether a required file that is missing is told.
    """
    sections: list[str] = []
    parts: list[Part] = []
    left = caps.total
    rules = {rule.name: rule for rule in FILES}
    for content in contents:
        rule, name = rules[content.name], content.name
        if scope not in rule.scopes:
            continue
        if content.trouble:
            sections.append(f"## {name}\n\n[It cannot be read: {content.trouble}]")
            parts.append(Part(name, 0, content.chars))
        elif content.text is None:
            if rule.required and strict:
                sections.append(f"## {name}\n\n[MISSING] Expected at: {folder}/{name}")
                parts.append(Part(name, 0, 0))
        elif text := content.text.strip():
            room = min(caps.of(name), left)
            shown = cut(text, room, name) if room >= LEAST else ""
            left -= len(shown)
            sections.append(f"## {name}\n\n{shown or _left_out(name, caps.total)}")
            parts.append(Part(name, len(shown), max(content.chars, len(text))))
    return sections, parts


def _left_out(name: str, total: int) -> str:
    return f"[Left out: the files before it take the {total} characters; read {name}.]"


_FILES_INTRO: Final = """\
# Your workspace

You work in {folder}; paths that do not begin with a / begin there. The files below stand
at its top and were read for this turn. Where SOUL.md says how to be, be that. To change
what you are told next time, change the files."""


def assemble(folder: str, skills: str, sections: Sequence[str]) -> str:
    """All parts, those that change least first."""
    files = "\n\n".join((_FILES_INTRO.format(folder=folder), *sections))
    return "\n\n".join(part for part in (skills, files) if part)
