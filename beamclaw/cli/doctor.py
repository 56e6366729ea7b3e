"""``beamclaw doctor``."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import attrs

from beamclaw.cli.client import Client, Gone, NoNode, Refused, connect
from beamclaw.cli.output import (
    CommandError,
    counted,
    is_terminal,
    result,
    result_json,
    tell,
)
from beamclaw.config.schema import Config
from beamclaw.contracts.databases import databases_in
from beamclaw.contracts.shell import data_folder
from beamclaw.doctor import REPAIRS, CannotRepair, Finding, judging, looking, settings
from beamclaw.doctor import repair as do_repair

_SIGNS: Final[Mapping[str, str]] = {
    "ok": "ok",
    "note": "note",
    "warning": "WARNING",
    "error": "ERROR",
}


def run(options: argparse.Namespace) -> int:
    """Look, repair what is wanted, and look again; 1 if something is wrong."""
    data = data_folder(os.environ, options.data)
    if options.yes and not options.repair:
        raise CommandError("--yes is for --repair: doctor changes nothing else", 2)
    found = list(_examine(data, options))
    done: list[dict[str, object]] = []
    if options.repair:
        wanted = [each.repair for each in found if each.repair]
        if options.repair != "all":
            wanted = [options.repair]
        done = _repair(data, dict.fromkeys(wanted), options)
        found = list(_examine(data, options))
    if options.json:
        result_json(
            {
                "ok": not _wrong(found),
                "data": str(data),
                "findings": [attrs.asdict(each) for each in found],
                "repaired": done,
            }
        )
    else:
        _print(found)
    return int(_wrong(found))


def _wrong(found: Sequence[Finding]) -> bool:
    return any(each.level == "error" for each in found)


# --- looking


def _examine(data: Path, options: argparse.Namespace) -> Iterator[Finding]:
    yield from judging.versions(*looking.versions())
    loaded, said = settings.read(os.environ, options.config, data)
    yield from said
    client, why = _connected(data)
    with client or nullcontext():
        yield from _of_folder(data, client, why)
        if loaded is not None:
            yield from _of_config(loaded.config, options)
        yield from _of_machine(data, client)


def _connected(data: Path) -> tuple[Client | None, str]:
    try:
        return connect(data), ""
    except (CommandError, Gone) as error:
        return None, "" if isinstance(error, NoNode) else str(error) or "it went away"


def _of_folder(data: Path, client: Client | None, why: str) -> Iterator[Finding]:
    folder = looking.folder(data)
    yield from judging.folder(folder)
    yield from judging.space(folder)
    yield from judging.modes(folder)
    if not folder.exists:
        return
    running = looking.running(data, answers=client is not None, why=why)
    yield from judging.node(running, str(data))
    yield from judging.leftovers(folder, running)
    if running.held and client is None:
        yield Finding(
            check="database",
            level="note",
            what="not looked through: a process has them that does not answer",
            where=str(data),
        )
        return
    now = time.time()  # noqa: TID251 -- a command is outside
    for name in databases_in(data):
        facts = _database(data, name, client)
        yield from judging.database(facts, running=client is not None, now=now)


def _database(data: Path, name: str, client: Client | None) -> judging.Database:
    if client is None:
        return looking.database(data, name)
    try:
        found = client.request("doctor.database", {"name": name})
    except (Refused, Gone) as error:
        words = str(error) or "the node stopped in this moment"
        return judging.Database(name=name, refused=words)
    return looking.database_of(name, found)


def _of_config(config: Config, options: argparse.Namespace) -> Iterator[Finding]:
    yield from judging.parts(looking.parts_of(config))
    gateway = config.gateway
    broken = list(settings.kept_token(config))
    yield from broken
    if not broken:
        secret, where = settings.shared_secret(config)
        yield from judging.token(secret, where, gateway.auth.mode)
    proxied = bool(gateway.trusted_proxies)
    yield from judging.listener(gateway.exposed, gateway.auth.mode, proxied=proxied)
    yield from settings.providers(config, online=options.online)
    for agent, window in settings.windows(config):
        yield from judging.room(agent, window)
    yield from settings.skills(config)
    zone = config.sessions.time_zone or ""
    yield from judging.clock(
        time.time(),  # noqa: TID251 -- a command is outside
        zone,
        zone_known=settings.zone_known(zone),
    )


def _of_machine(data: Path, client: Client | None) -> Iterator[Finding]:
    if client is not None:
        yield from _isolation_of(client)
    else:
        yield from judging.sandbox(*looking.bubblewrap())
    yield from judging.strays(looking.strays())
    yield from judging.service(looking.units(os.environ), str(data))


def _isolation_of(client: Client) -> Iterator[Finding]:
    commands: Any = {}
    with suppress(Refused, Gone):
        tenant = client.request("status")["tenants"]["default"]
        commands = tenant["commands"]
    for who in ("trusted", "untrusted"):
        if who in commands:
            words = "yours" if who == "trusted" else "strangers' words"
            yield Finding(
                check="sandbox",
                level="ok",
                what=f"commands of {words}: {commands[who]}",
            )
    for words in commands.get("missing", ()):
        yield Finding(
            check="sandbox",
            level="warning",
            what=words,
            advice="see docs/how-to/isolate-commands.md",
        )


# --- repairing


def _repair(
    data: Path, names: Mapping[str, None], options: argparse.Namespace
) -> list[dict[str, object]]:
    done: list[dict[str, object]] = []
    if names and not options.yes and not is_terminal(sys.stdin):
        words = ", ".join(names)
        raise CommandError(f"nobody can be asked here; with --yes it repairs: {words}")
    for name in names:
        words = REPAIRS[name].words
        if not options.yes and not _agreed(words):
            tell(f"{name}: left as it is")
            continue
        try:
            lines = do_repair(name, data)
        except CannotRepair as error:
            tell(f"{name}: not done: {error}")
            done.append({"name": name, "done": [], "why_not": str(error)})
            continue
        for line in lines:
            tell(f"{name}: {line}")
        done.append({"name": name, "done": lines, "why_not": None})
    if not names:
        tell("there is nothing that can be repaired from here")
    return done


def _agreed(words: str) -> bool:
    sys.stderr.write(f"{words}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


# --- words


def _print(found: Sequence[Finding]) -> None:
    for each in found:
        where = f"{each.where}: " if each.where else ""
        result(f"{_SIGNS[each.level]:8} {each.check:10} {where}{each.what}")
        advice = each.advice
        if each.repair:
            advice += (
                f"{'; or ' if advice else ''}beamclaw doctor --repair {each.repair}"
            )
        if advice:
            result(f"{'':19} {advice}")
    errors = sum(each.level == "error" for each in found)
    warnings = sum(each.level == "warning" for each in found)
    tell(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}")
