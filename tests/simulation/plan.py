"""What is going to happen in a world, as far as its seed says so beforehand.

Who says what and when, what the model wants done about it, how the node is configured,
and which faults come after how many events. Nothing here runs anything.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import attrs

from beamclaw.contracts.command_policy import Mode as CommandMode
from beamclaw.contracts.sessions import QueueMode
from tests.simulation.speech import Dialect

FaultKind = Literal[
    "crash",
    "kill",
    "drop",
    "drain",
    "commit-lost",
    "commit-unknown",
    "commit-crash",
    "committed-crash",
    "statement",
    "slow-disk",
    "clock",
    "file-crash",
    "file-fails",
    "launcher",
    "vectors-kill",
    "vectors-crash",
    "store-commit-lost",
    "store-commit-unknown",
    "store-commit-crash",
    "store-committed-crash",
    "store-statement",
]
# How often each fault comes, relative to the others.
_FAULTS: Mapping[FaultKind, int] = {
    "crash": 6,
    "kill": 8,
    "drop": 4,
    "drain": 1,
    "commit-lost": 1,
    "commit-unknown": 1,
    "commit-crash": 2,
    "committed-crash": 2,
    "statement": 1,
    "slow-disk": 3,
    "clock": 1,
}
# Those that only worlds with files and commands have.
_WORK_FAULTS: tuple[FaultKind, ...] = (
    "file-crash",
    "file-crash",
    "file-fails",
    "launcher",
)


# Those that only worlds have in which somebody wants vectors.
_VECTOR_FAULTS: tuple[FaultKind, ...] = (
    *("vectors-kill", "vectors-kill", "vectors-crash"),
)
# Those of worlds whose node.db fails, one in seven.
_STORE_FAULTS: tuple[FaultKind, ...] = (
    *("store-commit-lost", "store-commit-unknown", "store-commit-crash"),
    *("store-committed-crash", "store-statement", "store-statement"),
)
STORE_SHARE = 0.15


# How a message is sent: to the tenant's bus, or over HTTP, answered in pieces or whole.
Wire = Literal["bus", "stream", "whole"]
# Persons who speak HTTP.
WIRED_SHARE = 1 / 3
_DIALECTS: tuple[tuple[Dialect, Dialect], ...] = (
    ("openai", "anthropic"),
    ("anthropic", "openai"),
)
# Worlds in which a conversation is over at an hour of the day.
DAILY_SHARE = 0.12
# Worlds whose providers are behind HTTP; to the others' nobody has a wire.
HTTP_SHARE = 1 / 3
# Of them, those in which somebody wants vectors.
INDEXED_SHARE = 0.6
# Worlds in which turns have little time.
PRESSED_SHARE = 0.08
# Those in which all may only work for so long in a day.
RATIONED_SHARE = 0.08
# Those whose disk takes its time for whatever it does.
PACED_SHARE = 0.4
# Worlds with files and commands; what the model is told of them needs room.
WORK_SHARE = 0.4
CHANGES = ("write", "edit", "apply_patch")
WORK = ("exec", "process", *CHANGES)
FETCH = "web_fetch"
# Worlds whose agents fetch pages.
BROWSE_SHARE = 0.4
# A file in which all agents write, in the workspace.
LOG = "work/log"
# Tokens of a window in which there is room for what stands in a workspace.
ROOMY = 10_000


@attrs.frozen
class Wish:
    """A tool call that the model is going to ask for; *text* tells the tool more.

    *task* is what a sub-agent is asked for, or what is said in another session; *given*
    then says how. Else *given* is for a tool of the node's own:
    ``{mark}`` stands for what no other call has in it, ``{place}`` for the same in a URL,
    ``{who}`` for who is spoken to, ``{session}`` for the command that went on in the
    background last.
    """

    tool: str
    text: str
    task: "Say | None" = None
    given: Mapping[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Say:
    """One message of a person, and what comes of it.

    Attributes:
        marker: Stands in the message, and in every word of the answer.
        rounds: Tool calls that the model asks for, answer by answer.
        words: Of each answer.
        pause: Seconds before it is said.
        abort: Seconds after which the person stops the turn.
        again: Seconds after the answer at which it is sent once more.
        waits: The person waits for the answer before the next message.
        fresh: It begins a new conversation.
        wire: How it is sent.
    """

    marker: str
    rounds: tuple[tuple[Wish, ...], ...]
    words: int
    pause: float
    queue: QueueMode | None
    abort: float | None = None
    again: float | None = None
    waits: bool = True
    fresh: bool = False
    wire: Wire = "bus"


@attrs.frozen
class Person:
    """Somebody with a conversation; *fork*: in a copy of theirs."""

    name: str
    says: tuple[Say, ...]
    fork: str = ""

    @property
    def key(self) -> str:
        """The session key."""
        return self.fork or f"agent:main:{self.name}"


Verb = Literal[
    "reset", "rewind", "fork", "archive", "unarchive", "delete", "compact", "tool"
]


@attrs.frozen
class Order:
    """What is done to a person's session, *seconds* after the one before.

    It is deleted when the person has said everything, and has no sub-agents. *say* is
    what is said in a fork, when there is one. ``compact`` has the conversation made
    shorter, ``tool`` a tool called, which *wish* says: each is a turn of its own.
    """

    verb: Verb
    person: str
    seconds: float
    say: Say | None = None
    wish: Wish | None = None


@attrs.frozen(kw_only=True)
class Texts:
    """A request for vectors, asked again a few times where there are none.

    Attributes:
        marker: Stands in each of the texts.
        sizes: Characters of each of them, about.
        pause: Seconds before it is sent.
        base64: In which form the vectors are wanted.
        leaves: Seconds after which who has sent it goes.
    """

    marker: str
    sizes: tuple[int, ...]
    pause: float
    base64: bool
    leaves: float | None = None


@attrs.frozen
class Fault:
    """What goes wrong, when *points* points of the program more have been reached.

    If nothing happens any more, *seconds* after the one before. With *steps* so many
    steps of the scheduler later.
    """

    kind: FaultKind
    points: int
    steps: int
    seconds: float


@attrs.frozen(kw_only=True)
class Kin:
    """How far agents may go with one another, and what it may cost.

    Attributes:
        depth: Levels of sub-agents.
        children: Those of one session at work at once.
        concurrent: Those of all.
        share: What each gets of what is left.
        turn_cost: Millionths of a dollar that a turn may cost; None: what it likes. The
            same for the other two of these.
        session_calls: Calls of models that a conversation may make, with all of its
            sub-agents; None: as many as it likes.
    """

    depth: int
    children: int
    concurrent: int
    share: float
    turn_cost: int | None = None
    session_cost: int | None = None
    session_calls: int | None = None
    day_cost: int | None = None


@attrs.frozen(kw_only=True)
class Plan:
    """A world to be.

    Attributes:
        http: The providers are behind HTTP, on a network in memory.
        dialects: What each provider speaks behind HTTP.
        network: How likely a connection of it has a bad fate.
        idle_minutes: After which pause a conversation is over; None: after none.
        daily: At which hour of each day it is over; None: at none.
        works: The agents have files and commands.
        mode: When a person is asked before a command.
        browses: The agents fetch pages.
        indexers: Programs that want vectors, and what each of them asks for.
        day_tokens: What all may take in a day.
        turn_seconds: How long a turn may take; None: as long as it likes.
        kin: The agents have others work for them, and write to them; None: only what
            stands in single wishes.
        day_seconds: How long all may work in a day.
        disk_seconds: What the disk takes for each piece of its work.
    """

    seed: int
    people: tuple[Person, ...]
    faults: tuple[Fault, ...]
    trouble: float
    revive_limit: int
    idle_seconds: float
    window: int
    session_tokens: int | None
    turn_calls: int
    fallback: bool
    wait_seconds: float
    max_awake: int
    flush_ms: int
    snapshot_every: int
    clean_up: float
    http: bool
    dialects: tuple[Dialect, Dialect]
    network: float
    orders: tuple[Order, ...]
    idle_minutes: float | None
    daily: int | None
    works: bool = False
    mode: CommandMode = "off"
    browses: bool = False
    indexers: tuple[tuple[Texts, ...], ...] = ()
    day_tokens: int | None = None
    turn_seconds: float | None = None
    kin: Kin | None = None
    day_seconds: float | None = None
    disk_seconds: float = 0.0

    @property
    def says(self) -> dict[str, Say]:
        """Every message, by its marker; those to sub-agents and from agents, too."""
        spoken = [say for person in self.people for say in person.says]
        spoken += [order.say for order in self.orders if order.say is not None]
        return {say.marker: say for each in spoken for say in _with_tasks(each)}


def _with_tasks(say: Say) -> Iterator[Say]:
    yield say
    for wish in (wish for calls in say.rounds for wish in calls):
        if wish.task is not None:
            yield from _with_tasks(wish.task)


def stream(seed: int, what: str) -> random.Random:
    """A source of chance of its own, the same in every process."""
    return random.Random(f"{seed}/{what}")


def plan(seed: int) -> Plan:
    """The world of *seed*."""
    rng = stream(seed, "plan")
    tight = rng.random() < 0.12
    # One session at a time. A turn that waits for a sub-agent would wait for its place.
    crowded = rng.random() < 0.05
    people = tuple(
        Person(name, tuple(_says(rng, name, alone=crowded)))
        for name in (f"p{number}" for number in range(rng.randint(1, 4)))
    )
    orders = tuple(_orders(stream(seed, "orders"), people))
    people = tuple(_wired(stream(seed, "wires"), people))
    days = stream(seed, "days")
    daily = days.randrange(24) if days.random() < DAILY_SHARE else None
    if daily is not None:
        people = tuple(_slowly(days, people))
    planned = Plan(
        seed=seed,
        people=people,
        faults=tuple(_faults(rng)),
        trouble=rng.choice((0.0, 0.0, 0.1, 0.25, 0.5)),
        revive_limit=rng.choice((3, 5, 5, 8)),
        idle_seconds=rng.choice((5.0, 30.0, 300.0)),
        window=rng.choice((1_200, 2_000)) if rng.random() < 0.2 else 100_000,
        session_tokens=rng.choice((1_700, 2_400, 4_000)) if tight else None,
        turn_calls=rng.choice((3, 6)) if rng.random() < 0.1 else 100,
        fallback=rng.random() < 0.3,
        wait_seconds=rng.choice((60.0, 600.0, 6_000.0)),
        max_awake=1 if crowded else 50,
        flush_ms=rng.choice((1, 40, 40, 500)),
        snapshot_every=rng.choice((3, 10, 200)),
        clean_up=60.0 if rng.random() < 0.05 else 20_000.0,
        http=rng.random() < HTTP_SHARE,
        dialects=stream(seed, "dialects").choice(_DIALECTS),
        network=rng.choice((0.0, 0.1, 0.4)),
        orders=tuple(
            _with_turns(
                stream(seed, "ordered"),
                people,
                tuple(_forks(stream(seed, "forks"), orders)),
            )
        ),
        idle_minutes=rng.choice((0.01, 5.0, 60.0)) if rng.random() < 0.15 else None,
        daily=daily,
        turn_seconds=_pressed(stream(seed, "time")),
        day_seconds=_rationed(stream(seed, "day")),
        disk_seconds=_paced(stream(seed, "disk")),
    )
    planned = _indexed(stream(seed, "vectors"), planned)
    planned = _working(stream(seed, "work"), planned)
    planned = _using(stream(seed, "process"), planned) if planned.works else planned
    planned = _browsing(stream(seed, "pages"), planned)
    return _keeping(stream(seed, "store"), planned)


def _keeping(rng: random.Random, planned: Plan) -> Plan:
    """The same world, whose node.db fails, if it does; then the node begins anew."""
    if rng.random() >= STORE_SHARE:
        return planned
    faults = list(planned.faults)
    for _ in range(rng.choice((1, 2, 3))):
        seconds = rng.choice((0.01, 1.0, 30.0))
        fault = Fault(rng.choice(_STORE_FAULTS), rng.choice((1, 40, 120)), 0, seconds)
        # Most of it is written by a node that starts.
        begins = Fault(rng.choice(("crash", "kill", "drain")), 40, 0, 30.0)
        place = rng.randint(0, len(faults))
        faults[place:place] = [fault, begins] if rng.random() < 0.7 else [fault]
    return attrs.evolve(planned, faults=tuple(faults))


def _pressed(rng: random.Random) -> float | None:
    return rng.choice((0.2, 2.0, 30.0)) if rng.random() < PRESSED_SHARE else None


def _rationed(rng: random.Random) -> float | None:
    """Less than one call may take, or enough for a few at once."""
    return rng.choice((5.0, 60.0, 4_000.0)) if rng.random() < RATIONED_SHARE else None


def _paced(rng: random.Random) -> float:
    """In no time at all, as memory would, or as a disk does."""
    return rng.choice((0.001, 0.005, 0.02)) if rng.random() < PACED_SHARE else 0.0


def _says(rng: random.Random, name: str, *, alone: bool) -> Iterator[Say]:
    uses_tools = rng.random() < 0.6
    asks = rng.random() < 0.3
    spawns = rng.random() < 0.25 and not alone
    hurried = rng.random() < 0.35
    for number in range(rng.randint(1, 5)):
        marker = f"{name}.{number}"
        pause = rng.choice((0.0, 0.0, 0.01, 0.5, 3.0)) if number else 0.0
        if rng.random() < 0.08:
            pause = rng.choice((400.0, 4_000.0, 90_000.0))
        yield Say(
            marker=marker,
            rounds=tuple(_rounds(rng, marker, asks, spawns)) if uses_tools else (),
            words=rng.choice((0, 1, 2, 5, 5, 12)),
            pause=pause,
            queue=_queue(rng) if hurried else "followup",
            abort=rng.choice((0.0, 0.05, 0.4, 5.0)) if rng.random() < 0.07 else None,
            again=rng.choice((0.0, 1.0, 3_600.0)) if rng.random() < 0.15 else None,
            waits=not hurried and rng.random() < 0.8,
            fresh=rng.random() < 0.06,
        )


def _wired(rng: random.Random, people: tuple[Person, ...]) -> Iterator[Person]:
    """The same people, some of them on HTTP."""
    kinds: tuple[Wire, ...] = ("stream", "stream", "whole")
    for person in people:
        if rng.random() >= WIRED_SHARE:
            yield person
            continue
        says = (attrs.evolve(say, wire=rng.choice(kinds)) for say in person.says)
        yield attrs.evolve(person, says=tuple(says))


def _slowly(rng: random.Random, people: tuple[Person, ...]) -> Iterator[Person]:
    """The same people, who take days for it."""
    for person in people:
        says = (
            attrs.evolve(say, pause=rng.choice((20_000.0, 50_000.0, 90_000.0)))
            if rng.random() < 0.4
            else say
            for say in person.says
        )
        yield attrs.evolve(person, says=tuple(says))


def _indexed(rng: random.Random, planned: Plan) -> Plan:
    """The same world, in which somebody has texts made into vectors, if one can."""
    if not planned.http or rng.random() >= INDEXED_SHARE:
        return planned
    names = (f"v{number}" for number in range(rng.choice((1, 1, 2))))
    return attrs.evolve(
        planned,
        indexers=tuple(tuple(_texts(rng, name)) for name in names),
        day_tokens=rng.choice((4_000, 20_000)) if rng.random() < 0.25 else None,
        faults=tuple(_faults_of_vectors(rng, planned.faults)),
    )


def _faults_of_vectors(
    rng: random.Random, faults: tuple[Fault, ...]
) -> Iterator[Fault]:
    """The same, and some that wait for vectors to be made."""
    for fault in faults:
        yield fault
        if rng.random() < 0.4:
            seconds = rng.choice((0.01, 1.0, 30.0))
            yield Fault(rng.choice(_VECTOR_FAULTS), 1, 0, seconds)


def _texts(rng: random.Random, name: str) -> Iterator[Texts]:
    for number in range(rng.randint(1, 4)):
        sizes = rng.choices((20, 20, 200, 3_000), k=rng.choice((1, 1, 2, 5)))
        yield Texts(
            marker=f"{name}.{number}",
            sizes=tuple(sizes),
            pause=rng.choice((0.0, 0.1, 3.0, 30.0)),
            base64=rng.random() < 0.5,
            leaves=rng.choice((0.0, 0.3, 1.0, 5.0)) if rng.random() < 0.25 else None,
        )


def _forks(rng: random.Random, orders: tuple[Order, ...]) -> Iterator[Order]:
    """The same orders, and what is said in the forks of who is not deleted."""
    deleted = {order.person for order in orders if order.verb == "delete"}
    for number, order in enumerate(orders):
        if order.verb != "fork" or order.person in deleted or rng.random() < 0.2:
            yield order
            continue
        marker = f"{order.person}.f{number}"
        say = Say(
            marker=marker,
            rounds=tuple(_rounds(rng, marker)),
            words=rng.choice((0, 1, 5)),
            pause=rng.choice((0.0, 1.0)),
            queue="followup",
            wire=rng.choice(("bus", "bus", "stream", "whole")),
        )
        yield attrs.evolve(order, say=say)


def _orders(rng: random.Random, people: tuple[Person, ...]) -> Iterator[Order]:
    verbs: tuple[Verb, ...] = ("reset", "rewind", "fork", "archive", "unarchive")
    if rng.random() < 0.5:
        return
    for _ in range(rng.choice((1, 2, 4, 8))):
        yield Order(
            verb=rng.choice(verbs),
            person=rng.choice(people).name,
            seconds=rng.choice((0.0, 0.05, 1.0, 10.0, 400.0)),
        )
    for person in people:
        wishes = [w for say in person.says for calls in say.rounds for w in calls]
        if rng.random() < 0.3 and not any(wish.task for wish in wishes):
            yield Order("delete", person.name, rng.choice((0.0, 1.0)))


# Worlds in which a client has a tool called or a conversation made shorter.
ORDERED_SHARE = 0.3


def _with_turns(
    rng: random.Random, people: tuple[Person, ...], orders: tuple[Order, ...]
) -> Iterator[Order]:
    """The same orders, and some that are turns; last of all something is deleted."""
    if rng.random() >= ORDERED_SHARE:
        yield from orders
        return
    kept = [order for order in orders if order.verb != "delete"]
    for _ in range(rng.choice((1, 2, 4))):
        verb: Verb = rng.choice(("compact", "compact", "tool"))
        odd = rng.random()
        text = "fail" if odd < 0.05 else "crash" if odd < 0.1 else "do it"
        order = Order(
            verb=verb,
            person=rng.choice(people).name,
            seconds=rng.choice((0.0, 0.3, 5.0, 400.0)),
            wish=Wish(rng.choice(TOOLS), text) if verb == "tool" else None,
        )
        kept.insert(rng.randint(0, len(kept)), order)
    yield from kept
    yield from (order for order in orders if order.verb == "delete")


def _queue(rng: random.Random) -> QueueMode:
    modes: tuple[QueueMode, ...] = ("followup", "steer", "collect", "interrupt")
    return rng.choice(modes)


def _is_poor(planned: Plan) -> bool:
    """Whether there is no room for what tools of the node's own say."""
    return planned.session_tokens is not None or planned.window < ROOMY


