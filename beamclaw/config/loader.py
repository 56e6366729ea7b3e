"""Reads the configuration: which file, what the environment adds, what holds then."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from beamclaw.config.checks import check, doubts, model_name
from beamclaw.config.document import (
    MAX_BYTES,
    Branch,
    Listing,
    Node,
    Scalar,
    child,
    parse,
    without,
)
from beamclaw.config.environment import KEYS, overlay, variable
from beamclaw.config.include_files import Shelf
from beamclaw.config.including import Open, Whole, taken_together
from beamclaw.config.problems import NO_HOME, ConfigError, Problem, Where, at_home
from beamclaw.config.schema import Chosen, Config, ConfigFileConfig, ProviderConfig
from beamclaw.config.secret_forms import Form, InFile
from beamclaw.config.secret_reading import SecretLimits, SecretReader
from beamclaw.config.structure import structure
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.shell import data_folder
from beamclaw.values import frozen

FILE_NAME: Final = "beamclaw.yaml"


@frozen
class Loaded:
    """A configuration that can be used, and how it came about.

    Attributes:
        config: The values.
        file: The file that was read, if any.
        warnings: What is probably a mistake, although it can be used.
        origins: Path of a key to where its value was set; others have their default.
        secrets: Knows what programs have said where a secret is.
        text: Of the file.
        included: The texts of the files that it includes, by their absolute names.
    """

    config: Config
    file: Path | None
    warnings: tuple[Problem, ...]
    origins: Mapping[str, str]
    secrets: SecretReader = attrs.field(factory=SecretReader, repr=False)
    text: str | None = attrs.field(default=None, repr=False)
    included: Mapping[Path, str] = attrs.field(factory=dict[Path, str], repr=False)


def load(
    variables: Mapping[str, str],
    *,
    file: str | Path | None = None,
    data: str | Path | None = None,
    options: Mapping[str, str] | None = None,
    strict: bool = False,
    secrets: SecretReader | None = None,
) -> Loaded:
    """The configuration that holds.

    Args:
        variables: The environment.
        file: ``--config``; else ``BEAMCLAW_CONFIG``, else ``beamclaw.yaml`` in the data
            folder if there is one, else none.
        data: ``--data``.
        options: Values of the command line by path, as ``{"gateway.port": "0"}``.
        strict: An unknown key is an error too.
        secrets: Reads those that stand elsewhere.

    Raises:
        ConfigError: It cannot be used; all reasons at once.
    """
    folder = data_folder(variables, data)
    path = file_of(variables, file, folder)
    text = None if path is None else decoded(_read(path), path)
    return load_text(
        text,
        path,
        variables,
        folder=folder,
        options=options,
        strict=strict,
        secrets=secrets,
    )


def load_text(
    text: str | None,
    path: Path | None,
    variables: Mapping[str, str],
    *,
    folder: Path,
    options: Mapping[str, str] | None = None,
    strict: bool = False,
    secrets: SecretReader | None = None,
    again: bool = True,
    read: Open | None = None,
) -> Loaded:
    """The configuration that holds with *text* in the file *path*.

    Unless *again*, programs that have said a secret before are not asked again. *read*
    gives what included files say, if that is not what is on the disk.

    Raises:
        ConfigError: It cannot be used; all reasons at once.
    """
    base = folder_of(path) if path else folder
    whole, errors = Whole(tree=Branch(Where("built in"), "")), list[Problem]()
    if text is not None and path is not None:
        tree, errors = parse(text, str(path), variables)
        whole = taken_together(tree, path, variables, read or Shelf(base))
        errors += whole.problems
    order = [str(path), *whole.shown]
    if (
        not whole.complete
    ):  # whoever judged the rest would blame it for what is not there
        raise ConfigError(_sorted(errors, order), files=whole.files)
    tree, files = whole.tree, list(whole.files)
    warnings = overlay(tree, variables, options or {})
    errors += _missing_apis(tree)
    places = _places(tree)
    secrets = secrets or SecretReader()
    limits = _secret_limits(tree, base)
    find = _Finding(secrets, variables, limits, again=again, files=files)
    config, wrong, unknown = structure(tree, Config, base, find)
    errors += wrong
    (errors if strict else warnings).extend(unknown)
    if config is None:  # judge the rest as if the wrong values were not there
        for problem in wrong:
            without(tree, problem.path)
        config, _, _ = structure(tree, Config, base, find)
    if config is not None:
        errors += check(config, lambda at: _nearest_place(places, at))
        errors += _bad_model(config, variables)
        unsure = doubts(config, lambda at: _nearest_place(places, at))
        (errors if strict else warnings).extend(unsure)
    if errors or config is None:
        raise ConfigError(_sorted(errors, order), _sorted(warnings, order), files)
    config = attrs.evolve(config, data=folder, file=path, files=tuple(files))
    config = _with_sources(config, places)
    config = attrs.evolve(config, chosen=choose(config, places, variables))
    return Loaded(
        config=config,
        file=path,
        warnings=tuple(_sorted(warnings, order)),
        origins=_origins(places),
        secrets=secrets,
        text=text,
        included=whole.texts,
    )


@attrs.define
class _Finding:
    """Reads the secrets of one configuration that stand elsewhere.

    Attributes:
        files: Those that were looked for, found or not, are put into it.
    """

    _secrets: SecretReader
    _variables: Mapping[str, str] = attrs.field(repr=False)
    _limits: SecretLimits
    _again: bool = attrs.field(kw_only=True, alias="again")
    files: list[Path] = attrs.field(kw_only=True)

    def __call__(self, form: Form) -> Secret:
        """See :data:`~beamclaw.config.secret_forms.Find`."""
        if isinstance(form, InFile) and form.path not in self.files:
            self.files.append(form.path)
        return self._secrets.read(
            form, self._variables, self._limits, again=self._again
        )


def _secret_limits(tree: Branch, base: Path) -> SecretLimits:
    """What the file itself says of them; what is wrong there is told later."""
    said = tree.get("config")
    known = None
    if isinstance(said, Branch):
        known, _, _ = structure(said, ConfigFileConfig, base)
    known = known or ConfigFileConfig()
    return SecretLimits(seconds=known.secret_seconds, most=known.secret_bytes)


def choose(
    config: Config, places: Mapping[str, Where], variables: Mapping[str, str]
) -> Chosen:
    """The model for agents that name none: the first rule that holds."""
    named = variables.get("BEAMCLAW_MODEL")
    if named:
        return Chosen(named, "BEAMCLAW_MODEL names it")
    for name, provider in config.providers.items():
        place = places.get(child("providers", name))
        usable = provider.api_key or provider.base_url or provider.api == "demo"
        if usable and place is not None and place.line is not None:
            words = f"{name} is the first provider in {place.source}"
            return Chosen(_full(name, provider), words)
    for index, words in ((0, "is set"), (1, "is set, and no provider has a key")):
        for name, sources in KEYS.items():
            if name in config.providers and variables.get(sources[index]):
                model = _full(name, config.providers[name])
                return Chosen(model, f"{sources[index]} {words}")
    return Chosen(
        _full("demo", config.providers["demo"]),
        "there is no ANTHROPIC_API_KEY and no OPENAI_API_KEY, and demo needs none",
    )


def _full(name: str, provider: ProviderConfig) -> str:
    return f"{name}/{provider.chosen_model}"


def file_of(
    variables: Mapping[str, str], given: str | Path | None, folder: Path
) -> Path | None:
    """The file that is read: *given*, else ``BEAMCLAW_CONFIG``, else that of *folder*."""
    said = given or variables.get("BEAMCLAW_CONFIG")
    if said:
        path = at_home(str(said))
        if path is None:
            raise _refused(Where(str(said)), NO_HOME)
        return path
    default = folder / FILE_NAME
    return default if default.exists() else None


def folder_of(path: Path) -> Path:
    """The folder of the configuration *path*: what paths in it are relative to."""
    return Path(os.path.abspath(path)).parent  # noqa: PTH100 -- resolve() would follow a link


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(Where(str(path)), f"cannot be read: {error.strerror}") from None


def decoded(raw: bytes, path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: It is none, or too large for a configuration.
    """
    if len(raw) > MAX_BYTES:
        words = f"is larger than {MAX_BYTES} bytes; a configuration is not"
        raise _refused(Where(str(path)), words)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        where = Where(str(path), line, column)
        raise _refused(where, "is not UTF-8 text") from None


