"""Time the start of Python, imports, help texts and ``quantize zoo``, each in fresh interpreters.

    python benchmarks/import_time.py [--runs 20] [--at_most 0.1] [--model MODEL]

Prints the minimum and the median of each. The interpreter's own start is part of every figure and stands in the first
line; --at_most bounds the minimum of what `import quantize` adds to it, in seconds. Exit code 1 where it is exceeded.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

_COMMANDS = {
    "python": ["-c", "pass"],
    "import quantize": ["-c", "import quantize"],
    "import numpy": ["-c", "import numpy"],
    "quantize --help": ["-m", "quantize", "--help"],
    "quantize tune --help": ["-m", "quantize", "tune", "--help"],
    "quantize zoo": ["-m", "quantize", "zoo"],
}


def main() -> int:
    """Run the commands in turns and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="fresh interpreters for each command")
    parser.add_argument("--at_most", type=float, default=0.1, help="seconds that `import quantize` may add")
    parser.add_argument("--model", help="a file to time `quantize inspect` with")
    given = parser.parse_args()
    commands = _COMMANDS | ({"quantize inspect": ["-m", "quantize", "inspect", given.model]} if given.model else {})
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(given.runs + 1):  # in turns; the first one reads the files into memory
        for name, arguments in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    for name in commands:
        minimum, median = min(seconds[name][1:]), statistics.median(seconds[name][1:])
        print(f"{name:<20} {minimum:.3f} s at least, {median:.3f} s in the median of {given.runs}")
    added = min(seconds["import quantize"][1:]) - min(seconds["python"][1:])
    print(f"`import quantize` adds {added:.3f} s, of at most {given.at_most:g}")
    return int(added > given.at_most)


if __name__ == "__main__":
    sys.exit(main())
