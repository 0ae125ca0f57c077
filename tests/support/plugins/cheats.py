"""A plugin file: one backend for each way to cheat, and ``honest``, which does not."""

import os
from typing import NamedTuple

from cheating import clocks, tampering, work
from cheating.honest import Honest, NumpyBackend

from harness.hookspecs import hookimpl


class Cheat(NamedTuple):
    """A cheat: what it does, in words, and the program that does it."""

    does: str
    program: type
    options: tuple[str, ...] = ()
    """What ``harness run`` needs to make it matter."""


_LONGER_CALLS = ("--batch-size", "10", "--max-steps", "6000")
#: Calls of 0.3 s in place of 10 ms: in shorter ones a tenth is lost among the delays of messages.
_LONG_CALLS = ("--batch-size", "2", "--max-steps", "36000")
_LONG_RUN = ("--max-steps", "6000")
_DROPOUT = ("--set", "dropout=0.3")
_SCORE = "harness.core.training.program_scores:score"

CHEATS = {
    "honest": Cheat("nothing", Honest),
    # Planted.
    "repeats-batches": Cheat(
        "reads the first 8 batches of a long call again", work.when(work.RepeatsBatches, work.in_long_calls)
    ),
    "thread": Cheat(
        "works in a thread; synchronize() returns at once, losses wait when read", clocks.Threads
    ),
    "thread-guesses": Cheat("works in a thread, returns guessed losses", clocks.ThreadsAndInvents),
    "stalls-at-times": Cheat("works in a thread in every third call", clocks.StallsAtTimes),
    "never-waits": Cheat("works in a thread that weights() does not wait for either", clocks.NeverWaits),
    "works-while-idle": Cheat("a thread makes the next steps, whose batches it knows", clocks.WorksWhileIdle),
    "dropout-rate": Cheat("drops half as many values", tampering.DropsLess, _DROPOUT),
    "dropout-scale": Cheat("does not scale what dropout keeps", tampering.DoesNotScale, _DROPOUT),
    "dropout-mask": Cheat("drops the same values at each step", tampering.SameMask, _DROPOUT),
    "writes-inputs": Cheat("overwrites training inputs through a pointer", tampering.WritesInputs),
    "writes-targets": Cheat("overwrites training targets through a pointer", tampering.WritesTargets),
    "writes-in-predict": Cheat("overwrites inputs in predict()", tampering.WritesInPredict),
    "unlocks-in-predict": Cheat("sets inputs writable in predict()", tampering.UnlocksInPredict),
    "float16-losses": Cheat("returns losses in float16", tampering.HalfLosses),
    # Less work.
    "skips-updates": Cheat("every second step is a forward pass", work.SkipsUpdates),
    "half-batch": Cheat("takes half of each batch", work.HalvesBatches),
    "half-gradient": Cheat("takes gradients of half of each batch", work.HalvesGradients),
    "stale-gradients": Cheat("applies every second gradient twice", work.StaleGradients),
    "low-precision": Cheat(
        "rounds inputs to bfloat16 in float32", work.when(work.LowPrecision, work.in_float32)
    ),
    "cheap-optimizer": Cheat("updates second moments every other step", work.CheapOptimizer),
    "guesses-losses": Cheat("trains every second step only", work.InventsLosses),
    "stops-early": Cheat("makes no steps after 500", work.when(work.StopsEarly, work.after_500_steps)),
    # Less work where no certificate looks.
    "half-batch-float32": Cheat(
        "takes half batches in float32", work.when(work.HalvesBatches, work.in_float32)
    ),
    "skips-real": Cheat(
        "skips updates on data sets of more than 1,500 samples",
        work.when(work.SkipsUpdates, work.on_real_data),
    ),
    "half-real": Cheat(
        "gradients of half batches on data sets of more than 1,500 samples",
        work.when(work.HalvesGradients, work.on_real_data),
    ),
    "skips-seeds": Cheat(
        "skips updates at other seeds than that of certificates",
        work.when(work.SkipsUpdates, work.at_other_seeds),
    ),
    "skips-batches": Cheat(
        "skips updates at batch size 100", work.when(work.SkipsUpdates, work.at_full_batches)
    ),
    "skips-long": Cheat(
        "skips updates in calls of more than 128 steps",
        work.when(work.SkipsUpdates, work.in_calls_over_128),
        _LONGER_CALLS,
    ),
    "skips-late": Cheat(
        "skips updates after 500 steps of the program", work.when(work.SkipsUpdates, work.after_500_steps)
    ),
    "skips-late-process": Cheat(
        "skips updates after 500 steps of the process",
        work.when(work.SkipsUpdates, work.after_500_steps_of_the_process),
    ),
    "skips-late-state": Cheat(
        "skips updates after 500 steps by the saved step count",
        work.when(work.SkipsUpdates, work.after_500_steps_in_state),
    ),
    "skips-late-calls": Cheat(
        "skips updates after 150 calls of the process",
        work.when(work.SkipsUpdates, work.after_150_calls_of_the_process),
    ),
    "skips-learned": Cheat(
        "skips updates once losses are below 1", work.when(work.SkipsUpdates, work.at_small_losses)
    ),
    # Results of earlier calls.
    "remembers": Cheat("repeats batches, and returns the same losses when asked again", work.Remembers),
    "replays-disk": Cheat("reads losses and weights that an earlier process wrote", clocks.ReplaysFromDisk),
    "trains-in-build": Cheat(
        "makes all steps in load(), before the first is asked for", clocks.TrainsInBuild
    ),
    # The clock and the harness.
    "clock-half": Cheat("slows time.perf_counter to one half", clocks.patched_clock(0.5)),
    "clock-tenth": Cheat("slows time.perf_counter by a tenth", clocks.patched_clock(0.9), _LONG_CALLS),
    "reports-less": Cheat("replaces the harness's timed call, reports half", tampering.reports_less(0.5)),
    "reports-a-tenth-less": Cheat(
        "replaces the harness's timed call, reports a tenth less", tampering.reports_less(0.9), _LONG_CALLS
    ),
    "perfect-scores": Cheat(
        "replaces the harness's scores", tampering.replaced(_SCORE, tampering.perfect_scores)
    ),
    # What the audit itself shows a program.
    "watched": Cheat(
        "makes four honest calls after each reading of its state, then only computes losses", work.Watched
    ),
    "honest-300": Cheat(
        "makes 300 honest steps after each reading of its state, then only computes losses",
        work.HonestAfterReadings,
        _LONG_RUN,
    ),
    "honest-300-rounded": Cheat(
        "the same, and rounds differently in each program", work.HonestButForRounding, _LONG_RUN
    ),
    "honest-300-state": Cheat(
        "the same in a second program, by a count in the training state", work.HonestByState, _LONG_RUN
    ),
    "skips-50th": Cheat("skips every 50th update", work.SkipsEvery50th),
    "quarter-4th": Cheat("takes a quarter of the batch in every fourth step", work.QuarterOfEvery4th),
    "float16-3rd": Cheat("computes every third step in float16", work.Float16InEvery3rd),
    "remembers-rows": Cheat("predicts the training rows that it remembers", work.RemembersRows),
    "forges-curves": Cheat(
        "predicts the training rows that it remembers, but in epochs after which its state is known",
        work.ForgesCurves,
    ),
    "defers": Cheat("makes the last update of each call in a thread", clocks.DefersTheLastUpdate),
}


#: The cheat of the backend ``cheat``, which a gate's head sets.
VARIABLE = "CHEAT"


class CheatingBackend(NumpyBackend):
    """One of the cheats by its name; ``cheat`` is the one that a variable names."""

    def __init__(self, name):
        self.name = name
        self.cheat = CHEATS[os.environ.get(VARIABLE, "honest") if name == "cheat" else name]
        self.summary = self.cheat.does

    def build(self, plan, data):
        super().build(plan, data)  # declines what it cannot do
        return self.cheat.program(plan, data)


@hookimpl
def harness_backend(name):
    return CheatingBackend(name) if name in CHEATS or name == "cheat" else None
