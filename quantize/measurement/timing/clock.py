"""Where time comes from, and whether the kernel took this process off its core in it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns nanoseconds since some fixed moment; never goes back."""

monotonic: Clock = time.perf_counter_ns


SwitchCount = Callable[[], int]
"""Returns how often, since the process began, one of its threads lost its core though it could have run on."""

if sys.platform == "win32":

    def involuntary_switches() -> int:
        """Return 0: this system does not count them, and no run counts as interrupted."""
        return 0

else:
    import resource

    def involuntary_switches() -> int:
        """Return the involuntary context switches of all threads of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
