"""From events to figures: which event is counted where. Pure.

Nothing here happens per word of an answer: events are emitted per message, call and turn.
"""

from collections.abc import Callable, Iterator, Mapping

import attrs

import supervision
from beamclaw.contracts import names, news, providers, sessions
from beamclaw.contracts.crashes import EVENT as CRASH
from beamclaw.telemetry.contract import EVENTS
from beamclaw.telemetry.metrics.families import OTHER, Family, Labels

Take = Callable[[Mapping[str, float], Mapping[str, object]], None]


@attrs.define
class Counting:
    """The families that events fill: *most* series each, *scrub* takes secrets out."""

    most: int = 200
    scrub: Callable[[str], str] = str
    families: list[Family] = attrs.field(init=False, factory=list[Family])
    _takes: dict[str, Take] = attrs.field(init=False, factory=dict[str, Take])
    _events: Family = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._events = self._counter(
            "beamclaw_events_total", "Events that have happened, by name.", "event"
        )
        self._messages()
        self._turns()
        self._models()
        self._failures()
        self._tools()
        self._warnings()
        self._gateway()
        self._processes()

    def take(self, event: supervision.Event) -> None:
        """Count *event*."""
        name = event.name
        self._events.add(name if name in EVENTS else OTHER)
        take = self._takes.get(name)
        if take is not None:
            take(event.measurements, event.metadata)

    def text(self) -> Iterator[str]:
        """The lines of all families."""
        for family in self.families:
            yield from family.text()

    # --- families

    def _family(self, kind: str, name: str, doc: str, labels: Labels) -> Family:
        # Names of events are the contract's, and have room.
        most = max(self.most, len(EVENTS) + 1) if labels == ("event",) else self.most
        family = Family(name, kind, doc, labels, most=most, scrub=self.scrub)
        self.families.append(family)
        return family

    def _counter(self, name: str, doc: str, *labels: str) -> Family:
        return self._family("counter", name, doc, labels)

    def _histogram(self, name: str, doc: str, *labels: str) -> Family:
        return self._family("histogram", name, doc, labels)

    # --- what fills them

    def _messages(self) -> None:
        count = self._counter(
            "beamclaw_messages_total", "Messages that were taken.", "tenant", "source"
        )
        seconds = self._histogram(
            "beamclaw_message_accept_seconds",
            "From handing a message in to its being durable.",
            "tenant",
        )

        def accepted(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            if not m["duplicate"]:
                count.add(m["tenant"], m["source"])
            seconds.observe(n["seconds"], m["tenant"])

        self._takes[sessions.ACCEPTED] = accepted

    def _turns(self) -> None:
        count = self._counter(
            "beamclaw_turns_total",
            "Turns that are over.",
            "tenant",
            "agent",
            "outcome",
        )
        resumed = self._counter(
            "beamclaw_turns_resumed_total",
            "Times that a turn went on after a death.",
            "tenant",
        )
        seconds = self._histogram(
            "beamclaw_turn_seconds", "From a turn's beginning to its end.", "tenant"
        )

        def ended(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            count.add(m["tenant"], m["agent"], m["outcome"])
            seconds.observe(n["seconds"], m["tenant"])

        def started(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            if n["epoch"] > 1:
                resumed.add(m["tenant"])

        self._takes[news.TURN_STARTED] = started
        self._takes[news.TURN_ENDED] = ended

    def _models(self) -> None:
        target = ("tenant", "provider", "model")
        calls = self._counter(
            "beamclaw_model_calls_total",
            "Calls of models that are over.",
            *target,
            "outcome",
        )
        used = self._counter(
            "beamclaw_model_tokens_total",
            "Tokens that calls took: input, output, and cached and stored, which are input, too.",
            *target,
            "kind",
        )
        cost = self._counter(
            "beamclaw_model_cost_dollars_total", "What calls cost.", *target
        )
        waited = self._histogram(
            "beamclaw_model_wait_seconds",
            "Waiting for a provider's permit.",
            "provider",
        )
        first = self._histogram(
            "beamclaw_model_first_seconds",
            "From the permit to the first of the answer, of calls that succeeded.",
            "provider",
        )
        seconds = self._histogram(
            "beamclaw_model_call_seconds", "From the permit to the end.", "provider"
        )

        def called(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            where = (m["tenant"], m["provider"], m["model"])
            calls.add(*where, m["outcome"])
            for kind in ("input", "output", "cached", "stored"):
                used.add(*where, kind, by=n[kind])
            cost.add(*where, by=n["cost"])
            waited.observe(n["waited"], m["provider"])
            seconds.observe(n["seconds"], m["provider"])
            if m["outcome"] == "ok":
                first.observe(n["first"], m["provider"])

        self._takes[news.CALLED] = called

    def _failures(self) -> None:
        """What becomes of calls that have failed, and of who has failed."""
        target = ("tenant", "provider", "model")
        retries = self._counter(
            "beamclaw_model_retries_total",
            "Calls of models that are made again, by what went wrong.",
            *target,
            "kind",
        )
        fallbacks = self._counter(
            "beamclaw_model_fallbacks_total",
            "Calls of models in whose place the next model was asked.",
            *target,
            "kind",
        )
        given_up = self._counter(
            "beamclaw_model_given_up_total",
            "Calls of models after which nobody was asked any more.",
            *target,
            "kind",
        )
        waits = self._histogram(
            "beamclaw_model_retry_wait_seconds",
            "Waiting before a call is made again.",
            "provider",
        )
        asked = self._histogram(
            "beamclaw_model_retry_after_seconds",
            "What providers ask to wait for (retry-after).",
            "provider",
        )
        opened = self._counter(
            "beamclaw_provider_openings_total",
            "Times that a provider failed and was left alone for a while.",
            "provider",
            "kind",
        )
        closed = self._counter(
            "beamclaw_provider_closings_total",
            "Times that a provider that was left alone answered again.",
            "provider",
        )
        counts = {
            "again": retries,
            "other-key": retries,
            "fallback": fallbacks,
            "given-up": given_up,
        }

        def failed(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            count = counts.get(str(m["then"]))
            if count is not None:
                count.add(m["tenant"], m["provider"], m["model"], m["kind"])
            if n["wait"]:
                waits.observe(n["wait"], m["provider"])
            if n["retry_after"]:
                asked.observe(n["retry_after"], m["provider"])

        self._takes[news.MODEL_FAILED] = failed
        self._takes[providers.LEFT_ALONE] = lambda _, m: opened.add(
            m["provider"], m["kind"]
        )
        self._takes[providers.ANSWERS_AGAIN] = lambda _, m: closed.add(m["provider"])

    def _tools(self) -> None:
        calls = self._counter(
            "beamclaw_tool_calls_total",
            "Tool calls that have a result.",
            "tenant",
            "tool",
            "outcome",
        )
        seconds = self._histogram(
            "beamclaw_tool_seconds", "From a call's beginning to its result.", "tool"
        )
        asked = self._counter(
            "beamclaw_approvals_asked_total", "Questions to people.", "tenant"
        )
        over = self._counter(
            "beamclaw_approvals_over_total",
            "Questions to people that are over.",
            "tenant",
            "verdict",
        )
        commands = self._counter(
            "beamclaw_commands_total", "Commands that are over.", "tenant", "by"
        )
        cpu = self._counter(
            "beamclaw_command_cpu_seconds_total", "CPU time of commands.", "tenant"
        )

        def tool(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            calls.add(m["tenant"], m["tool"], m["outcome"])
            seconds.observe(n["seconds"], m["tool"])

        def command(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            commands.add(m["tenant"], m["by"])
            cpu.add(m["tenant"], by=n["cpu_seconds"])

        self._takes[news.TOOL_ENDED] = tool
        self._takes["beamclaw.command.ended"] = command
        self._takes["beamclaw.approval.asked"] = lambda _, m: asked.add(m["tenant"])
        self._takes["beamclaw.approval.over"] = lambda _, m: over.add(
            m["tenant"], m["verdict"]
        )

    def _warnings(self) -> None:
        """What is rare, and worth an alert at the first time.

        They are there from the start, with 0: from nothing to 1 no collector sees an
        increase.
        """
        aside = self._counter(
            "beamclaw_turns_quarantined_total",
            "Turns that were put aside, having ended their process again and again.",
            "tenant",
        )
        near = self._counter(
            "beamclaw_limits_nearly_reached_total",
            "Times that a cap on what is spent was nearly reached.",
            "tenant",
        )
        for family in (aside, near):
            family.add(names.DEFAULT_TENANT, by=0)
        self._takes["beamclaw.session.quarantined"] = lambda _, m: aside.add(
            m["tenant"]
        )
        self._takes["beamclaw.limits.nearly_reached"] = lambda _, m: near.add(
            m["tenant"]
        )

    def _gateway(self) -> None:
        answers = self._counter(
            "beamclaw_http_requests_total", "Requests that have an answer.", "status"
        )
        seconds = self._histogram(
            "beamclaw_http_request_seconds",
            "From a request's head to its answer's end.",
        )
        refused = self._counter(
            "beamclaw_http_refused_total", "Requests that were turned away.", "code"
        )
        denied = self._counter(
            "beamclaw_gateway_denied_total", "Who was not let in.", "reason"
        )
        lost = self._counter(
            "beamclaw_gateway_lost_events_total",
            "Events that clients were too slow for.",
        )

        def answered(n: Mapping[str, float], m: Mapping[str, object]) -> None:
            answers.add(m["status"])
            seconds.observe(n["seconds"])

        self._takes["beamclaw.gateway.answered"] = answered
        self._takes["beamclaw.gateway.refused"] = lambda _, m: refused.add(m["code"])
        self._takes["beamclaw.gateway.denied"] = lambda _, m: denied.add(m["reason"])
        self._takes["beamclaw.gateway.client.gone"] = lambda n, _: lost.add(
            by=n["lost"]
        )

    def _processes(self) -> None:
        lag = self._histogram(
            "beamclaw_loop_lag_seconds", "How late the event loop was, where it was."
        )
        dropped = self._counter(
            "beamclaw_mailbox_dropped_total",
            "Messages that limited mailboxes have not taken.",
        )
        crashes = self._counter(
            "beamclaw_crashes_total",
            "Processes that have ended in a way that nobody meant, by what they were.",
            "process",
        )
        self._takes[CRASH] = lambda _, m: crashes.add(_kind(m["name"]))
        spans = self._counter(
            "beamclaw_traces_spans_total", "Steps of traces, sent or lost.", "outcome"
        )
        self._takes["beamclaw.traces.sent"] = lambda n, _: spans.add(
            "sent", by=n["spans"]
        )
        self._takes["beamclaw.traces.lost"] = lambda n, _: spans.add(
            "lost", by=n["spans"]
        )
        self._takes["supervision.loop.lag"] = lambda n, _: lag.observe(n["seconds"])
        self._takes["supervision.mailbox.overloaded"] = lambda n, _: dropped.add(
            by=n["dropped"]
        )


def _kind(name: object) -> str:
    """What a process is, by its name: those of sessions and turns are very many."""
    if not isinstance(name, str):
        return "nameless"
    _, part, rest = (*name.split("/", 2), "", "")[:3]
    return part if rest and part in names.MANY else name