def _each_say(planned: Plan, change: Callable[[Say], Say]) -> Plan:
    """The same world, in which everything that is said is another."""
    people = [attrs.evolve(p, says=tuple(map(change, p.says))) for p in planned.people]
    orders = [
        o if o.say is None else attrs.evolve(o, say=change(o.say))
        for o in planned.orders
    ]
    return attrs.evolve(planned, people=tuple(people), orders=tuple(orders))


def _working(rng: random.Random, planned: Plan) -> Plan:
    """The same world, whose agents work on files and with commands, if they can."""
    if rng.random() >= WORK_SHARE or _is_poor(planned):
        return planned
    return attrs.evolve(
        _each_say(planned, partial(_at_work, rng)),
        works=True,
        mode=rng.choice(("off", "off", "off", "on-miss", "always")),
        faults=tuple(_faults_at_work(rng, planned.faults)),
    )


def _faults_at_work(rng: random.Random, faults: tuple[Fault, ...]) -> Iterator[Fault]:
    """The same, and some that wait for work on files, or are about commands."""
    for fault in (*faults, *faults, None):
        seconds = rng.choice((0.01, 1.0, 30.0))
        if rng.random() < 0.4:
            yield Fault(rng.choice(_WORK_FAULTS), rng.choice((1, 40)), 0, seconds)
        if fault is not None and rng.random() < 0.6:
            yield fault


