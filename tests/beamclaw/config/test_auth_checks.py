"""What of ``gateway.auth`` is refused, in words: a row for each rule."""

import re
from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.auth_checks import doubts, errors
from beamclaw.config.loader import load
from beamclaw.config.schema import (
    AuthConfig,
    Config,
    ControlUiConfig,
    GatewayConfig,
    ProxyConfig,
)
from beamclaw.contracts.secret import Secret

LONG = Secret("long-enough-canary")
SHORT = Secret("short")
OPEN = "0.0.0.0"
PROXY = ProxyConfig(user_header="x-forwarded-user")


def config(auth: AuthConfig | None = None, **gateway) -> Config:
    return Config(gateway=GatewayConfig(auth=auth or AuthConfig(), **gateway))


def apart(host: str | None = None) -> ControlUiConfig:
    return ControlUiConfig(root=Path("ui"), port=18790, host=host)


def proxied(proxies=("10.0.0.5",), host=OPEN, **proxy) -> Config:
    given: dict[str, Any] = {"user_header": "x-forwarded-user"} | proxy
    auth = AuthConfig(mode="trusted-proxy", proxy=ProxyConfig(**given))
    return config(auth, host=host, trusted_proxies=proxies)


@pytest.mark.parametrize(
    "given",
    [
        config(),
        config(AuthConfig(token=SHORT)),
        config(AuthConfig(token=LONG), host=OPEN),
        config(AuthConfig(mode="password", password=LONG), host=OPEN),
        config(AuthConfig(mode="none")),
        config(AuthConfig(mode="none"), control_ui=apart()),
        config(AuthConfig(mode="none"), control_ui=ControlUiConfig(host=OPEN)),
        config(trusted_proxies=("10.0.0.0/8", "fd00::/8")),
        proxied(),
        proxied(("127.0.0.1",), "127.0.0.1", allow_loopback=True),
        proxied(scopes=("operator.read",), admins=("ann",)),
    ],
)
def test_what_can_be_used(given):
    assert list(errors(given)) == []


@pytest.mark.parametrize(
    "given, path, words",
    [
        (
            config(AuthConfig(mode="none"), host=OPEN),
            "gateway.auth.mode",
            "none is refused while gateway.host is 0.0.0.0",
        ),
        (
            config(AuthConfig(mode="none"), control_ui=apart(OPEN)),
            "gateway.auth.mode",
            "none is refused while gateway.control_ui.host is 0.0.0.0",
        ),
        (
            config(AuthConfig(token=SHORT), control_ui=apart(OPEN)),
            "gateway.auth.token",
            "while gateway.control_ui.host is 0.0.0.0",
        ),
        (
            config(AuthConfig(mode="none"), trusted_proxies=("10.0.0.5",)),
            "gateway.auth.mode",
            "none is refused while gateway.trusted_proxies",
        ),
        (config(AuthConfig(mode="password")), "gateway.auth.password", "is missing"),
        (config(AuthConfig(token=SHORT), host=OPEN), "gateway.auth.token", "has 5"),
        (
            config(AuthConfig(mode="password", password=SHORT), host=OPEN),
            "gateway.auth.password",
            "has 5 characters",
        ),
        (config(AuthConfig(token=Secret(""))), "gateway.auth.token", "is empty"),
        (config(AuthConfig(token=Secret("a b"))), "gateway.auth.token", "has blanks"),
        (
            config(AuthConfig(token=Secret("bck_0123456789abcdef"))),
            "gateway.auth.token",
            "must not begin like",
        ),
        (proxied(user_header=""), "gateway.auth.proxy.user_header", "is missing"),
        (proxied(()), "gateway.trusted_proxies", "is empty"),
        (proxied(host="127.0.0.1"), "gateway.host", "no proxy"),
        (proxied(("0.0.0.0/0",)), "gateway.trusted_proxies[0]", "is everybody"),
        (proxied(("::/1",)), "gateway.trusted_proxies[0]", "is everybody"),
        (
            proxied(("10.0.0.5", "127.0.0.1")),
            "gateway.trusted_proxies[1]",
            "is this machine",
        ),
        (proxied(("proxy.lan",)), "gateway.trusted_proxies[0]", "expected an address"),
        (proxied(("10.0.0.5/8",)), "gateway.trusted_proxies[0]", "expected an address"),
        (
            proxied(user_header="x user"),
            "gateway.auth.proxy.user_header",
            "is no name of a header",
        ),
        (
            proxied(required_headers=("x-a", "")),
            "gateway.auth.proxy.required_headers[1]",
            "is no name of a header",
        ),
        (
            proxied(scopes=("operator.reed",)),
            "gateway.auth.proxy.scopes[0]",
            "did you mean operator.read",
        ),
    ],
)
def test_what_would_let_in_somebody_else_is_refused_in_words(given, path, words):
    ((found, message),) = errors(given)
    assert found == path
    assert words in message


def test_what_has_no_effect_is_doubted():
    given = config(AuthConfig(password=LONG, proxy=PROXY))
    assert [path for path, _ in doubts(given)] == [
        "gateway.auth.proxy.user_header",
        "gateway.auth.password",
    ]


def test_what_the_page_says_of_proxies_can_be_used(tmp_path):
    page = (Path(__file__).parents[3] / "docs/how-to/devices.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "beamclaw.yaml"
    file.write_text(block)
    loaded = load({}, file=file, data=tmp_path, strict=True)
    assert loaded.config.gateway.auth.mode == "trusted-proxy"
    assert not loaded.warnings
