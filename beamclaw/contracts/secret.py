"""A value that must never be seen: tokens, passwords, provider keys."""

import hmac
from collections.abc import Iterable
from typing import Final, NoReturn, final

REDACTED: Final = "[secret]"
# A shorter value would turn half of every line into that.
SHORTEST: Final = 4


@final
class Secret:
    """Holds a string that no print, format, pickle, copy or serialiser reveals.

    Only :meth:`reveal` gives the value back, so that a search for that word finds
    every place where a secret leaves the type. Two secrets are compared in constant
    time; they are not hashable, so that none becomes a key or a label by accident.
    """

    __slots__ = ("__value",)
    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself; call it where it goes out, and keep no copy."""
        return self.__value

    def matches(self, offered: str) -> bool:
        """Whether *offered* is the value; takes the same time wherever they differ."""
        return hmac.compare_digest(
            self.__value.encode(), offered.encode("utf-8", "surrogateescape")
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.__value)

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __reduce__(self) -> NoReturn:
        msg = "a secret cannot be pickled or copied"
        raise TypeError(msg)


def hideable(secrets: Iterable[Secret]) -> frozenset[str]:
    """The values that are looked for where secrets are kept out of a text."""
    values = {secret.reveal() for secret in secrets}
    return frozenset(value for value in values if len(value) >= SHORTEST)
