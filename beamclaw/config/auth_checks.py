"""What of ``gateway.auth`` would let in somebody who is not meant."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final

from beamclaw.config.schema import Config, GatewayConfig
from beamclaw.config.structure import nearest
from beamclaw.contracts.devices import SCOPES

SHORTEST_SECRET: Final = 16
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE: Final = re.compile(r"[!-~]+")
# A network with so few bits of its own is half of the world.
_WIDEST: Final = 1

Found = Iterator[tuple[str, str]]


def errors(config: Config) -> Found:
    """What cannot be used."""
    yield from _mode(config)
    yield from _secrets(config)
    yield from _proxies(config)


def doubts(config: Config) -> Found:
    """What is probably a mistake."""
    auth = config.gateway.auth
    if auth.mode != "trusted-proxy" and auth.proxy.user_header:
        yield "gateway.auth.proxy.user_header", "is for mode: trusted-proxy only"
    if auth.mode != "password" and auth.password is not None:
        yield "gateway.auth.password", "is for mode: password only"


def _named(gateway: GatewayConfig) -> str:
    """The key of the address that others can reach."""
    own = gateway.exposed == gateway.host
    return "gateway.host" if own else "gateway.control_ui.host"


def _mode(config: Config) -> Found:
    gateway = config.gateway
    if gateway.auth.mode == "none" and gateway.exposed is not None:
        yield (
            "gateway.auth.mode",
            (
                f"none is refused while {_named(gateway)} is {gateway.exposed}, which "
                "others can reach; take token, or the host 127.0.0.1"
            ),
        )
    if gateway.auth.mode == "none" and gateway.trusted_proxies:
        yield (
            "gateway.auth.mode",
            (
                "none is refused while gateway.trusted_proxies says that others are let "
                "through to this machine; take token or trusted-proxy"
            ),
        )
    if gateway.auth.mode == "password" and gateway.auth.password is None:
        words = "is missing; mode: password needs one, better as ${VARIABLE}"
        yield "gateway.auth.password", words


def _secrets(config: Config) -> Found:
    gateway = config.gateway
    for name, secret in (
        ("token", gateway.auth.token),
        ("password", gateway.auth.password),
    ):
        if secret is None:
            continue
        path, value = f"gateway.auth.{name}", secret.reveal()
        if not value:
            yield path, "is empty"
        elif not _VISIBLE.fullmatch(value):
            yield path, "has blanks, line breaks or characters that are not ASCII"
        elif value.startswith(("bcd_", "bck_")):
            yield (
                path,
                "must not begin like a device's token (bcd_) or an API key (bck_)",
            )
        elif len(value) < SHORTEST_SECRET and gateway.exposed is not None:
            yield (
                path,
                (
                    f"has {len(value)} characters; at least {SHORTEST_SECRET} are needed "
                    f"while {_named(gateway)} is {gateway.exposed}, which others can "
                    "reach"
                ),
            )


def _proxies(config: Config) -> Found:
    gateway, proxy = config.gateway, config.gateway.auth.proxy
    loopback = False
    for place, text in enumerate(gateway.trusted_proxies):
        path = f"gateway.trusted_proxies[{place}]"
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            yield path, "expected an address or a network, like 10.0.0.5 or 10.1.0.0/16"
            continue
        loopback = loopback or network.is_loopback
        if network.prefixlen <= _WIDEST:
            yield path, "is everybody: anybody could say that he is somebody"
        elif network.is_loopback and not proxy.allow_loopback:
            words = (
                "is this machine: every program on it could say that it is somebody; set "
                "gateway.auth.proxy.allow_loopback if the proxy is the only one"
            )
            yield path, words
    yield from _headers(proxy.user_header, proxy.required_headers)
    yield from _scopes(proxy.scopes)
    if gateway.auth.mode != "trusted-proxy":
        return
    if not proxy.user_header:
        words = "is missing; mode: trusted-proxy reads who somebody is from it"
        yield "gateway.auth.proxy.user_header", words
    if not gateway.trusted_proxies:
        words = "is empty; mode: trusted-proxy lets in nobody but its proxies' users"
        yield "gateway.trusted_proxies", words
    elif gateway.exposed is None and not loopback:
        yield (
            "gateway.host",
            (
                f"is {gateway.host}, which no proxy in gateway.trusted_proxies can "
                "reach; listen on an address that they can, or allow one on this machine"
            ),
        )


def _headers(user: str, required: Iterable[str]) -> Found:
    named = [("gateway.auth.proxy.user_header", user)] if user else []
    named += [
        (f"gateway.auth.proxy.required_headers[{place}]", name)
        for place, name in enumerate(required)
    ]
    for path, name in named:
        if not _HEADER.fullmatch(name):
            yield path, "is no name of a header"


def _scopes(scopes: Iterable[str]) -> Found:
    for place, name in enumerate(scopes):
        if name not in SCOPES:
            hint = nearest(name, SCOPES)
            words = f"there is no scope {name!r}{hint}"
            yield f"gateway.auth.proxy.scopes[{place}]", words
