"""Parts of the tree begun anew, by another configuration, while all others go on.

What stands in the tree is told to stop and started by its spec, which reads what holds
now. Nothing that crashes is meant here: who supervises a part sees an orderly end.
"""

from collections.abc import Collection, Mapping

import supervision
from beamclaw import providers
from beamclaw.config.applying import Part
from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts import names
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.points import point
from supervision import ChildSpec, Pid

# Where the parts stand: ids from the top, the last ones the children, stopped in the
# order in which they are named here and started the other way round.
_PLACES: Mapping[Part, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "telemetry": ((), ("telemetry",)),
    "providers": (("providers",), ()),  # those whose settings have changed
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
    above, children = _PLACES[part]
    supervisor = await _find(above)
    if supervisor is None:
        return
    known = {child.id for child in await supervision.which_children(supervisor)}
    if part == "providers":
        await _providers(
            supervisor, known, _specs(outside, before), _specs(outside, after)
        )
        return
    concerned = [child for child in children if child in known]
    for child in concerned:
        await supervision.terminate_child(supervisor, child)
    for child in reversed(concerned):
        await supervision.restart_child(supervisor, child)


async def _find(path: tuple[str, ...]) -> Pid | None:
    """The supervisor at *path*, ids from the top; None: it will begin with what holds."""
    found = supervision.tree(depth=0).pid
    for each in path:
        if found is None:
            return None
        children = await supervision.which_children(found)
        found = next((child.pid for child in children if child.id == each), None)
    return found


Specs = Mapping[str, tuple[ProviderConfig, ChildSpec]]
"""Permit servers by their id: the settings of the provider, and the spec."""


async def _providers(
    supervisor: Pid, known: Collection[str], was: Specs, now: Specs
) -> None:
    """Only those whose settings have changed, each with all its keys."""
    same = {
        id_
        for id_, (settings, _) in now.items()
        if id_ in known and id_ in was and was[id_][0] == settings
    }
    for id_ in was:
        if id_ in known and id_ not in same:
            await supervision.terminate_child(supervisor, id_)
            await supervision.delete_child(supervisor, id_)
    for id_, (_, spec) in now.items():
        if id_ not in same:
            with point("config.begin-provider"):
                await supervision.start_child(supervisor, spec)


def _specs(outside: Outside, config: Config) -> Specs:
    specs = {spec.id: spec for spec in providers.supervisor(config, outside).children}
    return {
        id_: (provider, specs[id_])
        for name, provider in config.providers.items()
        for id_ in (names.of_key(name, key) for key in range(provider.key_count))
    }
