"""What channels to servers are told, whatever kind of channel they are."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from attrs import frozen

OPTIONS: Mapping[str, int | str] = {
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.max_metadata_size": 64 * 1024,
}
LOCAL: Mapping[str, int | str] = {
    # To a process of this machine: no proxy, a connection that no other channel shares or slows.
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
}
KEEPALIVE: Mapping[str, int | str] = {
    # For servers known to allow it; others close a connection whose client asks this often.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.http2.ping_timeout_ms": 5_000,
    "grpc.http2.max_pings_without_data": 0,
}


@frozen
class ClientTls:
    """How a client speaks TLS, in PEM: whose signature it takes for the server's certificate (None:
    that of the authorities the machine knows), and its own certificate with its key."""

    authorities: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC takes."""
        return grpc.ssl_channel_credentials(self.authorities, self.key, self.certificate)
