"""The limits of one turn."""

from beamclaw.contracts.budgets import Cap
from beamclaw.values import frozen


@frozen(kw_only=True)
class TurnLimits:
    """How much one turn may do before it is ended in words.

    Attributes:
        model_calls: Answers of a model.
        tool_calls: Tool calls, those that were refused included.
        seconds: Time from its start, without that in which a person was asked.
        tokens: Tokens read and written by the model altogether.
        failures: Model calls that failed and were followed by another.
        repeats: Answers of the model with the same tool calls, by their arguments, and
            the same results.
        begins: How often one tool call is begun again after a death of the node, if its
            tool allows that at all.
        wait_seconds: Time that a person has to answer a question.
        clear_seconds: Time that a tool has to say whether a person has to be asked.
        short: The cap that leaves no more *seconds* than these; None: they are the
            turn's own.
        cost: Millionths of a dollar that its calls of models may cost; None: no limit.
    """

    model_calls: int
    tool_calls: int
    seconds: float
    tokens: int
    failures: int
    repeats: int
    begins: int
    wait_seconds: float
    cost: int | None = None
    clear_seconds: float = 30.0
    short: Cap | None = None
