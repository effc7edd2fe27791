"""``python -m quantize``."""

from quantize.cli.start import run

if __name__ == "__main__":
    run()