def _refused(where: Where, message: str) -> ConfigError:
    return ConfigError([Problem(where, "", message)])


def _missing_apis(tree: Branch) -> list[Problem]:
    providers = tree.get("providers")
    if not isinstance(providers, Branch):
        return []
    return [
        Problem(
            providers.keys_at[name],
            child(child(providers.path, name), "api"),
            "is missing; expected one of openai, anthropic, demo",
        )
        for name, entry in providers.items()
        if isinstance(entry, Branch)
        and (not isinstance(api := entry.get("api"), Scalar) or api.null)
    ]


def _bad_model(config: Config, variables: Mapping[str, str]) -> list[Problem]:
    named = variables.get("BEAMCLAW_MODEL")
    if not named:
        return []
    return [
        Problem(variable("BEAMCLAW_MODEL"), path, message)
        for path, message in model_name("", named, config.providers)
    ]


def _places(node: Node, places: dict[str, Where] | None = None) -> dict[str, Where]:
    """Where each path stands: a mapping by its key, everything else by itself."""
    places = {} if places is None else places
    if not (isinstance(node, Scalar) and node.null):
        places[node.path] = node.where
    if isinstance(node, Branch):
        for key, value in node.items():
            _places(value, places)
            if isinstance(value, Branch):
                places[value.path] = node.keys_at[key]
    elif isinstance(node, Listing):
        for value in node:
            _places(value, places)
    return places


def _nearest_place(places: Mapping[str, Where], path: str) -> Where:
    """Where *path* was set, else the first thing above it that is written anywhere."""
    while path and path not in places:
        path = path.rpartition(".")[0]
    return places.get(path, Where("built in"))


def _with_sources(config: Config, places: Mapping[str, Where]) -> Config:
    providers = dict(config.providers)
    for name, provider in config.providers.items():
        path = child(child("providers", name), "api_key")
        place = places.get(path)
        if provider.api_key is None or place is None:
            continue
        words = str(place) if place.line is None else f"{path} in {place}"
        providers[name] = attrs.evolve(provider, key_source=words)
    return attrs.evolve(config, providers=providers)


def _origins(places: Mapping[str, Where]) -> dict[str, str]:
    return {
        path: str(where) for path, where in places.items() if str(where) != "built in"
    }


def _sorted(problems: list[Problem], order: list[str]) -> list[Problem]:
    return sorted(
        problems,
        key=lambda p: (
            order.index(p.where.source) if p.where.source in order else -1,
            p.where.line or 0,
            p.where.column or 0,
            p.path,
        ),
    )
