"""``beamclaw status``."""

import argparse
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from beamclaw.cli.client import Client, Gone, connect
from beamclaw.cli.output import CommandError, counted, result, result_json
from beamclaw.contracts.shell import data_folder


def run(options: argparse.Namespace) -> int:
    """Print how the node stands."""
    found = ask(options, "status")
    if options.json:
        result_json(found)
    else:
        for line in lines(found):
            result(line)
    return 0


def ask(
    options: argparse.Namespace,
    method: str,
    params: Mapping[str, object] | None = None,
) -> Any:
    """One request to the node that the options name."""
    with connected(options) as client:
        return client.request(method, params)


@contextmanager
def connected(options: argparse.Namespace) -> Generator[Client]:
    """The node that the options name."""
    data = data_folder(os.environ, options.data)
    try:
        with connect(data) as client:
            yield client
    except Gone:
        raise CommandError(f"the node on {data} stopped in this moment") from None


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The status in words."""
    agent = found["agent"]
    head = f"beamclaw {found['version']}, pid {found['pid']}"
    yield f"node      {head}, up {duration(found['uptime'])}"
    yield f"address   {found['address'] or 'not listening'}"
    yield f"data      {found['data']}"
    yield f"model     {agent['model']} ({agent['why']})"
    # A node of an earlier version says nothing of it.
    config = found.get("config", {})
    if config.get("trouble"):
        yield f"WRONG     {config['trouble']}; what held goes on to hold"
    for words in config.get("warnings", ()):
        yield f"doubtful  {words}"
    if config.get("waiting"):
        yield f"waiting   {config['words']}"
    for name, permits in found["providers"].items():
        yield f"provider  {name}: {_permits(permits)}"
        if permits.get("last_error"):
            yield f"          last error: {permits['last_error']}"
    for name, parts in found["tenants"].items():
        yield f"tenant    {name}: {_sessions(parts['sessions'])}"
        yield f"          {_ledger(parts['ledger'])}"
        if asked := parts.get("questions"):
            yield (
                f"          {counted(asked, 'call')} waits for a person to agree: "
                "beamclaw approvals list"
                if asked == 1
                else f"          {asked:,} calls wait for a person to agree: "
                "beamclaw approvals list"
            )
        yield from (f"          {line}" for line in _limits(parts["limits"]))
        yield from (f"          {line}" for line in _commands(parts["commands"]))
    yield f"processes {found['processes']}"


def _permits(figures: Mapping[str, Any]) -> str:
    if "unavailable" in figures:
        return str(figures["unavailable"])
    text = f"{figures['in_use']} of {figures['limit']} calls in progress"
    text += f", {figures['waiting']} waiting, {figures['calls']} made"
    text += f", {figures['errors']} failed"
    if figures.get("blocked_for"):
        text += f", asked to wait for {figures['blocked_for']:.0f} s"
    if figures["breaker"] == "open":
        text += f", left alone for {figures['opens_in']:.0f} s"
    elif figures["breaker"] == "half-open":
        text += ", being tried again after failures"
    usage = cast("Mapping[str, int]", figures["usage"])
    return (
        f"{text}; {counted(usage['input'], 'token')} read, {usage['output']:,} written"
    )


def _sessions(figures: Mapping[str, Any]) -> str:
    if "unavailable" in figures:
        return f"sessions: {figures['unavailable']}"
    text = f"{counted(figures['awake'], 'session')} awake"
    text += f", {counted(figures['running'], 'turn')} in progress"
    if figures.get("reviving"):
        text += f", {figures['reviving']} being revived"
    if figures.get("parked"):
        text += f", {figures['parked']} waiting for a place (sessions.max_awake)"
    return text if figures["intake"] else f"{text}, draining"


def _limits(figures: Mapping[str, Any]) -> Iterator[str]:
    if "unavailable" in figures:
        yield f"limits: {figures['unavailable']}"
        return
    spent = figures["spent"]
    yield (
        f"today (UTC) {money(spent['cost'])}, {counted(spent['tokens'], 'token')}, "
        f"{counted(spent['calls'], 'call')} of a model"
    )
    for cap in figures["caps"]:
        show = of_measure(cap["measure"])
        whose = f" of {cap['key']}" if cap["key"] else ""
        share = f" ({cap['used'] * 100 // cap['limit']} %)" if cap["limit"] else ""
        yield (
            f"{cap['name']}{whose}: {show(cap['used'])} of {show(cap['limit'])}{share}"
        )
    for words in figures["warnings"]:
        yield f"warned: {words}"


def _commands(figures: Mapping[str, Any]) -> Iterator[str]:
    if "unavailable" in figures:
        yield f"commands: {figures['unavailable']}"
        return
    yield f"commands of yours: {figures['trusted']}; limits {figures['limits']}"
    yield f"commands after words of strangers: {figures['untrusted']}"
    for words in figures["missing"]:
        yield f"missing: {words}"


def of_measure(measure: str) -> Callable[[int], str]:
    """How figures of a cap are shown."""
    if measure == "seconds":
        return _worked
    return money if measure == "cost" else "{:,}".format


def _worked(ms: int) -> str:
    return duration(ms / 1_000)


def money(micro: int) -> str:
    """Millionths of a dollar for people."""
    return f"${micro / 1_000_000:,.2f}"


def _ledger(figures: Mapping[str, Any]) -> str:
    if "unavailable" in figures:
        return f"ledger: {figures['unavailable']}"
    return (
        f"{counted(figures['sessions'], 'session')} and "
        f"{counted(figures['events'], 'event')} on disk, "
        f"{counted(figures['inbox_depth'], 'message')} waiting"
    )


def duration(seconds: float) -> str:
    """Seconds for people: 3 s, 4 min 5 s, 2 h 3 min, 5 d 6 h."""
    whole = int(seconds)
    units = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for size, name, inner, inner_name in units:
        if whole >= size:
            return f"{whole // size} {name} {whole % size // inner} {inner_name}"
    return f"{whole} s"
