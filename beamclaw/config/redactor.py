"""Keeps the configuration's secrets out of whatever is shown."""

import re
from collections.abc import Callable
from typing import Final

from beamclaw.config.schema import Config
from beamclaw.contracts.secret import REDACTED, Secret

# A shorter value would turn half of every line into [secret].
SHORTEST_SECRET: Final = 4
# Configurations whose secrets are kept out of sight, the latest ones.
REMEMBERED: Final = 16


class Redactor:
    """Takes secrets out of text, whoever put them there."""

    def __init__(self, secrets: tuple[Secret, ...] = ()) -> None:
        values = {secret.reveal() for secret in secrets}
        # A value inside another one: the longer first, or its rest would remain.
        found = sorted(
            (value for value in values if len(value) >= SHORTEST_SECRET),
            key=lambda value: -len(value),
        )
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def scrub(self, text: str) -> str:
        """*text* with each secret replaced."""
        if self._pattern is None:
            return text
        return self._pattern.sub(REDACTED, text)


class Following(Redactor):
    """Knows the secrets of the configuration that is in force, and of those before it.

    Args:
        find: Gives the one that knows those of today; the same until they change.
    """

    def __init__(self, find: Callable[[], Redactor]) -> None:
        super().__init__()
        self._find = find
        # A key that was replaced may still be spoken of.
        self._known: tuple[Redactor, ...] = ()

    def scrub(self, text: str) -> str:
        """See :class:`Redactor`."""
        now = self._find()
        if now not in self._known:
            self._known = (now, *self._known)[:REMEMBERED]
        for each in self._known:
            text = each.scrub(text)
        return text


def redactor(config: Config) -> Redactor:
    """Knows every secret of *config*."""
    return Redactor(tuple(secrets_of(config)))


def secrets_of(config: Config) -> list[Secret]:
    """Every secret of the configuration, for whoever has to keep them out of sight."""
    auth = config.gateway.auth
    found = [auth.token, auth.password, config.hooks.token]
    for provider in config.providers.values():
        found += provider.keys
        # A header may be a key as well; nobody can tell by its name alone.
        found += [Secret(value) for value in provider.headers.values()]
    for entry in config.skills.entries.values():
        found += [entry.api_key, *map(Secret, entry.env.values())]
    return [secret for secret in found if secret]
