"""The HTTP side of the node."""
# ruff: noqa: RUF009 -- what `key` returns is attrs' description of a field

from typing import Literal

import attrs

from beamclaw.config.schema.fields import Count, Port, Seconds, key
from beamclaw.contracts.secret import Secret


@attrs.frozen(kw_only=True)
class AuthConfig:
    """Who may talk to the gateway."""

    mode: Literal["token", "none"] = key(
        "token",
        "token: requests bring the shared secret. none: everybody is let in, which is\n"
        "refused unless the gateway listens on this machine only.",
    )
    token: Secret | None = key(
        None,
        "The shared secret. BEAMCLAW_TOKEN goes before it; without either a random one\n"
        "is made at the first start and kept in the data folder, in the file token.",
    )


@attrs.frozen(kw_only=True)
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
    backlog: Count = key(2048, "Connections the system keeps until they are taken.")
    stream_buffer: Count = key(
        256, "Pieces of an answer that may wait for one slow reader."
    )
    heartbeat_seconds: Seconds = key(
        15.0, "A stream on which nothing happens gets a comment this often."
    )
