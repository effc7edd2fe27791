"""What is kept and drawn of how far one machine goes: of each CPU, with labels and without."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from evaluated import Evaluated, Stage
from measured_on import MeasuredOn, this_cpu
from opened import Opened
from scale import _DOCUMENT, _RESULTS, keep
from scale_page import document, evaluations, images, memory, openings, rest, stages
from tuned import Tuned, tuning_flags

ZEN_5 = MeasuredOn("AMD EPYC", 26, "vnni", "Zen 5")
ZEN_3 = MeasuredOn("AMD EPYC", 25, "avx2", "Zen 3")
ROW = Tuned(
    model="some.onnx",
    model_bytes=5_000_000,
    cpu=ZEN_5,
    engine="native",
    images=50_000,
    evaluated=34_930,
    unseen=14_970,
    stages={"decode the images": 200.0, "evaluate fp32": 100.0, "evaluate the written files": 100.0},
    limits={"decode": 300.0, "fp32": 400.0, "int8": 1200.0},
    inferences={"fp32": 49_900, "int8": 130_000},
    judged=[5540, None],
    peak_bytes=550_000_000,
    work_bytes=200_000_000,
    crop_bytes=7_500_000_000,
    silence=6.0,
    seconds=900.0,
    processor=1700.0,
    cores=2,
    load=(0.1, 2.0),
    peaks={"evaluate": 400_000_000, "sensitivity": 550_000_000},
    others=90.0,
)
STAGE = Stage(110.0, 205.0, 5.0, 200_000_000, 11.0)
LIMITS = {"decode": 0.004, "fp32": 0.004}


def test_the_page_is_what_its_results_give_in_the_words_of_the_product() -> None:
    text = _DOCUMENT.read_text(encoding="utf-8")
    assert text == document(_RESULTS)
    assert re.findall(r"\d%", text) == []  # percent() writes 10 %


def test_rows_of_two_cpus_stand_side_by_side_each_with_its_name(tmp_path: Path) -> None:
    for cpu in (ZEN_5, ZEN_3):
        keep(replace(ROW, cpu=cpu), tmp_path)
        keep(Opened("some.onnx", 100_000_000, cpu, 2_600_000_000), tmp_path)
        keep(Evaluated("some.onnx", 5_000_000, cpu, 500, 2, LIMITS, {"decode": STAGE, "fp32": STAGE}, 0), tmp_path)
    lines = document(tmp_path).splitlines()
    of_each = [[line for line in lines if f"| {cpu.in_words} |" in line] for cpu in (ZEN_5, ZEN_3)]
    assert [len(rows) for rows in of_each] == [6, 6]
    assert [line.replace("(Zen 3), `avx2`", "(Zen 5), `vnni`") for line in of_each[1]] == of_each[0]


def test_a_row_without_labels_says_so_and_does_not_take_the_place_of_one_with_them(tmp_path: Path) -> None:
    assert keep(ROW, tmp_path) != keep(replace(ROW, label_free=True), tmp_path)
    assert "| `native`, label-free | 50,000 | 550 MB |" in document(tmp_path)
    assert "| `native` | 50,000 | 550 MB |" in document(tmp_path)


def test_without_labels_the_run_gets_no_list_and_has_no_criterion() -> None:
    def flags(labels: Path | None) -> str:
        return " ".join(tuning_flags(Path("m.onnx"), "imagenet", "native", Path("val"), labels, Path("out"), 30))

    assert "--criterion none" in flags(None)
    assert "--label_path" not in flags(None)
    assert "--label_path val.txt" in flags(Path("val.txt"))
    assert "--criterion" not in flags(Path("val.txt"))


@pytest.mark.parametrize(
    ("family", "model", "core"), [(26, 2, "Zen 5"), (25, 1, "Zen 3"), (25, 17, "Zen 4"), (99, 1, None)]
)
def test_a_cpu_is_named_by_its_core_where_that_is_known_and_else_by_its_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: int, model: int, core: str | None
) -> None:
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", "avx2")
    told = f"vendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\n"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(told, encoding="utf-8")
    cpu = this_cpu(tmp_path)
    assert cpu == MeasuredOn("AMD EPYC", family, "avx2", core)
    assert cpu.in_words == f"AMD EPYC ({core or f'family {family}'}), `avx2`"
    assert cpu.folder == f"amd-epyc-family-{family}-avx2"


@pytest.mark.parametrize(
    ("model", "core", "folder"),
    [
        (207, "Emerald Rapids", "intel-xeon-processor-emerald-rapids-vnni"),
        (1, None, "intel-xeon-processor-family-6-vnni"),
    ],
)
def test_intels_family_says_nothing_so_that_the_core_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: int, core: str | None, folder: str
) -> None:
    monkeypatch.setenv("QUANTIZE_CPU_CLASS", "vnni")
    name = "Intel(R) Xeon(R) Processor"
    told = f"vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {model}\nmodel name\t: {name}\n"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(told, encoding="utf-8")
    cpu = this_cpu(tmp_path)
    assert (cpu, cpu.folder) == (MeasuredOn(name, 6, "vnni", core), folder)


def test_a_row_says_memory_beside_its_bound_and_passes_over_allimages() -> None:
    assert "| 15 min, 28 core-minutes | 5 % |" in "\n".join(stages([ROW]))
    assert "| 15 min, 28 core-minutes | 20 %: busy |" in "\n".join(stages([replace(ROW, others=360.0)]))
    assert "| 15 min, 28 core-minutes | load 0 to 2 |" in "\n".join(stages([replace(ROW, others=None)]))
    assert "| 50,000 | 550 MB | sensitivity | 620 MB | 7.50 GB | 200 MB |" in "\n".join(memory([ROW]))
    assert "| 1.00 | 2.61 | 5,540, – | 6 s |" in "\n".join(images([ROW]))
    assert "250/s of 300 (83 %)" in "\n".join(stages([ROW]))
    # 300 s are 1.18 times what 50,000 images take to decode and 34,930 to evaluate; 49,900 and 130,000 are evaluated.
    assert "| 300 s, 1.18 times | 1,700, 2.13 times 800 | decode the images 200 s, " in "\n".join(rest([ROW]))


def test_evaluation_by_itself_is_the_clock_beside_the_least_and_says_what_ran_beside() -> None:
    def done(others: float | None) -> str:
        parts = {
            "decode": Stage(110.0, 205.0, 5.0, 200_000_000, others),
            "fp32": Stage(110.0, 215.0, 3.0, 250_000_000, others),
        }
        limits = {"decode": 0.004, "fp32": 0.004}
        return evaluations([Evaluated("some.onnx", 5_000_000, ZEN_5, 50_000, 2, limits, parts, 0, 4)])[-1]

    both = "455/s of 500 (91 %) | 455/s of 500 (91 %) | 220 s, 1.10 times | 200 s"
    assert f"{both} | 5 % | 1.07 times | 2 % | 250 MB |" in done(11.0)
    assert f"{both} | 25 %: busy | 1.07 times |" in done(55.0)
    assert f"{both} | – | 1.07 times |" in done(None)


def test_opening_a_model_is_drawn_beside_what_it_may_take() -> None:
    model = Opened("some.onnx", 100_000_000, ZEN_5, 2_600_000_000, 520_000_000, 650_000_000, 3.2)
    assert "| some.onnx, 100 MB | AMD EPYC (Zen 5), `vnni` | 2,600 MB | 520 MB | 650 MB | 25 % | 3 s |" in openings(
        [model]
    )
