"""Failures of model calls, in our classes and in words. The one place that knows them.

Every way a call can fail becomes a :class:`ProviderError` here, and here alone:
statuses and error bodies of OpenAI-compatible servers and of Anthropic, errors that come
inside a stream, and what the HTTP client reports. The words name the variable or the
key of the configuration that a person has to look at, and never contain the key itself,
whatever the provider echoes.
"""

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from beamclaw.contracts.providers import TRANSIENT, ErrorKind, ProviderError
from beamclaw.contracts.secret import REDACTED, Secret
from beamclaw.contracts.spellings import any_of
from beamclaw.providers._json import fields, loads, objects
from beamclaw.providers.rates import rates
from beamclaw.values import frozen

_MOST_WORDS = 500
# A piece of the key this long gives away too much to be shown.
_TELLING = 6

# The error's own code or type, where it says more than the status.
_KINDS: dict[str, ErrorKind] = {
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "request_too_large": "context_length",
    "model_not_found": "model_not_found",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "insufficient_quota": "quota",
    "billing_error": "quota",
    "billing_hard_limit_reached": "quota",
    "content_policy_violation": "refused",
    "content_filter": "refused",
    "permission_error": "refused",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "api_error": "server",
    "server_error": "server",
    "timeout_error": "server",
    "invalid_request_error": "invalid",
}
# Types that say less than the status they come with.
_VAGUE = frozenset({"invalid_request_error", "api_error", "server_error"})
_STATUSES: dict[int, ErrorKind] = {
    400: "invalid",
    401: "auth",
    402: "quota",
    403: "refused",
    404: "model_not_found",
    408: "server",
    409: "server",
    413: "context_length",
    422: "invalid",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
# Compatible servers often give a sentence only.
_SENTENCES: tuple[tuple[str, ErrorKind], ...] = (
    ("prompt is too long", "context_length"),
    ("maximum context length", "context_length"),
    ("maximum prompt length", "context_length"),
    ("maximum number of tokens allowed", "context_length"),
    ("context window", "context_length"),
    ("context size", "context_length"),
    ("loaded with context length of only", "context_length"),
    ("api key not valid", "auth"),
    ("credit balance is too low", "quota"),
)


def classify(status: int | None, names: tuple[str, ...], message: str) -> ErrorKind:
    """The class of a failure.

    Args:
        status: HTTP status; ``None`` for an error inside a stream.
        names: The error's code and type, the more telling one first.
        message: The provider's sentence.
    """
    for name in names:
        kind = _KINDS.get(name)
        if kind is not None and name not in _VAGUE:
            return kind
    sentence = message.lower()
    if status in (None, 400, 413, 422):
        for words, kind in _SENTENCES:
            if words in sentence:
                return kind
    if status is not None:
        return _STATUSES.get(status) or ("server" if status >= 500 else "invalid")  # noqa: PLR2004 - HTTP
    for name in names:
        if name in _KINDS:
            return _KINDS[name]
    return "server"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait; ``None`` if it says nothing readable.

    A date counts from the answer's own ``date``, so no clock of ours is asked.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        until = parsedate_to_datetime(headers["retry-after"])
        now = parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def show_url(url: str) -> str:
    """*url* without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def scrub(text: str, secrets: Iterable[Secret]) -> str:
    """*text* fit to be shown: no key, no masked key, no control characters, bounded."""
    text = text[: _MOST_WORDS * 20]
    values = [secret.reveal() for secret in secrets if secret]
    # Whole ones however they are written, then pieces of them as they are.
    whole = any_of(frozenset(each for each in values if len(each) >= _TELLING))
    if whole is not None:
        text = whole.sub(REDACTED, text)
    for value in values:
        text = _without(text, value)
    text = re.sub(r"\S*\*{3,}\S*", REDACTED, text)
    text = re.sub(r"\s+", " ", text).strip()
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    return text if len(text) <= _MOST_WORDS else text[: _MOST_WORDS - 1] + "…"


def _without(text: str, key: str) -> str:
    """*text* without *key*, nor any piece of it long enough to tell something.

    Some servers quote its beginning and its end.
    """
    if len(key) < _TELLING:
        return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", REDACTED, text)
    pieces = {key[n : n + _TELLING] for n in range(len(key) - _TELLING + 1)}
    shown: list[str] = []
    start = 0
    while start < len(text):
        if text[start : start + _TELLING] not in pieces:
            shown.append(text[start])
            start += 1
            continue
        while text[start : start + _TELLING] in pieces:
            start += 1
        start += _TELLING - 1
        shown.append(REDACTED)
    return "".join(shown)


@frozen(kw_only=True)
class Failures:
    """Makes the errors of one provider.

    Attributes:
        provider: Its name in the configuration.
        address: Its base URL as shown to people.
        key: The key, to keep it out of the words.
        others: Values of headers of the configuration, for the same reason.
        key_source: Where the key came from, in words; empty without a key.
        key_variable: The environment variable that would hold a key.
        url_variable: The environment variable of the base URL.
    """

    provider: str
    address: str
    key: Secret | None
    others: tuple[Secret, ...]
    key_source: str
    key_variable: str
    url_variable: str

    # --- no answer

    def unreachable(self, why: str) -> ProviderError:
        """No connection, or none that lasted until the answer began."""
        return ProviderError(
            "network",
            f"provider {self.provider} cannot be reached at {self.address} "
            f"({self._fit(why)}): check {self._where_url} and the network",
        )

    def silent(self, seconds: float) -> ProviderError:
        """Not a byte for *seconds*."""
        return _unheard(
            f"provider {self.provider} at {self.address} sent nothing for "
            f"{seconds:g} s (providers.{self.provider}.idle_timeout)",
        )

    def too_long(self, seconds: float) -> ProviderError:
        """The call as a whole took more than *seconds*."""
        return _unheard(
            f"provider {self.provider} took longer than {seconds:g} s for one answer "
            f"(providers.{self.provider}.max_seconds)",
        )

    def cut(self, why: str = "the connection was closed") -> ProviderError:
        """The stream broke off without its end."""
        return _unclear(
            "network",
            f"provider {self.provider} at {self.address} broke off in the middle of "
            f"its answer ({self._fit(why)})",
        )

    # --- an answer that is none

    def garbled(self, what: str) -> ProviderError:
        """The stream holds *what* cannot be."""
        return _unclear(
            "server",
            f"provider {self.provider} at {self.address} sent {self._fit(what)}",
        )

    def not_a_stream(self, status: int, content_type: str) -> ProviderError:
        """Some other server answers there."""
        return ProviderError(
            "invalid",
            f"what answers at {self.address} is no model provider (it sent "
            f"{self._fit(content_type) or 'no content type'}): check {self._where_url}",
            status=status,
        )

    def moved(self, status: int, location: str) -> ProviderError:
        """A redirect, which would carry the key to somewhere else."""
        return ProviderError(
            "invalid",
            f"provider {self.provider} at {self.address} redirects ({status}) to "
            f"{self._fit(show_url(location))}, which is not followed since the key "
            f"would go there: check {self._where_url}",
            status=status,
        )

    # --- before the call

    def unusable_key(self) -> ProviderError:
        """The key holds characters that no header can carry."""
        return ProviderError(
            "auth",
            f"the key of provider {self.provider} from {self.key_source} contains "
            "line breaks or other characters that no key has: set it again",
        )

    def unusable_headers(self) -> ProviderError:
        """Headers of the configuration that no request can carry."""
        return ProviderError(
            "invalid",
            f"providers.{self.provider}.headers has a name or value with line breaks "
            "or other characters that no header can carry",
        )

    def unusable_url(self) -> ProviderError:
        """The base URL is none."""
        return ProviderError(
            "invalid",
            f"provider {self.provider}: {self.address!r} is no base URL "
            f"(http:// or https:// and a host): check {self._where_url}",
        )

    def nothing_to_say(self) -> ProviderError:
        """Nothing is left of the messages that this API accepts."""
        return ProviderError(
            "invalid",
            f"provider {self.provider}: there is no message with text to answer",
        )

    # --- an answer that says why

    def response(
        self, status: int, headers: Mapping[str, str], body: bytes, model: str
    ) -> ProviderError:
        """From a status other than 200."""
        names, message = _told(loads(body))
        kind = classify(status, names, message)
        told = "model_not_found" in names or "model" in message.lower()
        if kind == "model_not_found" and not told:
            content_type = headers.get("content-type", "")
            return self.not_a_stream(status, f"404 and {content_type}")
        kind = _as_told(kind, headers.get("x-should-retry", ""))
        error = self._error(kind, message, model, status=status)
        error.retry_after, error.rates = retry_after(headers), rates(headers)
        return error

    def event(self, event: object, model: str) -> ProviderError:
        """From an error inside a stream."""
        names, message = _told(event)
        return self._error(classify(None, names, message), message, model)

    def _error(
        self,
        kind: ErrorKind,
        message: str,
        model: str,
        *,
        status: int | None = None,
    ) -> ProviderError:
        said = self._fit(message)
        words = self._words(kind, self._fit(model), f" ({status})" if status else "")
        text = f"{words}; it says: {said}" if said else words
        return ProviderError(kind, text, status=status)

    def _words(  # noqa: PLR0911 - one per kind
        self, kind: ErrorKind, model: str, status: str
    ) -> str:
        name = self.provider
        match kind:
            case "auth" if not self.key:
                return (
                    f"provider {name} wants a key{status} and none is set: set "
                    f"{self._where_key}"
                )
            case "auth":
                return (
                    f"provider {name} refused the key{status} from {self.key_source}: "
                    "check its value there"
                )
            case "rate_limit":
                return f"provider {name} limits the rate of requests{status}"
            case "overloaded":
                return f"provider {name} is overloaded{status}"
            case "context_length":
                return (
                    f"the conversation is too long for model {model} of provider "
                    f"{name}{status}: start a new session or choose a model with a "
                    "larger window (agents.main.model)"
                )
            case "model_not_found":
                return (
                    f"provider {name} has no model {model}{status}, or the key may not "
                    "use it: change agents.main.model (or your agent's model) in the "
                    "configuration, or the model of the request"
                )
            case "quota":
                return (
                    f"provider {name} says that the account has no credit left"
                    f"{status}: look at its billing page; the key is from "
                    f"{self.key_source or 'nowhere'}"
                )
            case "refused":
                return f"provider {name} refused the request{status}"
            case "server":
                return f"provider {name} failed{status}"
            case _:
                return f"provider {name} does not accept the request{status}"

    def _fit(self, text: str) -> str:
        return scrub(text, self._secrets)

    @property
    def _secrets(self) -> tuple[Secret, ...]:
        return (self.key, *self.others) if self.key else self.others

    @property
    def _where_url(self) -> str:
        key = f"providers.{self.provider}.base_url in the configuration"
        if self.url_variable:
            return f"environment variable {self.url_variable} or {key}"
        return key

    @property
    def _where_key(self) -> str:
        key = f"providers.{self.provider}.api_key in the configuration"
        if self.key_variable:
            return f"environment variable {self.key_variable} or {key}"
        return key


def _unclear(kind: ErrorKind, message: str) -> ProviderError:
    """A failure after the request had left."""
    error = ProviderError(kind, message)
    error.unclear = True
    return error


def _unheard(message: str) -> ProviderError:
    """Time is over, and how far the provider has come by now nobody knows."""
    error = _unclear("network", message)
    error.unheard = True
    return error


def _as_told(kind: ErrorKind, should_retry: str) -> ErrorKind:
    """``x-should-retry`` beats our table, except that an empty account stays empty."""
    if should_retry == "true" and kind not in TRANSIENT and kind != "quota":
        return "server"
    if should_retry == "false" and kind in TRANSIENT:
        return "refused"
    return kind


def _told(body: object) -> tuple[tuple[str, ...], str]:
    """Code and type, and the sentence, of any of the shapes in use.

    Google's is in a list of one.
    """
    whole = fields(next(iter(objects(body)), body))
    error = whole.get("error", whole)
    if isinstance(error, str):
        return (), error
    said = fields(error)
    names = tuple(
        said[key] for key in ("code", "type") if isinstance(said.get(key), str)
    )
    return names, str(said.get("message") or said.get("detail") or "")
