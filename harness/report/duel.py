"""A duel for the terminal: the verdicts in sentences first, then what each side took."""

from collections.abc import Iterator

from tabulate import tabulate

from harness.duel.findings import ConfigurationFindings, break_even_samples, side_findings
from harness.duel.record import UNEVEN, BlockRecord, DuelRecord, DuelResult
from harness.report.terminal import framework_text
from harness.stats.looks import MOST_PAIRS

_NOTHING = "–"
_WORTH_TELLING = 0.1


def ratio_text(comparison: DuelResult) -> str:
    """``0.912 [0.905, 0.921]``."""
    if comparison.ratio is None:
        return _NOTHING
    if comparison.low is None or comparison.high is None:
        return f"{comparison.ratio:.3f}"
    return f"{comparison.ratio:.3f} [{comparison.low:.3f}, {comparison.high:.3f}]"


def verdict_sentence(comparison: DuelResult, margin: float) -> str:
    """What a comparison found, in words."""
    one, other = comparison.side, comparison.against
    interval = ratio_text(comparison)
    match comparison.verdict:
        case "same":
            return f"{one} is as fast as {other} within {100 * margin:g} %: it takes {interval} times as long"
        case "slower":
            return f"{one} is slower than {other}: it takes {interval} times as long"
        case "faster":
            return f"{one} is faster than {other}: it takes {interval} times as long"
    wanted = comparison.pairs_wanted or 0
    more = f"; about {wanted} more pairs would tell" if wanted > 0 else ""
    if more and comparison.pairs + wanted > MOST_PAIRS:
        more += f", more than a duel makes ({MOST_PAIRS})"
    why = f" ({comparison.reason})" if comparison.reason else ""
    return f"cannot tell yet whether {one} or {other} is faster{why}: {interval} times as long{more}"


def duel_text(record: DuelRecord) -> str:
    """The whole outcome of a duel."""
    parts = [_sentences(record)]
    if record.pairs:
        parts.append(_side_table(record))
        parts.append("\n".join([*_break_even(record), *_remarks(record)]))
    return "\n\n".join(part for part in parts if part)


def _sentences(record: DuelRecord) -> str:
    lines = []
    for one in record.comparisons:
        sentence = verdict_sentence(one, record.margin)
        lines.append(f"{sentence[0].upper()}{sentence[1:]}.")
        lines.append(f"  ({evidence_text(one)})")
    if len({side.device for side in record.sides}) > 1:
        devices = ", ".join(f"{side.device} ({side.label})" for side in record.sides)
        lines.append(f"The sides ran on different devices: {devices}.")
    if record.failure:
        lines.append(f"{record.status}: {record.failure}")
    elif record.status == "running":
        lines.append("running, or its harness was killed")
    return "\n".join(lines)


def evidence_text(comparison: DuelResult) -> str:
    """What a verdict rests on."""
    pairs, weight = f"{comparison.pairs} pairs of fresh processes", comparison.weight
    if comparison.reached_after is not None and comparison.reached_after < comparison.pairs:
        pairs += f" (verdict after {comparison.reached_after})"
    if weight is not None and weight < (1 - _WORTH_TELLING) * comparison.pairs:
        pairs += f" that count as {weight:.0f}, those far off the others less"
    evidence = [pairs]
    if comparison.p_value is not None:
        evidence.append(f"sign-flip p = {comparison.p_value:.2g}")
    if comparison.spread is not None:
        evidence.append(f"spread of a pair {comparison.spread:.1%}")
    if comparison.uneven:
        evidence.append(UNEVEN)
    if comparison.control_ratio is not None:
        evidence.append(f"control {comparison.control_ratio:.3f}")
    return ", ".join(evidence)


def _side_table(record: DuelRecord) -> str:
    found = [side_findings(record, side) for side in range(len(record.sides))]
    rows = [
        ("framework", *(framework_text(side.backend, side.framework) for side in record.sides)),
        ("device, threads", *(f"{side.device}, {side.threads}" for side in record.sides)),
        ("precision, batch size", *(f"{side.precision}, {side.batch_size}" for side in record.sides)),
        ("steady step (ms)", *map(_step, found)),
        ("steps in a block", *(str(one.block_steps) for one in found)),
        ("samples/s", *(f"{one.samples_per_second:,.0f}" for one in found)),
        ("GFLOP/s (of NumPy's peak)", *(_flops(record, side, found[side]) for side in range(len(found)))),
        ("import, build (s)", *(f"{one.import_seconds:.2f}, {one.build_seconds:.2f}" for one in found)),
        ("first step (s)", *(f"{one.first_step_seconds:.3f}" for one in found)),
        ("start-up in all (s)", *(f"{one.start_up_seconds:.2f}" for one in found)),
        ("warm-up blocks dropped", *(f"{one.warm_up_blocks:g}" for one in found)),
        ("peak memory (MiB)", *map(_memory, found)),
        ("energy (mJ/sample)", *map(_energy, found)),
    ]
    headers = ["", *(side.label for side in record.sides)]
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True)


