"""Keeps the configuration's secrets out of whatever is shown."""

import re
from typing import Final

from beamclaw.config.schema import Config
from beamclaw.contracts.secret import REDACTED, Secret

# A shorter value would turn half of every line into [secret].
SHORTEST_SECRET: Final = 4


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
