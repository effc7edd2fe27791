"""``quantize.check`` and ``quantize.verify``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantize.commands.settings import PathLike
from quantize.public.progress import shown
from quantize.public.runs import run_place

if TYPE_CHECKING:
    from quantize.commands.verify import Verification
    from quantize.gate.result import GateResult
    from quantize.progress import Progress
    from quantize.public.kinds import RunLike


def check(
    run: RunLike,
    *,
    baseline: PathLike | None = None,
    tolerances: PathLike | None = None,
    junit: PathLike | None = None,
    on_inconclusive: Literal["pass", "fail"] | None = None,
    require: Sequence[str] = (),
    limits_only: bool = False,
) -> GateResult:
    """Compare a run with an accepted baseline, or with limits alone, and write ``check.md`` next to its report.

    Example:
        >>> result = quantize.check("run", tolerances="tolerances.yaml")
        >>> {line.verdict for line in result.lines}
        {'pass'}

    Args:
        run: The run's folder, its ``report.json``, or what ``tune`` returned.
        baseline: What ``quantize baseline accept`` wrote; None if the tolerances compare with none.
        tolerances: A YAML file; None: the packaged ones.
        junit: Where JUnit XML goes; None: nowhere.
        on_inconclusive: What to make of inconclusive lines; None: they have an exit code of their own.
        require: Figures that have to be compared: where they were not, their lines fail.
        limits_only: Without a baseline: leave out what the tolerances say of one.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.check import check_run

    return check_run(
        run_place(run),
        _path(baseline),
        _path(tolerances),
        _path(junit),
        on_inconclusive,
        require=tuple(require),
        limits_only=limits_only,
    )


def verify(
    model: PathLike | bytes,
    *,
    run: RunLike | None = None,
    input_model: PathLike | None = None,
    data_path: PathLike | None = None,
    label_path: PathLike | None = None,
    file_only: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check a model file against its run's report, and repeat the run bit for bit.

    Example:
        >>> quantize.verify("run/model-13-int8.onnx", file_only=True).exit_code.name
        'DONE'

    Args:
        model: A file that a run wrote, or its bytes.
        run: The run; None: the one beside the model. Bytes have none beside them.
        input_model: The run's fp32 model, where it lies now; None: where it lay.
        data_path: The run's images, likewise.
        label_path: Their labels, likewise.
        file_only: Check the file only; do not repeat the run.
        progress: Called as each long stage advances; None: a bar in a notebook or a terminal, silence elsewhere.

    Raises:
        QuantizeError: Something that the caller can fix; its subclasses say what.
    """
    from quantize.commands.verify import verify as verify_model
    from quantize.public.given import model_file
    from quantize.run.repeat import Inputs

    inputs = Inputs(_path(input_model), _path(data_path), _path(label_path))
    report = None if run is None else run_place(run)
    with shown(progress) as told:
        return verify_model(model_file(model), report, repeat=not file_only, inputs=inputs, progress=told)


def _path(place: PathLike | None) -> Path | None:
    return None if place is None else Path(place)
