"""Where time comes from: passed in everywhere, so that tests can bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns nanoseconds since some fixed moment; never goes back."""

monotonic: Clock = time.perf_counter_ns
