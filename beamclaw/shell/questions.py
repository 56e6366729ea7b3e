"""Questions of turns to a person: which there are, and the answers to them."""

from beamclaw.contracts import names, waits
from beamclaw.contracts.ledger_errors import AnsweredAlready, NoSuchWait
from beamclaw.contracts.ledger_rows import Verdict
from beamclaw.shell.request import Failed, Node, Params, Send, in_words, text
from beamclaw.shell.show import show_value


async def questions(node: Node, params: Params, send: Send) -> object:
    """The questions that wait for a person, oldest first."""
    del params, send
    with in_words():
        found = await waits.read_waits(node.bus, names.DEFAULT_TENANT)
    return [show_value(row) for row in found]


async def answer(node: Node, params: Params, send: Send) -> object:
    """Answer the question ``wait_id`` of ``session_key``: ``allow`` or ``deny``.

    ``by`` says who answers, ``text`` what else there is to say. The first answer
    counts; a later one fails with the code ``answered``.
    """
    del send
    given = waits.Answer(
        wait_id=text(params, "wait_id"),
        verdict=_verdict(text(params, "verdict")),
        by=text(params, "by"),
        text=text(params, "text", ""),
    )
    key = text(params, "session_key")
    with in_words():
        try:
            await waits.answer(node.bus, names.DEFAULT_TENANT, key, given)
        except AnsweredAlready as error:
            raise Failed("answered", str(error)) from None
        except NoSuchWait as error:
            raise Failed("params", str(error)) from None
    return True


def _verdict(word: str) -> Verdict:
    if word == "allow":
        return "allow"
    if word == "deny":
        return "deny"
    raise Failed("params", f"verdict is allow or deny, not {word[:20]!r}")
