"""How long a server may take, and how often it is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Times and counts for one download.

    Attributes:
        connect_seconds: Until the server accepts a connection.
        stall_seconds: Until it sends the next bytes.
        retries: How often a broken download is continued, at each address.
        grace_seconds: What every download may take.
        slowest_rate: Bytes a second below which a larger one is given up.
    """

    connect_seconds: float = 5.0
    stall_seconds: float = 15.0
    retries: int = 2
    grace_seconds: float = 60.0
    slowest_rate: float = 20_000.0

    def longest_seconds(self, size: int | None) -> float:
        """Return how long a download of this many bytes may take in all; None where the number is not known."""
        return self.grace_seconds + (size or 100_000_000) / self.slowest_rate
