"""What is wrong, or probably wrong, with the policies of tools in a configuration."""

from collections.abc import Iterable, Iterator

from beamclaw.config.document import child
from beamclaw.config.installed import TOOLS, found
from beamclaw.config.schema import AgentToolsConfig, Config, ToolPolicy
from beamclaw.config.structure import nearest
from beamclaw.config.tool_names import built_in, group_names

Found = Iterator[tuple[str, str]]


def policies(config: Config) -> Iterator[tuple[str, ToolPolicy]]:
    """Every policy of *config*, with its path."""
    own = (
        (f"{child('agents', id_)}.tools", a.tools) for id_, a in config.agents.items()
    )
    nodes: Iterable[tuple[str, AgentToolsConfig]] = (("tools", config.tools), *own)
    for path, policy in nodes:
        yield path, policy
        for name, narrower in policy.by_provider.items():
            yield child(f"{path}.by_provider", name), narrower


def errors(config: Config) -> Found:
    """Groups that do not exist, and names that are none."""
    known = group_names()
    for path, term in _ordered(config):
        if not term.strip() or term.startswith("group:") or _is_pattern(term):
            yield path, "has to be the name of one tool"
    for path, term in _terms(config):
        if not term.strip():
            yield path, "is empty"
        elif term.startswith("group:") and term not in known:
            hint = nearest(term, known) or f"; there are {', '.join(known)}"
            yield path, f"there is no group {term!r}{hint}"


def doubts(config: Config) -> Found:
    """Names of tools that are neither built in nor of an installed package."""
    known = frozenset(built_in())
    packages: frozenset[str] | None = None
    for path, term in (*_terms(config), *_ordered(config)):
        if term in known or term.startswith("group:") or _is_pattern(term):
            continue
        if packages is None:
            packages = frozenset(found(TOOLS))
        if not any(belongs(term, name) for name in packages):
            hint = nearest(term, known | packages)
            words = f"no tool {term!r} is built in, and no package has it"
            yield path, f"{words}{hint}"


def _terms(config: Config) -> Found:
    """Each name in a list of a policy, with its path."""
    for path, policy in policies(config):
        for key, terms in (("allow", policy.allow), ("deny", policy.deny)):
            for place, term in enumerate(terms):
                yield child(f"{path}.{key}", place), term


def _ordered(config: Config) -> Found:
    """Each name of what clients may order and may not, with its path."""
    tools = config.gateway.tools
    for key, terms in (("allow", tools.allow), ("deny", tools.deny)):
        for place, term in enumerate(terms):
            yield child(f"gateway.tools.{key}", place), term


def belongs(tool: str, entry_point: str) -> bool:
    """Whether a tool may come from an entry point: it has its name, or begins with it."""
    return tool == entry_point or tool.startswith(f"{entry_point}_")


def _is_pattern(term: str) -> bool:
    return any(sign in term for sign in "*?[")
