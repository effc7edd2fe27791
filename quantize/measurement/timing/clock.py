"""The clock, and whether the kernel preempted this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns nanoseconds since some fixed moment; never goes back."""

monotonic: Clock = time.perf_counter_ns


SwitchCount = Callable[[], int]
"""Returns how often one of this process's threads has lost its core although it could have continued."""

if sys.platform == "win32":

    def involuntary_switches() -> int:
        """Return 0: this system does not count them, so no run counts as interrupted."""
        return 0

else:
    import resource

    def involuntary_switches() -> int:
        """Return the involuntary context switches of all threads of this process so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
