"""The supervisor ``skills``: the index, and who tells it that files have changed."""

from collections.abc import Callable, Iterable
from functools import partial

import supervision
from beamclaw.config.schema import Config
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside
from beamclaw.skills.look import Setting
from beamclaw.skills.server import SkillsServer
from beamclaw.skills.watching import watch

# A file that nobody can read must not take the tenant along.
COOL_DOWN = supervision.CoolDown(first=0.1, factor=2.0, most=30.0, jitter=0.2)


def supervisor(
    tenant: str,
    config: Config,
    setting: Callable[[str], Setting],
    outside: Outside,
    agents: Iterable[str] | None = None,
) -> supervision.Supervisor:
    """Both, one_for_one: the watcher asks for the index by its name."""
    name = names.of_tenant(tenant, "skills")
    known = tuple(config.agents if agents is None else agents)
    load = config.skills.load
    return supervision.Supervisor(
        [
            supervision.ChildSpec(
                "index",
                partial(
                    SkillsServer,
                    tenant,
                    known,
                    setting,
                    config.workspace.check_seconds,
                    outside,
                ),
                name=name,
                cool_down=COOL_DOWN,
            ),
            supervision.ChildSpec(
                "watch",
                partial(watch, name, outside, load.poll_seconds, watched=load.watch),
                cool_down=COOL_DOWN,
            ),
        ]
    )
