"""The HTTP side of the node."""

from pathlib import Path
from typing import Annotated, Literal

import attrs

from beamclaw.config.schema.fields import Count, Port, Range, Seconds, key
from beamclaw.contracts.hosts import is_loopback
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen


@frozen(kw_only=True)
class RateLimitConfig:
    """Guesses of the shared secret, of device tokens and of API keys."""

    max_attempts: Count = key(
        10, "Wrong ones from one address, each kind for itself; then it has to wait."
    )
    window: Seconds = key(60.0, "Seconds within which they are counted.")
    lockout: Seconds = key(300.0, "Seconds that it has to wait.")
    exempt_loopback: bool = key(
        True,  # noqa: FBT003 -- the default
        "Whether this machine's own programs may go on guessing.",
    )


@frozen(kw_only=True)
class PairingConfig:
    """Devices that are new."""

    local: bool = key(
        True,  # noqa: FBT003 -- the default
        "Whether those on this machine that have the shared secret are paired without a\n"
        "question.",
    )
    seconds: Seconds = key(300.0, "Seconds that a device waits for a person's answer.")
    max_waiting: Count = key(
        64, "Devices that wait at once, at most; one more is asked to come later."
    )
    clock_skew: Seconds = key(
        120.0, "Seconds that a device's clock may be wrong by when it signs."
    )


@frozen(kw_only=True)
class ProxyConfig:
    """How a proxy in front says who somebody is, for auth.mode: trusted-proxy."""

    user_header: str = key(
        "", "The header with the user that it has recognised, as x-forwarded-user."
    )
    required_headers: tuple[str, ...] = key(
        (), "Headers that it always sets, too; a request without one is refused."
    )
    allow_users: tuple[str, ...] = key(
        (), "Users who are let in; none written here: all whom the proxy lets in."
    )
    allow_loopback: bool = key(
        False,  # noqa: FBT003 -- the default
        "Whether a proxy on this machine is believed: so is then every program on it.",
    )
    scopes: tuple[str, ...] = key(
        (
            "operator.approvals",
            "operator.questions",
            "operator.read",
            "operator.write",
        ),
        "What its users may do.",
    )
    admins: tuple[str, ...] = key((), "Users who may do everything.")


@frozen(kw_only=True)
class AuthConfig:
    """Who may talk to the gateway."""

    mode: Literal["token", "password", "trusted-proxy", "none"] = key(
        "token",
        "token, password: clients bring the shared secret. trusted-proxy: a proxy in\n"
        "front says who they are. none: everybody is let in, which is refused unless the\n"
        "gateway listens on this machine only. Paired devices may bring their own token,\n"
        "and programs an API key, in every mode.",
    )
    token: Secret | None = key(
        None,
        "The shared secret. BEAMCLAW_TOKEN goes before it; without either a random one\n"
        "is made at the first start and kept in the data folder, in the file token.",
    )
    password: Secret | None = key(None, "The shared secret of mode: password.")
    rate_limit: RateLimitConfig = attrs.field(factory=RateLimitConfig)
    pairing: PairingConfig = attrs.field(factory=PairingConfig)
    void_days: Annotated[float, Range(0, 3_650)] = key(
        30.0,
        "Days after which an API key is forgotten that was revoked or has expired: until\n"
        "then `beamclaw keys list` shows it. The audit log has it longer.",
    )
    proxy: ProxyConfig = attrs.field(factory=ProxyConfig)

    @property
    def secret(self) -> Secret | None:
        """The shared secret of the mode; None: it has none."""
        if self.mode == "token":
            return self.token
        return self.password if self.mode == "password" else None


@frozen(kw_only=True)
class SocketConfig:
    """Clients that stay connected: OpenClaw's gateway protocol over WebSocket."""

    max_clients: Count = key(10_000, "Clients at once, at most.")
    max_strangers: Count = key(
        256,
        "Connections from one address that have not said yet who they are, at most.",
    )
    handshake_timeout: Seconds = key(10.0, "Seconds to say who one is.")
    max_payload: Count = key(25 * 1024 * 1024, "Bytes of a client's request, at most.")
    max_buffered_bytes: Count = key(
        8 * 1024 * 1024,
        "Bytes that may wait for a client that reads slowly. From half of it on, words of\n"
        "an answer that is being written are left out; beyond it the client is cut off.",
    )
    max_requests: Count = key(64, "Requests of one client in progress at once.")
    max_present: Count = key(200, "Clients that are listed as being there, at most.")
    tick_seconds: Seconds = key(30.0, "A client hears from the node this often.")
    ping_seconds: Seconds = key(
        25.0,
        "A client is asked this often whether it is there, and has as long to say so.",
    )


