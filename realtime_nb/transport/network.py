"""Networks of other places, simulated: delay, jitter, loss and bandwidth as a TCP connection feels them.

The model, in one direction: bytes leave through a token bucket; every message then travels `delay_ms` and an
exponential extra of mean `jitter_ms`; a lost packet is sent again, and everything behind it waits (head-of-line
blocking). Bytes are never missing and never out of order. Not modelled: TCP's slow start (a fresh connection's large
upload would take some round trips more), bufferbloat, and other traffic.

Whatever is measured through a profile is *simulated*, and `NetworkProfile.label` says so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from realtime_nb.errors import ConfigurationError

PACKET_BYTES = 1448
"""What an Ethernet frame carries of a TCP stream with timestamps."""
BURST_BYTES = 10 * PACKET_BYTES
"""What may leave at once; TCP's initial window (RFC 6928) for want of a better figure."""
RETRANSMISSION_TIMEOUT_MS = 200.0
"""The least time until TCP sends an unacknowledged packet again: Linux's TCP_RTO_MIN (RFC 6298 says one second)."""
DUPLICATE_ACKS = 3
"""So many packets behind a lost one bring it back within a round trip (fast retransmit, RFC 5681)."""
MAX_RETRANSMISSIONS = 5
"""Then the simulated network lets a packet through: no connection is broken by chance."""
CONNECTION_SETUP_ROUND_TRIPS = 2
"""TCP and TLS 1.3, as a hosted service needs; also where the simulated server is here without TLS."""
WEBSOCKET_SETUP_ROUND_TRIPS = CONNECTION_SETUP_ROUND_TRIPS + 1
"""And the upgrade."""


class NetworkProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network between the user and the server.

    Attributes:
        name: for people.
        delay_ms: one way; half of what `ping` shows.
        jitter_ms: mean of the exponential extra delay of every message.
        loss: chance that a packet is lost, 0 to below 1; it arrives all the same, later.
        up_mbps: million bits per second that can be sent; None is without limit.
        down_mbps: likewise, received.
        source: where the parameters come from, or "chosen".
        seed: of every chance; the same seed and the same bytes give the same delays.
    """

    name: str
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    up_mbps: float | None = None
    down_mbps: float | None = None
    source: str = "chosen"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1:
            raise ConfigurationError(f"loss={self.loss} is no chance of loss.", what_now="Give 0 to below 1.")
        for name in ("delay_ms", "jitter_ms"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}={getattr(self, name)} is negative.", what_now="Give milliseconds.")
        for name in ("up_mbps", "down_mbps"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ConfigurationError(f"{name}={getattr(self, name)} carries nothing.", what_now="Give Mbit/s.")

    @property
    def label(self) -> str:
        """What every figure measured through it must say."""
        return f"network: {self.name} (simulated)"

    @property
    def round_trip_ms(self) -> float:
        """Mean time there and back of a small message without loss."""
        return 2 * (self.delay_ms + self.jitter_ms)

    def up(self, connection: int = 0, bucket: Bucket | None = None) -> Lane:
        """Return the way to the server of the n-th connection; connections that share a bucket share the bandwidth."""
        return Lane(self, bucket or Bucket(self.up_mbps), random.Random(f"{self.seed}/{connection}/up"))

    def down(self, connection: int = 0, bucket: Bucket | None = None) -> Lane:
        """Return the way from the server of the n-th connection; see `up`."""
        return Lane(self, bucket or Bucket(self.down_mbps), random.Random(f"{self.seed}/{connection}/down"))


class Bucket:
    """A token bucket of `BURST_BYTES`: what passes in any stretch of time is at most the burst and what flowed in."""

    def __init__(self, mbps: float | None) -> None:
        self._seconds_per_byte = 0.0 if mbps is None else 8 / (mbps * 1e6)
        self._owed_s = 0.0
        self._at_s = float("-inf")

    def leaves_s(self, now_s: float, n_bytes: int) -> float:
        """Return when the last of `n_bytes` that are handed over at `now_s` has left.

        Another connection may have been asked about a later moment before: only its bytes are waited for, not the time.
        """
        self._owed_s = max(0.0, self._owed_s - max(0.0, now_s - self._at_s)) + n_bytes * self._seconds_per_byte
        self._at_s = max(self._at_s, now_s)
        return now_s + max(0.0, self._owed_s - BURST_BYTES * self._seconds_per_byte)


class Lane:
    """One direction of one connection: tells when bytes that are sent now arrive. Does not wait itself."""

    def __init__(self, profile: NetworkProfile, bucket: Bucket, chance: random.Random) -> None:
        self._profile = profile
        self._bucket = bucket
        self._chance = chance
        self._last_arrival_s = float("-inf")

    def arrival_s(self, now_s: float, n_bytes: int) -> float:
        """Return when the last of `n_bytes` that are handed over at `now_s` is there; never before earlier ones."""
        left_s = self._bucket.leaves_s(now_s, n_bytes)
        jitter_ms = self._chance.expovariate(1 / self._profile.jitter_ms) if self._profile.jitter_ms else 0.0
        late_ms = self._profile.delay_ms + jitter_ms + self._retransmission_ms(n_bytes)
        self._last_arrival_s = max(self._last_arrival_s, left_s + late_ms / 1000)
        return self._last_arrival_s

    def round_trip_s(self) -> float:
        """Return one round trip of an empty packet of the connection's set-up, in seconds, with its chances."""
        profile, chance = self._profile, self._chance
        jitter_ms = sum(chance.expovariate(1 / profile.jitter_ms) for _ in range(2)) if profile.jitter_ms else 0.0
        return (2 * profile.delay_ms + jitter_ms + self._retransmission_ms(1)) / 1000

    def _retransmission_ms(self, n_bytes: int) -> float:
        """Return how much later the message is whole because packets of it were lost."""
        profile = self._profile
        if not profile.loss:
            return 0.0
        n_packets = max(1, -(-n_bytes // PACKET_BYTES))
        timeout_ms = max(RETRANSMISSION_TIMEOUT_MS, profile.round_trip_ms + 4 * profile.jitter_ms)
        late_ms = 0.0
        for behind in reversed(range(n_packets)):
            if self._chance.random() >= profile.loss:
                continue
            again_ms = profile.round_trip_ms if behind >= DUPLICATE_ACKS else timeout_ms
            for _ in range(MAX_RETRANSMISSIONS - 1):
                if self._chance.random() >= profile.loss:
                    break
                timeout_ms, again_ms = 2 * timeout_ms, again_ms + 2 * timeout_ms
            late_ms = max(late_ms, again_ms)
        return late_ms


NETWORKS: Mapping[str, NetworkProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            NetworkProfile(name="LAN", delay_ms=0.5, jitter_ms=0.1, up_mbps=1000, down_mbps=1000),
            NetworkProfile(name="home Wi-Fi", delay_ms=12, jitter_ms=4, loss=0.001, up_mbps=20, down_mbps=100),
            NetworkProfile(name="conference Wi-Fi", delay_ms=25, jitter_ms=30, loss=0.02, up_mbps=2, down_mbps=5),
            NetworkProfile(
                name="4G",
                delay_ms=85,
                jitter_ms=15,
                loss=0.005,
                up_mbps=9,
                down_mbps=9,
                source="delay and bandwidth: WebPageTest's profile “4G” (170 ms round trip, 9 Mbit/s); "
                "jitter and loss chosen",
            ),
            NetworkProfile(
                name="transatlantic",
                delay_ms=45,
                jitter_ms=2,
                loss=0.001,
                up_mbps=100,
                down_mbps=100,
                source="delay: the 90 ms round trip that Verizon's service level promises for London to New York; "
                "the rest chosen",
            ),
        )
    }
)
"""The named networks."""


def network_profile(network: str | NetworkProfile | None) -> NetworkProfile | None:
    """Return the profile that is meant; None and "none" are no simulated network.

    Args:
        network: a profile, or a name in any spelling ("4G", "home-wifi", "Conference Wi-Fi").

    Raises:
        ConfigurationError: there is no network of that name; the message lists them.
    """
    if network is None or isinstance(network, NetworkProfile):
        return network
    if _plain(network) == "none":
        return None
    for name, profile in NETWORKS.items():
        if _plain(name) == _plain(network):
            return profile
    raise ConfigurationError(
        f"There is no network {network!r}.", what_now=f"Use one of: {', '.join(NETWORKS)}, or a NetworkProfile."
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
