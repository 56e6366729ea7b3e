"""What is set for one session, and how it is set: names and values in words.

The names are OpenClaw's, in its words or in ours: ``thinkingLevel`` is ``thinking``,
``verboseLevel`` is ``verbosity``.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

import attrs

from beamclaw.contracts.messages import ThinkingLevel
from beamclaw.values import frozen

Verbosity = Literal["off", "on", "full"]
"""How much a person is told of what goes on beside the answer."""

MAX_LABEL: Final = 200
MAX_MODEL: Final = 200


class BadSetting(ValueError):  # noqa: N818 -- a situation
    """There is no such setting, or it cannot be set to that; says what can."""


@frozen(kw_only=True)
class SessionMeta:
    """What is set for a session; None: nothing is, so the agent's own holds.

    Attributes:
        label: What people call it.
        model: ``provider/model`` in place of the agent's.
        thinking: How long the model may think, where the provider can be told.
        verbosity: How much is told beside the answer.
    """

    label: str | None = None
    model: str | None = None
    thinking: ThinkingLevel | None = None
    verbosity: Verbosity | None = None


SETTINGS: Final = tuple(field.name for field in attrs.fields(SessionMeta))
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "thinking": get_args(ThinkingLevel),
    "verbosity": get_args(Verbosity),
}


def changed(meta: SessionMeta, changes: Mapping[str, str | None]) -> SessionMeta:
    """*meta* with *changes*, by name; None or an empty text takes a setting back.

    Whether a model exists is for whoever knows the configuration.

    Raises:
        BadSetting: A name or value that cannot be.
    """
    for name, value in changes.items():
        if name not in SETTINGS:
            near = _nearest(name, SETTINGS)
            words = f"there is no setting {name!r}{near}; there are "
            raise BadSetting(words + ", ".join(SETTINGS))
        if value:
            _check(name, value)
    return attrs.evolve(
        meta, **{name: value or None for name, value in changes.items()}
    )


def _check(name: str, value: str) -> None:
    choices = _CHOICES.get(name)
    if choices is not None:
        if value not in choices:
            near = _nearest(value, choices)
            raise BadSetting(
                f"{name} is one of {', '.join(choices)}, not {value!r}{near}"
            )
        return
    most = MAX_LABEL if name == "label" else MAX_MODEL
    if len(value) > most or not value.isprintable():
        raise BadSetting(f"{name} is one line of at most {most} characters")


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
