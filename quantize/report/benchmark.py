"""The report of a benchmark: models compared on the same images and the same machine."""

from __future__ import annotations

from typing import Literal

from quantize.measurement.instances.measurement import InstanceMeasurement
from quantize.measurement.machine.loads import Resources
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.timing.measurement import Measurement
from quantize.measurement.timing.stages import StageTimes
from quantize.measurement.timing.throughput import BatchThroughput
from quantize.report.data import PreprocessingSection
from quantize.report.models import AccuracySection
from quantize.report.section import Section
from quantize.target import CpuClass, computes_otherwise


class BenchmarkedModel(Section):
    """One of the models.

    Attributes:
        name: What tables call it; ``fp32`` is the baseline.
        file: Its path.
        sha256: Hash of the file's bytes.
        bytes: Size.
        accuracy: On the images; None if only speed was measured.
        preprocessing: How the same crops become its input, where that is not as for the first model; else None.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    accuracy: AccuracySection | None
    preprocessing: PreprocessingSection | None = None


class CalibrationShare(Section):
    """How many of the images calibrated the models, where a model's file tells.

    Attributes:
        images: All images, whether they calibrated or not.
        calibrated: Those of them that did.
        left_out: Whether these were left out of what accuracy was measured on.
    """

    images: int
    calibrated: int
    left_out: bool

    @property
    def sentence(self) -> str:
        """Return it in words."""
        if not self.calibrated:
            return f"None of the {self.images:,} images calibrated this model."
        told = f"{self.calibrated:,} of the {self.images:,} images calibrated this model"
        if self.left_out:
            return f"{told}: they are left out."
        return f"{told}: accuracy on them may be too good. --calibration_images out leaves them out."


class BenchmarkReport(Section):
    """What a benchmark found.

    Attributes:
        schema_version: Version of this schema.
        created: Time of writing, UTC, ISO 8601.
        mode: What was measured.
        data: The images' folder.
        images: Images that accuracy was measured on, or that rotated.
        data_fingerprint: Hash over the crops and labels.
        preprocessing: How images become the first model's inputs.
        models: The models, the baseline first if there is one.
        latency: Latencies in alternation; None if only accuracy was measured.
        instances: Several instances at once; None with one.
        throughput: By batch size; empty if none were requested.
        resources: Memory and load time.
        profile: Operators of the baseline and of the first other model; None if not requested.
        stages: From the image file's bytes to the top-5.
        versions: Package name to version.
        target: The class of CPUs that the models are for; None in earlier reports.
        cpu_class: This machine's; None in earlier reports.
        calibration: How many images calibrated the models; None where no file tells, and where only speed was measured.
        notes: What of the settings was changed, such as cores that the machine does not have.
    """

    schema_version: Literal[1] = 1
    created: str
    mode: Literal["accuracy", "performance", "both"]
    data: str
    images: int
    data_fingerprint: str
    preprocessing: PreprocessingSection
    models: tuple[BenchmarkedModel, ...]
    latency: Measurement | None
    instances: InstanceMeasurement | None
    throughput: tuple[BatchThroughput, ...]
    resources: tuple[Resources, ...]
    profile: Profile | None = None
    stages: tuple[StageTimes, ...]
    versions: dict[str, str]
    target: CpuClass | None = None
    cpu_class: CpuClass | None = None
    calibration: CalibrationShare | None = None
    notes: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> str | None:
        """Return which figures hold on the CPUs that the models are for, if this is none of them."""
        if self.target is None or self.cpu_class in (None, self.target):
            return None
        says = []
        if self.mode != "performance" and computes_otherwise(self.cpu_class, self.target):
            says.append("accuracy is measured in exact sessions, which compute as the target does")
        if self.mode != "accuracy":
            says.append("latencies are this CPU's")
        text = f"The models are for CPUs of class {self.target}, and this one is of class {self.cpu_class}"
        return f"{text}{': ' if says else ''}{'; '.join(says)}."
