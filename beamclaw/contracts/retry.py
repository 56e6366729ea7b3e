"""Whether a failed model call is tried again, and when: a decision, nothing else."""

from beamclaw.contracts.providers import (
    TRANSIENT,
    ErrorKind,
    ProviderError,
    ProviderUnwell,
)
from beamclaw.values import frozen


@frozen(kw_only=True)
class RetryPolicy:
    """How often one turn asks a provider, and how long it waits in between.

    Attributes:
        max_attempts: Calls altogether, the first one included.
        first: Longest wait after the first failure, in seconds; doubles each time.
        most: Longest wait that we choose, in seconds. A provider may ask for up to
            four times as much and is obeyed; a longer wait is given up.
    """

    max_attempts: int = 3
    first: float = 0.5
    most: float = 30.0

    @property
    def patience(self) -> float:
        """The longest wait a provider may ask for, in seconds."""
        return self.most * 4


def decide(
    policy: RetryPolicy,
    attempt: int,
    error: ProviderError,
    random: float,
    *,
    text_left: bool,
    retractable: bool,
    keys: int = 1,
) -> float | None:
    """Seconds to wait before the next attempt; ``None``: give up.

    Args:
        policy: The limits.
        attempt: The attempt that failed; the first is 1.
        error: Why it failed.
        random: In [0, 1): spreads the callers that failed together (full jitter, of
            which at least half is waited).
        text_left: Whether text of this attempt has been shown already.
        retractable: Whether the reader can take back what it was shown. If not, text
            that has left must not be followed by another beginning.
        keys: How many the provider has: what is wrong with one of them is no reason to
            wait for the next.

    >>> from beamclaw.contracts.providers import ProviderError
    >>> decide(RetryPolicy(), 1, ProviderError("overloaded", "busy"), 0.0,
    ...        text_left=False, retractable=True)
    0.25
    """
    if isinstance(error, ProviderUnwell) or (text_left and not retractable):
        return None
    if error.kind in _OF_A_KEY and attempt < keys:
        return 0.0
    if not error.transient or attempt >= policy.max_attempts:
        return None
    ours = min(policy.most, policy.first * 2 ** (attempt - 1)) * (0.5 + random / 2)
    asked = error.retry_after
    if asked is None:
        return ours
    if asked > policy.patience:
        return None
    return max(asked, ours)


# Another key of the same provider may be better.
_OF_A_KEY: frozenset[ErrorKind] = frozenset({"rate_limit", "auth", "quota"})
# Another model may answer though this one never will.
_ELSEWHERE: frozenset[ErrorKind] = TRANSIENT.union(("auth", "quota", "model_not_found"))
# A wait longer than this, in seconds, is not waited for where there is another model.
PATIENCE = 5.0


def falls_back(
    error: ProviderError, wait: float | None, *, text_left: bool, retractable: bool
) -> bool:
    """Whether the next model of a chain is asked in place of waiting, or of giving up.

    *wait* is what :func:`decide` said.
    """
    if error.kind not in _ELSEWHERE or (text_left and not retractable):
        return False
    return wait is None or wait > PATIENCE


def give_up_words(
    policy: RetryPolicy, attempt: int, error: ProviderError, *, text_left: bool
) -> str:
    """What to tell the person after :func:`decide` said to give up."""
    if not error.transient or isinstance(error, ProviderUnwell):
        return error.message
    asked = error.retry_after
    if asked is not None and asked > policy.patience and attempt < policy.max_attempts:
        return (
            f"{error.message}; it asks to wait {asked:.0f} s, longer than this node "
            f"waits ({policy.patience:.0f} s, four times retry_most): send it again later"
        )
    if attempt >= policy.max_attempts:
        return f"{error.message}; given up after {attempt} attempts"
    if text_left:
        return (
            f"{error.message}; part of the answer had left, so it was not asked again"
        )
    return error.message
