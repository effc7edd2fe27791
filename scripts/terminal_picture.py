"""Run a command in a terminal and draw what it printed there as a picture that loads nothing.

    python scripts/terminal_picture.py PICTURE.svg [--folder FOLDER] [--columns 100] [--lines 40] -- quantize COMMAND...

Progress on stderr is left out, and what follows the given number of lines too.
"""

from __future__ import annotations

import argparse
import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text


def main() -> int:
    """Draw the picture; where the command fails, draw none and end as it did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path(), help="where the command is run")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    printed, code = printed_by(given.command, given.folder, given.columns)
    if code:
        sys.stderr.write(f"{shlex.join(given.command)} ended with {code}: no picture is drawn\n")
        return code
    picture = drawn(shlex.join(given.command), printed, given.columns, given.lines)
    given.picture.write_text(picture, encoding="utf-8")
    return code


def printed_by(command: list[str], folder: Path, columns: int) -> tuple[str, int]:
    """Return what a command of this environment writes to a terminal of so many columns, and its exit code."""
    ours, its = pty.openpty()
    terminal = {"COLUMNS": str(columns), "LINES": "1000", "TERM": "xterm-256color"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **terminal, "PATH": path}
    with subprocess.Popen(
        [shutil.which(command[0], path=path) or command[0], *command[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        os.close(its)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    return b"".join(parts).decode("utf-8").replace("\r\n", "\n"), process.returncode


def drawn(command: str, printed: str, columns: int, lines: int) -> str:
    """Return the picture (SVG) of a command and of the first lines that it printed."""
    console = Console(record=True, width=columns, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    shown = printed.rstrip().split("\n")
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi("\n".join(shown[:lines])))
    if len(shown) > lines:
        console.print(Text("…"))
    return console.export_svg(title="", theme=DIMMED_MONOKAI, code_format=_without_fonts(CONSOLE_SVG_FORMAT))


def _without_fonts(template: str) -> str:
    """Return rich's template without the fonts that it loads from elsewhere."""
    before, _, rest = template.partition("@font-face")
    return before + rest[rest.index(".{unique_id}-matrix") :]


if __name__ == "__main__":
    sys.exit(main())