def _at_work(rng: random.Random, say: Say) -> Say:
    rounds = (tuple(_work(rng, wish) for wish in calls) for calls in say.rounds)
    return attrs.evolve(say, rounds=tuple(rounds))


def _work(rng: random.Random, wish: Wish) -> Wish:
    if wish.task is not None:
        return attrs.evolve(wish, task=_at_work(rng, wish.task))
    if wish.tool not in TOOLS or rng.random() < 0.2:
        return wish
    tool = rng.choice(("exec", "exec", "exec", *CHANGES))
    return Wish(tool, "", given=_command(rng) if tool == "exec" else _CHANGES[tool])


_PATCH = f"""*** Begin Patch
*** Update File: {LOG}
-end
+{{mark}}
+end
*** Add File: work/added/{{mark}}
+{{mark}}
*** End Patch"""
_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "write": {"path": "work/{who}", "content": "{mark}\n" * 3},
    "edit": {"path": LOG, "oldText": "end", "newText": "{mark}\nend"},
    "apply_patch": {"input": _PATCH},
}


def _command(rng: random.Random) -> Mapping[str, Any]:
    """A command: how long it goes on, and how long it is waited for."""
    seconds = rng.choice((0, 0, 0.5, 5, 30, 400, 4_000))
    ends = rng.choice(("", "", "; false", "; echo done"))
    given: dict[str, Any] = {"command": f"echo '{{mark}}'; sleep {seconds}{ends}"}
    odd = rng.random()
    if odd < 0.3:
        given["background"] = True
    elif odd < 0.5:
        given["yieldMs"] = rng.choice((0, 20, 1_000, 60_000))
    if rng.random() < 0.2:
        given["timeout"] = rng.choice((0.3, 20.0))
    return given


