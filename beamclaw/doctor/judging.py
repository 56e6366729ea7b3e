"""What facts about a node mean: one function for each check, without I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from beamclaw.contracts.context import Window
from beamclaw.doctor.finding import Finding
from beamclaw.values import frozen

Found = Iterator[Finding]

OLDEST_PYTHON: Final = (3, 11)
OLDEST_TRIO: Final = (0, 35)
OLDEST_SQLITE: Final = (3, 35, 0)
MB: Final = 1_000_000
# Below the first nothing is written soon; below the second it is time to think of it.
NO_ROOM: Final = 100 * MB
LITTLE_ROOM: Final = 1000 * MB
FEW_FILES: Final = 1000
# A random token has more different characters than a word or a date.
DIFFERENT: Final = 8
# No clock of a machine that runs this says less: it was written then.
WRITTEN: Final = datetime(2025, 11, 1, tzinfo=UTC).timestamp()
# Seconds by which a clock may be put right without anybody noticing.
AHEAD: Final = 120
# SQLite's log needs memory that processes share; these file systems have none.
NETWORK: Final = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "fuse.sshfs")
IN_MEMORY: Final = ("tmpfs", "ramfs")
LISTED: Final = 5
# Tokens: below these a conversation is summed up every few messages.
SMALL_ROOM: Final = 8_000


def versions(
    python: Sequence[int], trio: str, sqlite: Sequence[int], platform: str
) -> Found:
    """What it runs on."""
    if platform not in ("linux", "darwin"):
        yield Finding(
            check="versions",
            level="error",
            what=f"BeamClaw does not run on {platform}",
            advice="use Linux or macOS; on Windows, WSL2",
        )
    for name, given, oldest in (
        ("Python", tuple(python), OLDEST_PYTHON),
        ("Trio", _numbers(trio), OLDEST_TRIO),
        ("SQLite", tuple(sqlite), OLDEST_SQLITE),
    ):
        said = ".".join(map(str, given))
        if given < oldest:
            yield Finding(
                check="versions",
                level="error",
                what=f"{name} is {said}, and {_dots(oldest)} is the oldest that will do",
                advice=f"install a newer {name}",
            )
        else:
            yield Finding(check="versions", level="ok", what=f"{name} {said}")


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("+", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdecimal())


def _dots(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


@frozen(kw_only=True)
class Folder:
    """The data folder as it lies there.

    Attributes:
        path: Where it is.
        exists: Whether there is something, and it is a folder.
        owner: Whose it is, and *user* who asks: numbers.
        unwritable: Why nothing can be written in it; empty: something can.
        kind: Of file system; empty: not known.
        free: Bytes that this user can still write, *files* new ones.
        used: Bytes of the databases.
        open_to_others: What others may read or change, with the mode, below it.
        leftovers: What processes that were killed have left behind.
        interrupted: A restore was begun and did not end.
    """

    path: str
    exists: bool = True
    owner: int = 0
    user: int = 0
    unwritable: str = ""
    kind: str = ""
    free: int = 10**12
    files: int = 10**6
    used: int = 0
    open_to_others: Mapping[str, int] = {}
    leftovers: Sequence[str] = ()
    interrupted: bool = False


def folder(given: Folder) -> Found:
    """Whether a node can keep its things there."""
    at = given.path
    if not given.exists:
        yield Finding(
            check="folder",
            level="note",
            what="there is no data folder yet; the first start makes it",
            where=at,
            advice="if there should be one, name it with --data or BEAMCLAW_DATA",
        )
        return
    yield from _use_of(given)
    yield from _kind_of(given)
    if given.interrupted:
        yield Finding(
            check="folder",
            level="error",
            what="a restore into it was interrupted; nodes refuse it",
            where=at,
            advice="do it again: beamclaw restore --force FILE",
        )


def _use_of(given: Folder) -> Found:
    at = given.path
    if given.user not in (given.owner, 0):
        yield Finding(
            check="folder",
            level="error",
            what=f"it belongs to user {given.owner}, and you are {given.user}",
            where=at,
            advice="use the user who runs the node, or chown -R it",
        )
    if given.unwritable:
        yield Finding(
            check="folder",
            level="error",
            what=f"nothing can be written in it: {given.unwritable}",
            where=at,
            advice="make it writable for this user, or choose another with --data",
        )
    else:
        yield Finding(check="folder", level="ok", what="it can be written", where=at)


def _kind_of(given: Folder) -> Found:
    at, kind = given.path, given.kind
    if kind.startswith(NETWORK):
        yield Finding(
            check="folder",
            level="error",
            what=f"it is on a network drive ({kind}), where SQLite's log does not work",
            where=at,
            advice="choose a folder on a local disk with --data",
        )
    elif kind in IN_MEMORY:
        yield Finding(
            check="folder",
            level="warning",
            what=f"it is in memory ({kind}): a restart of the machine empties it",
            where=at,
            advice="choose a folder on a disk with --data",
        )


def space(given: Folder) -> Found:
    """Whether there is room for what comes."""
    if not given.exists:
        return
    # The log, and a second file while an older one is brought up to date.
    needed = max(NO_ROOM, given.used)
    free = f"{given.free / MB:,.0f} MB are free"
    if given.free < NO_ROOM or given.files == 0:
        level, what = "error", f"the disk is full: {free}, {given.files:,} files"
    elif given.free < max(needed, LITTLE_ROOM) or given.files < FEW_FILES:
        level, what = "warning", f"there is little room: {free}, {given.files:,} files"
    else:
        yield Finding(check="space", level="ok", what=free, where=given.path)
        return
    yield Finding(
        check="space",
        level=level,
        what=what,
        where=given.path,
        advice="make room on that disk, or keep less: sessions.retention, beamclaw "
        "sessions delete",
    )


def modes(given: Folder) -> Found:
    """Whether all of it is its owner's alone."""
    if not given.exists:
        return
    if not given.open_to_others:
        yield Finding(
            check="modes",
            level="ok",
            what="only its owner can read it",
            where=given.path,
        )
        return
    names = sorted(given.open_to_others)
    shown = ", ".join(f"{n} ({given.open_to_others[n]:o})" for n in names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    yield Finding(
        check="modes",
        level="error" if "token" in names else "warning",
        what=f"others on this machine can read or change {shown}{more}",
        where=given.path,
        advice="chmod go-rwx them",
        repair="modes",
    )


@frozen(kw_only=True)
class Part:
    """A file of the configuration that is not among the node's own in the data folder.

    Attributes:
        mode: What whom is allowed with it.
        secret: Whether a secret of the configuration stands in it.
    """

    path: str
    mode: int
    secret: bool = False


def parts(given: Sequence[Part]) -> Found:
    """Whether it is others who say what the node does, or read its secrets."""
    for part in given:
        mode = f"({part.mode:o})"
        if part.mode & 0o022:
            yield Finding(
                check="modes",
                level="error" if part.mode & 0o002 else "warning",
                what=f"others can change this part of the configuration {mode}, and so "
                "what the node runs",
                where=part.path,
                advice="chmod go-w it",
            )
        if part.secret and part.mode & 0o004:
            yield Finding(
                check="modes",
                level="warning",
                what=f"everybody on this machine can read it {mode}, and a secret stands "
                "in it",
                where=part.path,
                advice="chmod o-r it, or let the secret stand elsewhere: {file: PATH}",
            )


@frozen(kw_only=True)
class Running:
    """What of a node there is on the folder.

    Attributes:
        held: Whether a process has the folder's lock.
        holder: Its pid, as it has said.
        answers: Whether somebody answers on it; *why* not.
    """

    held: bool = False
    holder: str = ""
    answers: bool = False
    why: str = ""


def node(given: Running, path: str) -> Found:
    """Whether one runs, and is well."""
    if given.answers:
        yield Finding(
            check="node",
            level="ok",
            what=f"it runs, with pid {given.holder or '?'}, and answers",
            where=path,
        )
    elif given.held:
        yield Finding(
            check="node",
            level="error",
            what=f"the process {given.holder or '?'} has the folder and does not answer: "
            f"{given.why or 'it has no socket'}",
            where=path,
            advice="it starts, stops, or hangs: look at its log; if it hangs, kill it "
            "(nothing acknowledged is lost) and start it again",
        )
    else:
        yield Finding(check="node", level="note", what="none runs", where=path)


def leftovers(given: Folder, running: Running) -> Found:
    """What was left behind in the folder."""
    if given.leftovers and not running.held:
        yield Finding(
            check="leftovers",
            level="note",
            what=f"left by processes that were killed: {', '.join(given.leftovers)}",
            where=given.path,
            repair="leftovers",
        )


@frozen(kw_only=True)
class Database:
    """One database as it was found.

    Attributes:
        name: Below the data folder.
        refused: Why it cannot be opened; empty: it can.
        damage: What is wrong inside.
        only_indexes: Whether the tables are whole, so that indexes can be made anew.
        dangling: Rows without the row they name, by table.
        counts: See :data:`beamclaw.contracts.surveys.QUESTIONS`.
        version: Of its schema; *known*: of this program's.
    """

    name: str
    refused: str = ""
    damage: Sequence[str] = ()
    only_indexes: bool = False
    dangling: Mapping[str, int] = {}
    counts: Mapping[str, int] = {}
    version: int = 0
    known: int = 0


def database(given: Database, *, running: bool, now: float) -> Found:
    """Whether it is whole, and what is strange in it."""
    at = given.name
    if given.refused:
        yield Finding(
            check="database",
            level="error",
            what=given.refused,
            where=at,
            advice="beamclaw restore --force FILE puts a backup in its place",
        )
        return
    if given.damage:
        yield _damaged(given)
        return
    said = f"it is whole, schema {given.version}"
    if given.version < given.known:
        said += f"; the next start brings it to {given.known}"
    yield Finding(check="database", level="ok", what=said, where=at)
    yield from _strange(given, running=running)
    ahead = given.counts.get("newest", 0) - now
    if ahead > AHEAD:
        yield Finding(
            check="clock",
            level="warning",
            what=f"the newest conversation is {ahead / 3600:.1f} hours in the future: the "
            "clock was put back, or is wrong",
            where=at,
            advice="look at date and timedatectl; budgets and retention go by the clock",
        )


def _damaged(given: Database) -> Finding:
    found = "; ".join(" ".join(line.split()) for line in given.damage[:2])
    if given.only_indexes:
        return Finding(
            check="database",
            level="error",
            what=f"indexes do not agree with their tables: {found}",
            where=given.name,
            advice="have them made anew, with the node stopped and a backup at hand",
            repair="indexes",
        )
    return Finding(
        check="database",
        level="error",
        what=f"it is damaged: {found}",
        where=given.name,
        advice="stop the node, keep a copy of the folder, look at the disk (dmesg), then "
        "beamclaw restore --force FILE",
    )


def _strange(given: Database, *, running: bool) -> Found:
    for tables, number in sorted(given.dangling.items()):
        yield Finding(
            check="database",
            level="warning",
            what=f"{number} rows name a row that is not there ({tables})",
            where=given.name,
            advice="please report it, with the log; nothing is lost by it now",
        )
    unsettled = given.counts.get("unsettled", 0)
    if unsettled:
        yield Finding(
            check="database",
            level="warning",
            what=f"{unsettled} calls of models are not settled, though their turns are "
            "over: they count with all that was reserved for them",
            where=given.name,
            advice="please report it, with the log; caps are kept meanwhile",
        )
    orphans = given.counts.get("orphaned_outputs", 0)
    if orphans:
        yield Finding(
            check="database",
            level="note",
            what=f"{orphans} outputs of tools belong to no turn any more",
            where=given.name,
            advice="they go by themselves, tools.keep_seconds after they were made",
        )
    turns, waiting = given.counts.get("open_turns", 0), given.counts.get("waiting", 0)
    if not running and (turns or waiting):
        yield Finding(
            check="database",
            level="note",
            what=f"{turns} turns are open and {waiting} messages wait: they go on when "
            "a node starts",
            where=given.name,
        )


def token(secret: str | None, where: str, mode: str) -> Found:
    """Whether the shared secret can be guessed. It is in no finding."""
    if mode not in ("token", "password") or secret is None:
        return
    if len(set(secret)) < DIFFERENT:
        yield Finding(
            check="token",
            level="error",
            what=f"the {mode} has only {len(set(secret))} different characters",
            where=where,
            advice="take a random one: openssl rand -base64 32",
        )
    else:
        yield Finding(check="token", level="ok", what=f"the {mode} is long enough")


def listener(exposed: str | None, mode: str, *, proxied: bool) -> Found:
    """Who can reach the gateway."""
    if exposed is None:
        yield Finding(
            check="listener", level="ok", what="only this machine can reach it"
        )
        return
    what = f"others can reach {exposed}, without TLS"
    if mode == "none":
        yield Finding(
            check="listener",
            level="error",
            what=f"{what} and without a token",
            where="gateway.auth.mode",
            advice="take mode: token, or the host 127.0.0.1",
        )
    elif not proxied:
        yield Finding(
            check="listener",
            level="warning",
            what=f"{what}: who is on the way reads the token",
            where="gateway.host",
            advice="put a proxy with TLS before it and name it in "
            "gateway.trusted_proxies, or use 127.0.0.1 with an SSH tunnel or a VPN",
        )
    else:
        yield Finding(
            check="listener",
            level="note",
            what=f"{what}; the proxies in gateway.trusted_proxies have to have it",
            where="gateway.host",
        )


def clock(now: float, zone: str, *, zone_known: bool) -> Found:
    """Whether the time can be right."""
    if now < WRITTEN:
        said = datetime.fromtimestamp(now, UTC).date()
        yield Finding(
            check="clock",
            level="error",
            what=f"the clock says {said}, before this version was written",
            advice="set it: timedatectl set-ntp true",
        )
    elif zone and not zone_known:
        yield Finding(
            check="clock",
            level="error",
            what=f"there is no data of the time zone {zone}",
            where="sessions.time_zone",
            advice="install tzdata, or put the name right",
        )
    else:
        yield Finding(check="clock", level="ok", what="it can be right")


def sandbox(program: str, why: str) -> Found:
    """What isolates commands, as far as can be told without a node."""
    if program and not why:
        yield Finding(check="sandbox", level="ok", what=f"{program} works here")
        return
    what = f"{program} does not work here: {why}" if program else "bwrap is not there"
    yield Finding(
        check="sandbox",
        level="warning",
        what=f"{what}; commands are not isolated, and words of strangers run none "
        "without you",
        advice="" if program else "apt install bubblewrap",
    )


def strays(pids: Sequence[int]) -> Found:
    """What of an earlier node is there still."""
    if pids:
        said = ", ".join(map(str, pids))
        yield Finding(
            check="processes",
            level="warning",
            what=f"launchers of commands whose node is gone: {said}",
            advice=f"kill {' '.join(map(str, pids))}; and please report it",
        )


@frozen(kw_only=True)
class InstalledUnit:
    """A unit of systemd that starts a node.

    Attributes:
        path: Of its file.
        program: What it starts; *there*: whether that can be run.
        data: The folder that it names; empty: none.
        current: Whether its text is what this version writes.
    """

    path: str
    program: str
    there: bool
    data: str
    current: bool


def service(units: Sequence[InstalledUnit], path: str) -> Found:
    """Whether the service that is installed can start, and is about this folder."""
    for unit in units:
        if not unit.there:
            yield Finding(
                check="service",
                level="error",
                what=f"it starts {unit.program or 'nothing'}, which cannot be run",
                where=unit.path,
                advice="beamclaw service install --force, then systemctl daemon-reload",
            )
        elif unit.data and unit.data != path:
            yield Finding(
                check="service",
                level="note",
                what=f"it is about another data folder, {unit.data}",
                where=unit.path,
            )
        elif not unit.current:
            yield Finding(
                check="service",
                level="note",
                what="it is not as this version writes it",
                where=unit.path,
                advice="compare: beamclaw service show",
            )
        else:
            yield Finding(
                check="service", level="ok", what="it can start", where=unit.path
            )
    if len(units) > 1:
        yield Finding(
            check="service",
            level="warning",
            what="two units start a node; only one can have the folder",
            where=units[1].path,
            advice="remove one: beamclaw service remove",
        )


# --- models


def room(agent: str, window: Window) -> Found:
    """What an agent's model leaves for a conversation."""
    key, left = window.key, window.room
    taken = (
        f"of the {window.tokens:,} tokens of {window.model} its answer may take "
        f"{window.output:,}, the system's words about {window.system:,} and the tools "
        f"about {window.tools:,}"
    )
    where = f"agents.{agent}"
    if left >= SMALL_ROOM:
        what = f"{window.model} leaves a conversation about {left:,} tokens"
        yield Finding(check="room", level="ok", what=what, where=where)
        return
    rest = f"about {left:,} are left for the conversation" if left else "none is left"
    yield Finding(
        check="room",
        level="note" if left else "error",
        what=f"{taken}: {rest}",
        where=where,
        advice=f"set {key}.context_window if it reads more, or {key}.max_output lower; "
        f"or give it fewer tools ({where}.tools) or another model ({where}.model)",
    )
