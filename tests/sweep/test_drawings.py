from __future__ import annotations

from quantize.report.provenance import Tool
from quantize.sweep.drawings import sweep_html, sweep_markdown, sweep_text
from quantize.sweep.report import SweepModelSection, SweepReport, SweepRun, SweepSpeed, SweepTimes, SweepWorker, worst


def _run(name: str, code: int, *, error: str | None = None, speed: tuple[SweepSpeed, ...] = ()) -> SweepRun:
    def model(role: str, size: int, agreement: float | None) -> SweepModelSection:
        return SweepModelSection(
            role=role, graph_sha256="f" * 64, bytes=size, accuracy=0.75, drop=0.0, agreement=agreement
        )

    good = error is None
    return SweepRun(
        name=name,
        model=f"/models/{name}.onnx",
        settings=None,
        engine="ort",
        target="vnni" if good else None,
        run=name,
        exit_code=code,
        status="met" if good else None,
        headline="met" if good else None,
        error=error,
        facts="  found:    <b>8 bytes</b>" if error else None,
        models=(model("fp32", 5_000_000, None), model("int8", 1_290_000, 0.96)) if good else (),
        times=SweepTimes(seconds=3.0, worker="0", speed=speed),
    )


def _speed(cpu_class: str, ratio: float, *, target: bool) -> SweepSpeed:
    return SweepSpeed(
        cpu_class=cpu_class, cpu_model="a CPU", role="int8", ratio=ratio, low=ratio, high=ratio, target=target
    )


def _report() -> SweepReport:
    speed = (_speed("avx2", 1.25, target=False), _speed("vnni", 2.5, target=True))
    runs = (_run("good", 0, speed=speed), _run("<i>bad</i>", 2, error="this is not an ONNX model"))
    return SweepReport(
        exit_code=int(worst(runs)),
        runs=runs,
        classes=("avx2", "vnni"),
        workers=(
            SweepWorker(name="far", cpu_class="vnni", cores=2, benchmark=False, missing=("/data/val",), claimed=True),
        ),
        created="2026-01-01T00:00:00+00:00",
        command=("quantize", "sweep"),
        tool=Tool(version="0.1.0", git_commit=None, git_dirty=None),
    )


def test_a_column_a_class_and_the_exit_code_of_the_worst() -> None:
    report = _report()
    assert report.exit_code == 2
    assert worst((_run("a", 3), _run("b", 1), _run("c", 0))) == 1
    text = sweep_text(report)
    assert "on avx2" in text
    assert "on vnni" in text
    assert "1.25x *" in text  # the file is for another class
    assert "2.50x" in text
    assert "worker far got no work: it does not find /data/val" in " ".join(text.split())


def test_what_failed_is_told_and_nothing_of_it_is_obeyed() -> None:
    report = _report()
    assert "this is not an ONNX model" in sweep_text(report)
    page = sweep_html(report)
    assert "&lt;b&gt;8 bytes" in page
    assert "<b>8" not in page + sweep_markdown(report)
    assert "<i>" not in page + sweep_markdown(report)


def test_a_class_that_only_the_environment_names_is_told_as_such() -> None:
    assert "avx2 (claimed)" not in sweep_markdown(_report())
    assert "vnni (claimed)" in sweep_markdown(_report())
    assert "the CPU may be another" in sweep_markdown(_report())


def test_the_report_survives_its_json() -> None:
    report = _report()
    assert SweepReport.model_validate_json(report.model_dump_json()) == report