def _using(rng: random.Random, planned: Plan) -> Plan:
    """The same world, in which commands in the background are used."""

    def used(say: Say) -> Say:
        return attrs.evolve(say, rounds=tuple(_used(rng, say.rounds)))

    return _each_say(planned, used)


def _used(
    rng: random.Random, rounds: tuple[tuple[Wish, ...], ...]
) -> Iterator[tuple[Wish, ...]]:
    for wishes in rounds:
        if not any(w.given and w.given.get("background") for w in wishes):
            yield wishes
            continue
        reads = rng.random() < 0.5
        yield tuple(_reading(rng, w) if reads else w for w in wishes)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            yield tuple(_process(rng) for _ in range(rng.choice((1, 1, 2))))


def _reading(rng: random.Random, wish: Wish) -> Wish:
    """The same command, if it is one in the background; it reads before it ends."""
    given = wish.given
    if given is None or not given.get("background"):
        return wish
    given = {**given, "command": "echo '{mark}'; cat; sleep 0.5"}
    if rng.random() < 0.5:
        given["pty"] = True
    return attrs.evolve(wish, given=given)


_USES: tuple[Mapping[str, Any], ...] = (
    {"action": "list"},
    {"action": "poll"},
    {"action": "poll", "timeout": 30_000},
    {"action": "log"},
    {"action": "write", "data": "{mark}\n"},
    {"action": "write", "data": "{mark}\n"},
    {"action": "write", "data": "{mark}\n", "eof": True},
    {"action": "send-keys", "literal": "{mark}", "keys": ["Enter"]},
    {"action": "submit", "data": "{mark}"},
    {"action": "paste", "bracketed": False},
    {"action": "kill"},
    {"action": "clear"},
    {"action": "remove"},
)