@frozen(kw_only=True)
class ControlUiConfig:
    """OpenClaw's Control UI, for a browser."""

    root: Path | None = key(
        None,
        "The folder with its files, as dist/control-ui of an installed openclaw. Without\n"
        "one, it is not served.",
    )
    base_path: str = key(
        "/", "The path at which it stands; at / the node's own page is at /page/ alone."
    )
    port: Port | None = key(
        None,
        "A port of its own: nothing but the Control UI and its WebSocket is there, and it\n"
        "is not at gateway.port. 0 takes any that is free.",
    )
    host: str | None = key(
        None, "The address of that port, if it is another one than gateway.host."
    )

    @property
    def apart(self) -> bool:
        """Whether it has a listener of its own."""
        return self.root is not None and self.port is not None


@frozen(kw_only=True)
class PageConfig:
    """The node's own page, at /."""

    link_seconds: Seconds = key(
        300.0, "Seconds that a link of `beamclaw dashboard` waits for a browser."
    )
    session_seconds: Seconds = key(
        43_200.0,
        "Seconds that the browser is signed in by it; `beamclaw keys list` shows it.",
    )


@frozen(kw_only=True)
class InvokeConfig:
    """Tools that clients may have carried out themselves: tools.invoke, /tools/invoke."""

    deny: tuple[str, ...] = key(
        (),
        "No client may, beside those that it may not anyway (exec, write and others).",
    )
    allow: tuple[str, ...] = key(
        (), "Of those that clients may not anyway, these: but administrators only."
    )


@frozen(kw_only=True)
class EmbeddingsConfig:
    """One request for vectors (POST /v1/embeddings)."""

    max_texts: Count = key(256, "Texts, at most.")
    max_chars: Count = key(32_768, "Characters of one of them, at most.")
    max_all_chars: Count = key(262_144, "Characters of all of them, at most.")


@frozen(kw_only=True)
class GatewayConfig:
    """The HTTP side of the node."""

    host: str = key("127.0.0.1", "The address to listen on.")
    port: Port = key(18789, "The port to listen on; 0 takes any that is free.")
    auth: AuthConfig = attrs.field(factory=AuthConfig)
    hosts: tuple[str, ...] = key(
        (), "Host names that requests may be addressed to, beside this machine's own."
    )
    origins: tuple[str, ...] = key(
        (), "Web origins that may call from a browser, as https://chat.example.org."
    )
    trusted_proxies: tuple[str, ...] = key(
        (),
        "Addresses or networks of proxies in front, as 10.0.0.5 or 10.1.0.0/16: what\n"
        "they say of their clients is believed, and of nobody else.",
    )
    max_body_bytes: Count = key(20 * 1024 * 1024, "Bytes of a request, at most.")
    max_json_depth: Count = key(64, "Levels that JSON in a request may be nested.")
    max_messages: Count = key(10_000, "Messages of one request, at most.")
    max_header_bytes: Count = key(65_536, "Bytes of a request's headers, at most.")
    max_connections: Count = key(10_000, "Connections at once, at most.")
    header_timeout: Seconds = key(10.0, "Seconds to send the headers.")
    body_timeout: Seconds = key(60.0, "Seconds to send the body.")
    write_timeout: Seconds = key(
        10.0, "Seconds that a reader may stall before its connection is closed."
    )
    keep_alive_timeout: Seconds = key(
        75.0, "Seconds an idle connection is kept for a further request."
    )
    backlog: Count = key(4096, "Connections the system keeps until they are taken.")
    stream_buffer: Count = key(
        256, "Pieces of an answer that may wait for one slow reader."
    )
    heartbeat_seconds: Seconds = key(
        15.0, "A stream on which nothing happens gets a comment this often."
    )
    tools: InvokeConfig = attrs.field(factory=InvokeConfig)
    embeddings: EmbeddingsConfig = attrs.field(factory=EmbeddingsConfig)
    socket: SocketConfig = attrs.field(factory=SocketConfig)
    page: PageConfig = attrs.field(factory=PageConfig)
    control_ui: ControlUiConfig = attrs.field(factory=ControlUiConfig)

    @property
    def control_ui_host(self) -> str:
        """Where the Control UI listens, if it has a listener of its own."""
        return self.control_ui.host or self.host

    @property
    def exposed(self) -> str | None:
        """An address to listen on that others can reach; None: there is none."""
        found = (self.host, *([self.control_ui_host] if self.control_ui.apart else []))
        return next((host for host in found if not is_loopback(host)), None)
