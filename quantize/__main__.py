"""``python -m quantize``."""

from quantize.cli.main import run

if __name__ == "__main__":
    run()