def _process(rng: random.Random) -> Wish:
    use = rng.choice(_USES)
    return Wish(
        "process", "", given={**use, "sessionId": "{session}", "text": "{mark}"}
    )


URLS = (
    *("http://page.example/text/{place}",) * 3,
    *("http://page.example/page/{place}",) * 2,
    "http://other.example/text/{place}",
    "http://two.example/page/{place}",
    *("http://turns.example/text/{place}",) * 3,
    "http://inside.example/text/{place}",
    "http://both.example/text/{place}",
    "http://10.0.0.77/text/{place}",
    *(
        f"http://page.example/{kind}/{{place}}"
        for kind in ("long", "no", "fails", "stall", "drip", "cut", "odd", "round/0")
    ),
    *(
        f"http://page.example/to/{host}/page/{{place}}"
        for host in (
            *("page.example", "other.example", "to.example", "inside.example"),
            *("both.example", "turns.example", "127.0.0.1", "169.254.169.254"),
        )
    ),
)


def _browsing(rng: random.Random, planned: Plan) -> Plan:
    """The same world, whose agents fetch pages, if they can."""
    if rng.random() >= BROWSE_SHARE or _is_poor(planned):
        return planned
    return attrs.evolve(_each_say(planned, partial(_browsed, rng)), browses=True)


