"""Why is int8 not faster? A profile on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from quantize.graph.nodes import WEIGHTED
from quantize.measurement.machine.layer_gains import LayerGain, surpassing_reason
from quantize.measurement.operators.bottlenecks import bottlenecks
from quantize.measurement.operators.kinds import Kind
from quantize.measurement.operators.operator_times import Profile
from quantize.measurement.operators.speedups import (
    Cost,
    arithmetic_rates,
    costs,
    expected_speedup,
    operator_speedups,
    short_name,
)
from quantize.measurement.timing.summary import WIDTH, milliseconds, shortened

_ROWS = 6
_OTHER_ROWS = 2
_OTHERS_FROM = 0.005
_NOTE_LINES = 3
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("int8", "int8 operators"),
    ("fp32", "fp32 operators"),
    ("conversion", "conversion"),
)


def profile_text(profile: Profile) -> str:
    """Return at most 40 lines of 80 columns: where the time goes and what would make the model faster."""
    lines = [f"Why is {shortened(profile.candidate.name, 30)} not faster?"]
    lines += _totals(profile)
    lines += ["", *_expected(profile), *_bottlenecks(profile)]
    lines += _surpassing(profile)
    lines += ["", *_roofline(profile)]
    lines += ["", *_note("conversion", costs(profile.candidate, "conversion"), profile)]
    lines += _note("in fp32", costs(profile.candidate, "fp32"), profile)
    return "\n".join(line.rstrip() for line in lines)


def _totals(profile: Profile) -> list[str]:
    before, after = profile.baseline, profile.candidate
    rows = [(label, before.time_ns(kind), after.time_ns(kind)) for kind, label in _KINDS]
    rows.append(("outside operators", before.outside_ns, after.outside_ns))
    lines = [f"{'a run, with the profiler on':<28}{shortened(before.name, 12):>13}{shortened(after.name, 12):>13}"]
    for label, fp32_ns, int8_ns in rows:
        lines.append(f"  {label:<26}{_time(fp32_ns):>13}{_time(int8_ns):>13}{100 * int8_ns / after.run_ns:>8.0f} %")
    ratio = before.run_ns / after.run_ns
    lines.append(f"  {'all':<26}{milliseconds(before.run_ns):>13}{milliseconds(after.run_ns):>13}{ratio:>9.2f}x")
    return lines


def _expected(profile: Profile) -> list[str]:
    """Return what this CPU lets the products gain, and what they gain."""
    products = [operator for operator in operator_speedups(profile) if operator.op_type in WEIGHTED]
    expected = expected_speedup(profile)
    if expected is None:
        return []
    ratio = sum(product.fp32_ns for product in products) / sum(product.int8_ns for product in products)
    source = "this CPU's peaks" if profile.peaks is not None else "its typical layer"
    return [f"Conv and MatMul layers gain {ratio:.2f}x; from {source}, {expected:.2f}x is expected."]


def _bottlenecks(profile: Profile) -> list[str]:
    slow = bottlenecks(profile)
    if not slow:
        return ["No operator loses 1 % of the time or more."]
    lines = [f"{'where int8 loses time, most first':<39}{'fp32':>10}{'int8':>10}{'expected':>10}{'lost':>11}"]
    for each in slow[:_ROWS]:
        times = (each.fp32_ns, each.int8_ns, each.expected_ns, each.excess_ns)
        words = "".join(f"{_micro(time):>10}" for time in times)
        lines.append(f"  {shortened(each.what, 36):<37}{words:>41}")
        lines += textwrap.wrap(
            f"to do: {each.advice} ({each.why})",  # what is cut, where the line is too short, is the reason
            WIDTH,
            initial_indent="    ",
            subsequent_indent="      ",
            max_lines=1,
            placeholder=" …",
        )
    if len(slow) > _ROWS:
        rest = slow[_ROWS:]
        lines.append(f"  … {len(rest)} more lose {milliseconds(sum(each.excess_ns for each in rest))}")
    return lines


def _surpassing(profile: Profile) -> list[str]:
    """Return the products that gain over 10 % more than expected, with the reason."""
    peak_rates, rate = profile.peaks, profile.memory_rate
    if peak_rates is None or rate is None:
        return []
    least = _OTHERS_FROM * profile.baseline.run_ns
    more = []
    for product in operator_speedups(profile):
        fp32 = product.fp32
        if fp32.layer is None or not fp32.multiply_adds or product.int8.kind != "int8" or product.fp32_ns < least:
            continue
        layer = LayerGain(
            name=product.name,
            kind=fp32.layer,
            multiply_adds=fp32.multiply_adds,
            fp32_bytes=fp32.fp32_bytes,
            fp32_ns=product.fp32_ns,
            int8_ns=product.int8_ns,
            expected=product.fp32_ns / product.expected_ns,
        )
        more += [(product, layer)] if layer.surpasses else []
    more.sort(key=lambda pair: -pair[1].gain / pair[1].expected)
    lines = ["gain over 10 % more than expected"] if more else []
    for product, layer in more[:_OTHER_ROWS]:
        name = shortened(short_name(product.name, product.op_type), 30)
        words = f"{name}, {layer.gain:.2f}x of {layer.expected:.2f}x: {surpassing_reason(layer, peak_rates, rate)}"
        lines += textwrap.wrap(words, WIDTH, initial_indent="  ", subsequent_indent="    ")[:2]
    if len(more) > _OTHER_ROWS:
        lines.append(f"  … {len(more) - _OTHER_ROWS} more")
    return lines


def _roofline(profile: Profile) -> list[str]:
    threads = "1 thread" if profile.threads == 1 else f"{profile.threads} threads"
    lines = [f"roofline, {threads} (peak: the best layer of any kind, measured on this CPU)"]
    for kind, model in (("int8", profile.candidate), ("fp32", profile.baseline)):
        rate = arithmetic_rates(profile, model).get(kind)
        if rate is not None:
            lines.append(
                f"  {kind}: {rate.multiply_adds / 1e6:.0f} M multiply-adds in {milliseconds(rate.time_ns)}: "
                f"{rate.rate / 1e9:.0f} G/s, {100 * rate.share:.0f} % of {rate.peak_rate / 1e9:.0f} G/s"
            )
    ratio = profile.peak.int8 / profile.peak.fp32
    lines.append(f"  int8 peak / fp32 peak: {ratio:.1f}x, what int8 arithmetic can gain at equal efficiency")
    return lines


def _note(title: str, costs: Sequence[Cost], profile: Profile) -> list[str]:
    if not costs:
        return []
    total = sum(cost.time_ns for cost in costs)
    parts = [", ".join(filter(None, (f"{cost.label} {_micro(cost.time_ns)}", cost.reason))) for cost in costs]
    text = f"{title} {milliseconds(total)} ({100 * total / profile.candidate.run_ns:.0f} %): " + "; ".join(parts)
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", max_lines=_NOTE_LINES, placeholder=" …")


def _time(nanoseconds: float) -> str:
    return milliseconds(nanoseconds) if nanoseconds else "-"


def _micro(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.0f} us" if nanoseconds else "-"
