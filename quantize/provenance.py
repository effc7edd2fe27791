"""Hashes, versions and commits: where a figure comes from."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

_RECORDED_PACKAGES = ("quantize", "onnxruntime", "onnx", "numpy", "pillow", "scipy", "neural-compressor")


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def _digest(stream: Any) -> str:
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value's canonical form (sorted keys, no spaces, no NaN)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return sha256_bytes(text.encode("utf-8"))


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that can move a figure; absent ones are left out.

    ``blas`` names the kernels that numpy and scipy multiply with: other ones sum in another order.
    """
    recorded = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        try:
            recorded[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name in ("numpy", "scipy.linalg"):
        import_module(name)  # loads the library whose kernels are asked for
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kernels = {f"{library['internal_api']} {library.get('architecture') or ''}".strip() for library in blas}
    return recorded | {"blas": ", ".join(sorted(kernels))}


def git_state(folder: Path) -> tuple[str, bool] | None:
    """Return (commit, dirty) of the checkout that ``folder`` lies in, or None outside any checkout."""
    try:
        commit = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        status = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return commit, bool(status.strip())
