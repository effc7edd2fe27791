"""CPUs of no known class."""

from __future__ import annotations

from quantize.cpus.traits import CpuTraits

ANY = CpuTraits(name="any", models_are_for="any CPU", where="elsewhere", saturates=True)