def _step(found: ConfigurationFindings) -> str:
    step = found.step_seconds.scaled(1e3)
    if step.low is None or step.high is None:
        return f"{step.value:.4g}"
    return f"{step.value:.4g} [{step.low:.4g}, {step.high:.4g}]"


def _flops(record: DuelRecord, side: int, found: ConfigurationFindings) -> str:
    """The share of the peak only where that is of the side's own threads, device and precision."""
    giga = f"{found.flops_per_second / 1e9:.1f}"
    told = record.sides[side]
    of_its_own = (told.threads, told.device, told.precision) == (record.sides[0].threads, "cpu", "float32")
    if record.peak_flops_per_second is None or not found.flops_per_second or not of_its_own:
        return giga
    return f"{giga} ({found.flops_per_second / record.peak_flops_per_second:.0%})"


def _memory(found: ConfigurationFindings) -> str:
    host = f"{found.peak_memory_bytes / 2**20:.0f}"
    device = found.device_peak_memory_bytes
    return host if device is None else f"{host} + {device / 2**20:.0f} on device"


def _energy(found: ConfigurationFindings) -> str:
    joules = found.joules_per_sample
    return "not available here" if joules is None else f"{1e3 * joules:.3g}"


def _break_even(record: DuelRecord) -> list[str]:
    first = side_findings(record, 0)
    lines = []
    for number, comparison in enumerate(record.comparisons, 1):
        other = side_findings(record, number)
        if comparison.verdict not in {"faster", "slower"} or comparison.ratio is None:
            continue
        samples = break_even_samples(first, other, comparison.ratio)
        if samples is None:
            continue
        later, sooner = (
            (comparison.side, comparison.against)
            if other.start_up_seconds > first.start_up_seconds
            else (comparison.against, comparison.side)
        )
        steps = samples / record.sides[0].batch_size
        epochs = samples / record.dataset.samples["train"]
        lines.append(
            f"Break-even: {later} starts up longer than {sooner} and has caught up after "
            f"{steps:,.0f} steps ({epochs:.2g} epochs)."
        )
    return lines


def _remarks(record: DuelRecord) -> list[str]:
    blocks = [block for pair in record.pairs for block in pair.blocks]
    dropped = sum(block.disturbed for block in blocks)
    turns = f"{record.turns} turns a pair, " if record.turns else ""  # known once the sides were tried
    how = f"{turns}{record.environment} environment"
    why = f", stopped because {record.stopped_because}" if record.stopped_because else ""
    lines = [_work(record), f"{len(record.pairs)} pairs in {record.seconds:.0f} s{why}; {how}."]
    if dropped:
        lines.append(f"{dropped} of {len(blocks)} blocks were disturbed; their turns are left out.")
    lines += _taken(blocks)
    unsettled = sum(side_findings(record, side).unsettled for side in range(len(record.sides)))
    if unsettled:
        lines.append(f"The step times of {unsettled} processes had not settled when warm-up was cut off.")
    if any(pair.side_by_side for pair in record.pairs):
        lines.append("Sides imported and built side by side, with a CPU for each; all else was in turn.")
    if any(side.certificate is None for side in record.sides):
        lines.append("Not certified: nothing shows that the sides did the same work.")
    if record.differences:
        lines.append(f"Asked to differ: {'; '.join(record.differences)}.")
    if record.missing_knobs:
        lines.append(f"Limits of this platform: {'; '.join(record.missing_knobs)}.")
    return lines


def _work(record: DuelRecord) -> str:
    data = record.dataset
    stands_in = f", which stands in for {data.stands_in_for}: {data.reason}" if data.stands_in_for else ""
    return f"Task {record.task.name} on {data.name}{stands_in}."


def _taken(blocks: list[BlockRecord]) -> Iterator[str]:
    """What was taken from the blocks all along, by whom."""
    seconds = sum(block.seconds for block in blocks)
    told = [block.disturbance for block in blocks]
    others = sum(one.others_seconds + one.stolen_seconds for one in told) / seconds
    if others > _WORTH_TELLING:
        yield f"Other work took {others:.0%} of a core all the while; a quieter machine tells sooner."
    throttled = sum(one.throttled_seconds for one in told) / seconds
    if throttled > _WORTH_TELLING:
        yield (
            f"The control group's CPU quota held threads back, {throttled:.0%} of the time; fewer threads "
            "(--threads) or a larger quota would not."
        )
    if slowed := sum(one.throttle_events for one in told):
        yield f"Cores were slowed for heat {slowed} times."
