"""Where the node, an agent or a turn stops by itself."""

from typing import Annotated, Literal

import attrs

from beamclaw.config.schema.fields import Count, Range, Seconds, Share, Wait, key
from beamclaw.values import frozen


@frozen(kw_only=True)
class TurnLimitsConfig:
    """How much one turn may do before it is ended, in words."""

    model_calls: Count = key(100, "Answers that are asked of a model.")
    tool_calls: Count = key(500, "Tool calls.")
    seconds: Seconds = key(
        21_600.0, "Seconds that it may take, not counting waits for a person."
    )
    tokens: Count = key(10_000_000, "Tokens that models read and write in it.")
    failures: Count = key(20, "Calls of a model that fail and are followed by another.")
    repeats: Annotated[int, Range(2, 32)] = key(
        8,
        "Answers of the model with the same tool calls and the same results: then it goes\n"
        "round in circles.",
    )
    begins: Count = key(
        3,
        "Times that a tool call is begun again after deaths, where that does no harm.",
    )
    wait_seconds: Seconds = key(
        604_800.0, "Seconds that a person has to answer a question of the turn."
    )
    clear_seconds: Seconds = key(
        30.0, "Seconds that a tool may take to say whether a person has to be asked."
    )
    cost: Wait | None = key(
        None, "Dollars that its calls of models may cost, as for a day."
    )


@frozen(kw_only=True)
class SubagentLimitsConfig:
    """How many agents may work for one another, and for how long by themselves."""

    depth: Annotated[int, Range(0, 5)] = key(
        5, "Levels of sub-agents below a conversation; 0: there are none."
    )
    children: Count = key(5, "Sub-agents of one session at work at once.")
    concurrent: Count = key(8, "Sub-agents of all sessions at work at once.")
    per_turn: Count = key(50, "Sub-agents that one turn may start altogether.")
    rounds: Count = key(
        20,
        "Turns that agents may go on for by themselves, each begun by what a sub-agent\n"
        "has announced, before a person has to say something.",
    )
    share: Annotated[float, Range(0, 1, above=True)] = key(
        0.5,
        "Part of what is left of a turn's limits that a sub-agent gets, if the agent asks\n"
        "for nothing else. What it does not use comes back.",
    )


@frozen(kw_only=True)
class BudgetConfig:
    """How much may be spent on models, and how long. What is not set has no limit."""

    tokens: Count | None = key(None, "Tokens read and written.")
    cost: Wait | None = key(
        None,
        "Dollars, by the prices of the models.",
    )
    calls: Count | None = key(None, "Calls of a model.")
    seconds: Seconds | None = key(
        None,
        "Seconds that turns work, those of sub-agents on their own; waits for a person\n"
        "do not count.",
    )
    unpriced: Literal["refuse", "free"] = key(
        "refuse",
        "What to do, where dollars are limited, with a model whose price is not known:\n"
        "refuse: it is not asked; free: it counts as costing nothing.",
    )


@frozen(kw_only=True)
class LimitsConfig:
    """Where the node stops by itself."""

    day: BudgetConfig = attrs.field(
        factory=lambda: BudgetConfig(cost=50.0, unpriced="free"),
        metadata={
            "doc": "What all agents together may spend on models in a day (UTC). What\n"
            "you write here takes the place of all of it: with dollars of your own, a\n"
            "model whose price is not known is refused, unless you say otherwise."
        },
    )
    agent: BudgetConfig = attrs.field(
        factory=BudgetConfig,
        metadata={
            "doc": "What each agent may spend in a day. What is not set has no\nlimit."
        },
    )
    session: BudgetConfig = attrs.field(
        factory=BudgetConfig,
        metadata={
            "doc": "The same for each conversation with its sub-agents, for ever."
        },
    )
    warn_at: Share = key(
        0.8,
        "The part of such a limit, or of one of limits.turn, that is worth a warning in\n"
        "the log, once for each.",
    )
    turn: TurnLimitsConfig = attrs.field(factory=TurnLimitsConfig)
    subagents: SubagentLimitsConfig = attrs.field(factory=SubagentLimitsConfig)


@frozen(kw_only=True)
class AgentBudgetConfig:
    """In place of the node's limits, for one agent; null: as there."""

    tokens: Count | None = key(None, "Tokens read and written.")
    cost: Wait | None = key(None, "Dollars.")
    calls: Count | None = key(None, "Calls of a model.")
    seconds: Seconds | None = key(None, "Seconds that turns work.")


@frozen(kw_only=True)
class AgentTurnConfig:
    """In place of limits.turn, for one agent; null: as there."""

    model_calls: Count | None = key(None, "Answers that are asked of a model.")
    tool_calls: Count | None = key(None, "Tool calls.")
    seconds: Seconds | None = key(None, "Seconds, not counting waits for a person.")
    tokens: Count | None = key(None, "Tokens that models read and write in it.")
    cost: Wait | None = key(None, "Dollars.")


@frozen(kw_only=True)
class AgentLimitsConfig:
    """Where this agent stops by itself, if not where the node says."""

    day: AgentBudgetConfig = attrs.field(
        factory=AgentBudgetConfig, metadata={"doc": "In place of limits.agent."}
    )
    session: AgentBudgetConfig = attrs.field(
        factory=AgentBudgetConfig, metadata={"doc": "In place of limits.session."}
    )
    turn: AgentTurnConfig = attrs.field(
        factory=AgentTurnConfig, metadata={"doc": "In place of limits.turn."}
    )
