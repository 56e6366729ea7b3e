"""A program that holds many commands, to be killed: ``python -m ... COUNT MARK``.

Every kind of child that a node could leave behind is among them: plain ones, some in
sessions of their own, some of a double fork, some that are deaf to SIGTERM, on pipes and
on terminals. All have MARK in their command line.
"""

import sys
from functools import partial

import trio

import supervision
from beamclaw import commands
from beamclaw.contracts.commands import Launch, StartCommand, Terminal, start
from beamclaw.contracts.outside import Outside

SLEEP = "exec -a {mark} sleep 1000"
KINDS = (
    "{sleep}",
    "setsid bash -c '{sleep}' & {sleep}",
    "(setsid bash -c '({sleep}) &' &); {sleep}",
    "trap '' TERM HUP INT; while :; do sleep 1000; done # {mark}",
    (
        "(trap '' TERM; setsid bash -c 'trap \"\" TERM; while :; do sleep 9; done; #{mark}' &)"
        " ; {sleep}"
    ),
)


def launch(number: int, mark: str) -> Launch:
    sleep = SLEEP.format(mark=mark)
    script = KINDS[number % len(KINDS)].format(mark=mark, sleep=sleep)
    return Launch(
        argv=("/bin/bash", "-c", script),
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        pty=Terminal() if number % 3 == 2 else None,
    )


async def begin(count: int, mark: str, done: list[int]) -> None:
    for number in range(count):
        order = StartCommand(
            id=f"c{number}",
            launch=launch(number, mark),
            owner=supervision.self_pid(),
            seconds=None,
        )
        pid = await start("default", order)
        while supervision.state(pid)["state"] == "starting":  # noqa: ASYNC110 -- a test
            await trio.sleep(0.005)
        done.append(number)
    await trio.sleep_forever()


async def main(count: int, mark: str) -> None:
    settings = commands.Settings(max_running=count)
    up = partial(commands.supervisor, "default", settings, Outside())
    spec = supervision.ChildSpec("c", up, type="supervisor", shutdown=None)
    async with supervision.open_supervisor([spec]):
        done = list[int]()
        supervision.spawn(begin, count, mark, done)
        while len(done) < count:  # noqa: ASYNC110 -- a test
            await trio.sleep(0.01)
        print("ready", flush=True)  # noqa: T201 -- a program
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2])