def _browsed(rng: random.Random, say: Say) -> Say:
    rounds = (tuple(_fetched(rng, wish) for wish in calls) for calls in say.rounds)
    return attrs.evolve(say, rounds=tuple(rounds))


def _fetched(rng: random.Random, wish: Wish) -> Wish:
    if wish.task is not None:
        return attrs.evolve(wish, task=_browsed(rng, wish.task))
    if wish.tool not in TOOLS or rng.random() < 0.4:
        return wish
    return Wish(FETCH, "", given={"url": rng.choice(URLS)})


TOOLS = ("look", "put", "order", "send")


def _rounds(
    rng: random.Random,
    marker: str,
    asks: bool = False,
    spawns: bool = False,
) -> Iterator[tuple[Wish, ...]]:
    for round_ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        wishes: list[Wish] = []
        for place in range(rng.choice((1, 1, 1, 2, 3))):
            if spawns and rng.random() < 0.5:
                wishes.append(_spawn(rng, f"{marker}.{round_}.{place}"))
                continue
            tool = rng.choice(TOOLS)
            if asks and rng.random() < 0.6:
                tool = rng.choice(("ask", "dare"))
            odd = rng.random()
            text = "fail" if odd < 0.04 else "crash" if odd < 0.06 else "do it"
            wishes.append(Wish(tool, text))
        yield tuple(wishes)


def _spawn(rng: random.Random, place: str) -> Wish:
    """A sub-agent; its marker has no point, which is what tells its conversation."""
    marker = f"sub_{place.replace('.', '_')}"
    task = Say(
        marker=marker,
        rounds=tuple(_rounds(rng, marker)) if rng.random() < 0.5 else (),
        words=rng.choice((0, 1, 5)),
        pause=0.0,
        queue=None,
    )
    return Wish("spawn", rng.choice(("wait", "wait", "announce")), task)


def _faults(rng: random.Random) -> Iterator[Fault]:
    kinds, weights = tuple(_FAULTS), tuple(_FAULTS.values())
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 6))):
        yield Fault(
            kind=rng.choices(kinds, weights)[0],
            points=rng.choice((1, 5, 40, 120, 300)) + rng.randint(0, 60),
            steps=rng.choice((0, 0, 0, 1, 2, 5)),
            seconds=rng.choice((0.01, 1.0, 30.0, 1_000.0)),
        )
