"""Parts of the tree begun anew, by another configuration, while all others go on.

What stands in the tree is told to stop and started by its spec, which reads what holds
now. Nothing that crashes is meant here: who supervises a part sees an orderly end.
"""

from collections.abc import Mapping

import supervision
from beamclaw import providers
from beamclaw.config.applying import Part
from beamclaw.config.schema import Config
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from supervision import ChildSpec, Pid

# Where the parts stand: ids from the top, the last ones the children, stopped in the
# order in which they are named here and started the other way round.
_PLACES: Mapping[Part, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "telemetry": ((), ("telemetry",)),
    "skills": (("tenants", f"tenant:{names.DEFAULT_TENANT}"), ("skills",)),
    "gateway": ((), ("gateway",)),
    "gateway/listener": (("gateway",), ("server", "listener")),
    "gateway/server": (("gateway",), ("server",)),
}


async def renew(outside: Outside, part: Part, before: Config, after: Config) -> None:
    """Begin *part* anew.

    Raises:
        supervision.ChildError: It does not start.
    """
    if part == "providers":
        await _providers(outside, before, after)
        return
    above, children = _PLACES[part]
    supervisor = await _find(above)
    if supervisor is None:
        return
    known = {child.id for child in await supervision.which_children(supervisor)}
    concerned = [child for child in children if child in known]
    for child in concerned:
        await supervision.terminate_child(supervisor, child)
    for child in reversed(concerned):
        await supervision.restart_child(supervisor, child)


async def _find(path: tuple[str, ...]) -> Pid | None:
    """The supervisor at *path*, ids from the top; None: it will begin with what holds."""
    found = supervision.tree().pid
    for each in path:
        if found is None:
            return None
        children = await supervision.which_children(found)
        found = next((child.pid for child in children if child.id == each), None)
    return found


async def _providers(outside: Outside, before: Config, after: Config) -> None:
    """Only those whose settings have changed, each with all its keys."""
    supervisor = await _find(("providers",))
    if supervisor is None:
        return
    was, now = _specs(outside, before), _specs(outside, after)
    for id_, (provider, _) in was.items():
        if id_ not in now or before.providers[provider] != after.providers[provider]:
            await supervision.terminate_child(supervisor, id_)
            await supervision.delete_child(supervisor, id_)
            was = {key: value for key, value in was.items() if key != id_}
    for id_, (_, spec) in now.items():
        if id_ not in was:
            with point("config.begin-provider"):
                await supervision.start_child(supervisor, spec)


def _specs(outside: Outside, config: Config) -> dict[str, tuple[str, ChildSpec]]:
    """By id: whose permit server it is, and its spec."""
    specs = {spec.id: spec for spec in providers.supervisor(config, outside).children}
    return {
        names.of_key(name, key): (name, specs[names.of_key(name, key)])
        for name, provider in config.providers.items()
        for key in range(provider.key_count)
    }
