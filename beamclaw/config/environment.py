"""What the environment and the command line add to the file, as parts of its tree.

Every value keeps where it came from, so that an error or ``config show`` can say it.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from beamclaw.config.document import Branch, Node, Scalar, child
from beamclaw.config.models import APIS, Api
from beamclaw.config.problems import Problem, Where

# In the order of preference when nobody chose.
KEYS: Final[Mapping[Api, tuple[str, str]]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
}


def variable(name: str) -> Where:
    """Where a value of the environment comes from."""
    return Where(f"environment variable {name}")


def overlay(
    tree: Branch, variables: Mapping[str, str], options: Mapping[str, str]
) -> list[Problem]:
    """Add to *tree* what is set elsewhere; the warnings that this brings.

    Args:
        tree: Of the file; changed.
        variables: The environment.
        options: Path of a key to the text given for it on the command line.
    """
    warnings: list[Problem] = []
    _set(tree, ("gateway", "auth", "token"), variables, "BEAMCLAW_TOKEN")
    for name, (key, url) in KEYS.items():
        warnings += _known_provider(tree, name, variables, key, url)
    _collector(tree, variables)
    providers = _inside(tree, "providers")
    if providers is not None:
        _add(providers, "demo", _branch(providers, "demo"), Where("built in"))
        _say_apis(providers)
    agents = _inside(tree, "agents")
    if agents is not None:
        _open(agents)
        _add(agents, "main", _branch(agents, "main"), Where("built in"))
    for path, text in options.items():
        _put(tree, tuple(path.split(".")), text, Where(f"--{path.rpartition('.')[2]}"))
    return warnings


def _known_provider(
    tree: Branch, name: Api, variables: Mapping[str, str], key: str, url: str
) -> list[Problem]:
    """A provider named like its protocol takes what is missing from the environment."""
    providers = _inside(tree, "providers")
    if providers is None or not (variables.get(key) or variables.get(url)):
        return []
    entry = providers.get(name)
    if not _absent(entry):
        if not isinstance(entry, Branch) or _text(entry, "api") not in ("", name):
            return []
        if not _absent(entry.get("base_url")):
            # The key of the public service is not for whoever answers elsewhere.
            if variables.get(key) and _absent(entry.get("api_key")):
                return [
                    Problem(
                        entry.where,
                        entry.path,
                        f"{key} is not sent to a base_url of your own; if it is meant "
                        f"for it, write api_key: ${{{key}}}",
                    )
                ]
            return []
    if not (isinstance(entry, Branch) and not _absent(entry.get("api_key"))):
        _set(tree, ("providers", name, "api_key"), variables, key)
    _set(tree, ("providers", name, "base_url"), variables, url)
    return []


def _collector(tree: Branch, variables: Mapping[str, str]) -> None:
    """OpenTelemetry's own variables, where the file says nothing: they are for all."""
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    whole, base = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    said = _inside(tree, "telemetry")
    otlp = None if said is None else _inside(said, "otlp")
    if otlp is None or not _absent(otlp.get("endpoint")):
        return
    if variables.get(whole):
        _set(otlp, ("endpoint",), variables, whole)
    elif variables.get(base):
        url = variables[base].rstrip("/") + "/v1/traces"
        _put(otlp, ("endpoint",), url, variable(base), (base,))
    else:
        return
    if _absent(otlp.get("service")):
        _set(otlp, ("service",), variables, "OTEL_SERVICE_NAME")
    name = "OTEL_EXPORTER_OTLP_HEADERS"
    pairs = [pair.partition("=") for pair in variables.get(name, "").split(",")]
    if _absent(otlp.get("headers")):
        for key, equals, value in pairs:
            if equals and key.strip():
                text = unquote(value.strip())
                _put(otlp, ("headers", key.strip()), text, variable(name), (name,))


def _say_apis(providers: Branch) -> None:
    _open(providers)
    for name, entry in providers.items():
        if name in APIS and isinstance(entry, Branch) and _absent(entry.get("api")):
            where = providers.keys_at[name]
            entry.put("api", Scalar(name, where, child(entry.path, "api")), where)


def _open(entries: Branch) -> None:
    """`main:` with nothing under it is an entry that leaves everything as it is."""
    for name, at in entries.keys_at.items():
        if name in entries and _absent(entries[name]):
            entries[name] = Branch(at, child(entries.path, name))


def _inside(tree: Branch, key: str) -> Branch | None:
    """The mapping under *key*, made if nothing is there; None if it is wrong."""
    if _absent(tree.get(key)):
        _add(tree, key, _branch(tree, key), Where("built in"))
    node = tree[key]
    return node if isinstance(node, Branch) else None


def _branch(parent: Branch, key: str) -> Branch:
    return Branch(Where("built in"), child(parent.path, key))


def _add(branch: Branch, key: str, node: Node, where: Where) -> None:
    if key not in branch.keys_at or _absent(branch.get(key)):
        branch.put(key, node, branch.keys_at.get(key, where))


def _absent(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.null)


def _text(entry: Branch, key: str) -> str:
    node = entry.get(key)
    return node.text if isinstance(node, Scalar) and not node.null else ""


def _set(
    tree: Branch, path: tuple[str, ...], variables: Mapping[str, str], name: str
) -> None:
    """Put the variable at *path*; an empty variable counts as not set."""
    text = variables.get(name, "").strip()
    if text:
        _put(tree, path, text, variable(name), (name,))


def _put(
    tree: Branch,
    path: tuple[str, ...],
    text: str,
    where: Where,
    variables: tuple[str, ...] = (),
) -> None:
    branch: Branch | None = tree
    for key in path[:-1]:
        branch = _inside(branch, key)
        if branch is None:  # something else stands there, which is told anyway
            return
    key = path[-1]
    scalar = Scalar(text, where, child(branch.path, key), variables=variables)
    branch.put(key, scalar, where)
