"""A question to a person, in words, and what the person says to it: without I/O.

What stands in a question comes from a model, or from whoever it has read. So nothing of
it reaches a terminal as it is: what cannot be seen is written out, everything stands on
one line, and our own words are never mixed with theirs.
"""

import shlex
from collections.abc import Iterator
from typing import Final, Literal

from beamclaw.cli.output import Row
from beamclaw.cli.status import duration
from beamclaw.values import frozen

HIDDEN: Final = "it has characters in it that cannot be seen; they are written as \\x.."


def visible(text: str) -> str:
    """*text* on one line, with everything written out that a reader would not see.

    Control characters, marks that turn the direction of writing round, characters
    without width, and all white space but the blank.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def lines(row: Row) -> Iterator[str]:
    """A question in full."""
    yield f"{visible(row['question'])}"
    facts = {
        **row["details"],
        "agent": f"{row['agent'] or 'main'}, in {row['session_key']}",
        "expires": left(row),
    }
    grant = row.get("grant")
    if grant is not None:
        facts["always"] = f"allows for good: {grant['words'] or grant['pattern']}"
    width = max(len(visible(name)) for name in facts)
    for name, value in facts.items():
        yield f"  {visible(name):{width}}  {visible(value)}"
    if any(not value.isprintable() for value in (row["question"], *facts.values())):
        yield f"  ({HIDDEN})"


def left(row: Row) -> str:
    """How long there was to answer when the node was asked."""
    seconds = row["left"]
    return f"in {duration(seconds)}" if seconds > 0 else "now"


def short(row: Row, width: int = 60) -> str:
    """A question on one line."""
    said = visible(row["question"])
    if len(said) > width:
        said = f"{said[: width - 1]}…"
    where = visible(row["session_key"])
    return f"{visible(row['wait_id'])}  {said}  ({where}, expires {left(row)})"


def name(row: Row) -> str:
    """The question's id, as it is typed in a shell: a part of it is the provider's."""
    return shlex.quote(visible(row["wait_id"]))


# --- what the person says


@frozen(kw_only=True)
class Reply:
    """An answer; *text* is why, for the model."""

    verdict: Literal["allow", "deny"]
    always: bool = False
    text: str = ""


def prompt(row: Row) -> str:
    """What can be said."""
    always = ", a = always" if row.get("grant") is not None else ""
    return f"allow it? y = once{always}, n = no (n WHY tells why): "


def reply(typed: str, *, always: bool) -> Reply | None:
    """What was *typed* means; None: nothing. *always*: it can be allowed for good.

    Only whole words count: what was meant as a message agrees to nothing.
    """
    word, _, rest = typed.strip().partition(" ")
    match word.lower():
        case "y" | "yes" if not rest:
            return Reply(verdict="allow")
        case "a" | "always" if always and not rest:
            return Reply(verdict="allow", always=True)
        case "n" | "no":
            return Reply(verdict="deny", text=rest.strip())
        case _:
            return None


def over(verdict: str | None, by: str) -> str:
    """What has become of a question that was asked here."""
    match verdict:
        case "allow":
            return f"[allowed by {visible(by)}]"
        case "deny":
            return f"[refused by {visible(by)}]"
        case "expired":
            return "[nobody answered in time]"
        case _:
            return "[answered elsewhere, or not wanted any more]"
