"""A profile on one screen: why is it not faster?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from quantize.benchmark.gains import (
    Cost,
    Gain,
    Reached,
    conversions,
    gains,
    product_gains,
    reached,
    short_name,
    stayed_float,
)
from quantize.benchmark.kinds import Kind
from quantize.benchmark.losses import losses
from quantize.benchmark.operator_times import Profile
from quantize.benchmark.summary import WIDTH, milliseconds, shortened

_ROWS = 7
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
    lines += ["", *_losses(profile)]
    lines += ["", *_least_gains(profile)]
    lines += ["", *_roofline(profile)]
    lines += ["", *_note("conversion", conversions(profile.candidate), profile)]
    lines += _note("in fp32", stayed_float(profile.candidate), profile)
    return "\n".join(line.rstrip() for line in lines)


def _totals(profile: Profile) -> list[str]:
    before, after = profile.baseline, profile.candidate
    rows = [(label, before.time_ns(kind), after.time_ns(kind)) for kind, label in _KINDS]
    rows.append(("outside operators", before.outside_ns, after.outside_ns))
    lines = [f"{'a run, with the profiler on':<28}{shortened(before.name, 12):>13}{shortened(after.name, 12):>13}"]
    for label, one, other in rows:
        lines.append(f"  {label:<26}{_time(one):>13}{_time(other):>13}{other / after.run_ns:>10.0%}")
    ratio = before.run_ns / after.run_ns
    lines.append(f"  {'all':<26}{milliseconds(before.run_ns):>13}{milliseconds(after.run_ns):>13}{ratio:>9.2f}x")
    return lines


def _losses(profile: Profile) -> list[str]:
    run = profile.candidate.run_ns
    lines = [f"{'loses':>9}  {'(0.5x of 3x: its gain of the typical one)':<45} {'rewrite':<15}{'without':>8}"]
    for loss in losses(profile)[:_ROWS]:
        words = f"{shortened(loss.what, 43 - len(loss.why))}: {loss.why}"
        without = profile.baseline.run_ns / (run - loss.time_ns)
        lines.append(f"{milliseconds(loss.time_ns):>9}  {words:<45} {loss.rewrite or '':<15}{without:>7.2f}x")
    return lines if len(lines) > 1 else ["Nothing beside the int8 operators costs 1 % of the time."]


def _least_gains(profile: Profile) -> list[str]:
    products = product_gains(profile)
    lines = [f"{'operators that gain least':<47}{'fp32':>11}{'int8':>11}{'gain':>8}"]
    lines += [_gain_row(gain) for gain in products[:_ROWS]]
    lines += [_gain_row(gain) for gain in _slower_others(profile)[:_OTHER_ROWS]]
    if len(products) > _ROWS:
        most = products[-1]
        lines.append(f"  … most: {shortened(short_name(most.origin, most.op_type), 50)}, {most.ratio:.2f}x")
    return lines


def _slower_others(profile: Profile) -> list[Gain]:
    """Return the operators that are no products and take longer in int8, by what they take longer."""
    products = {gain.origin for gain in product_gains(profile)}
    longer = [gain for gain in gains(profile) if gain.origin not in products]
    longer.sort(key=lambda gain: gain.baseline_ns - gain.candidate_ns)
    return [g for g in longer if g.candidate_ns - g.baseline_ns >= _OTHERS_FROM * profile.candidate.run_ns]


def _gain_row(gain: Gain) -> str:
    detail = f" ({gain.op_type})" if gain.shape_note is None else f" ({gain.op_type}, {gain.shape_note})"
    name = shortened(short_name(gain.origin, gain.op_type), 44 - len(detail)) + detail
    return f"  {name:<45}{_micro(gain.baseline_ns):>11}{_micro(gain.candidate_ns):>11}{gain.ratio:>7.2f}x"


def _roofline(profile: Profile) -> list[str]:
    threads = "1 thread" if profile.threads == 1 else f"{profile.threads} threads"
    lines = [f"roofline, {threads} (peak: onnxruntime's best matrix product on this core)"]
    sides = (reached(profile, profile.candidate).get("int8"), reached(profile, profile.baseline).get("fp32"))
    for kind, found in zip(("int8", "fp32"), sides, strict=True):
        if found is not None:
            lines.append(_reached_line(kind, found))
    ratio = profile.peak.int8 / profile.peak.fp32
    lines.append(f"  int8 peak / fp32 peak: {ratio:.1f}x, what int8 arithmetic can gain at equal efficiency")
    return lines


def _reached_line(kind: str, found: Reached) -> str:
    return (
        f"  {kind}: {found.multiply_adds / 1e6:.0f} M multiply-adds in {milliseconds(found.time_ns)}: "
        f"{found.rate / 1e9:.0f} G/s, {found.share:.0%} of {found.peak / 1e9:.0f} G/s"
    )


def _note(title: str, costs: Sequence[Cost], profile: Profile) -> list[str]:
    if not costs:
        return []
    total = sum(cost.time_ns for cost in costs)
    parts = [", ".join(filter(None, (f"{cost.label} {_micro(cost.time_ns)}", cost.reason))) for cost in costs]
    text = f"{title} {milliseconds(total)} ({total / profile.candidate.run_ns:.0%}): " + "; ".join(parts)
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", max_lines=_NOTE_LINES, placeholder=" …")


def _time(nanoseconds: float) -> str:
    return milliseconds(nanoseconds) if nanoseconds else "-"


def _micro(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.0f} us"
