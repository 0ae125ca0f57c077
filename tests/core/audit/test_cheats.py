"""No cheat passes as certified, and an honest backend passes everywhere; see tests/benchmarks/cheats.py."""

import re

import pytest
from support.cheat_trials import PLUGINS, Trials

pytestmark = pytest.mark.slow


@pytest.fixture
def trials(tmp_path):
    return Trials(tmp_path)


@pytest.fixture
def options(monkeypatch):
    """What a run needs to make a cheat matter."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    from cheats import CHEATS

    return lambda cheat: CHEATS[cheat].options


@pytest.mark.parametrize("command", [pytest.param("check", marks=pytest.mark.long), "kit", "run"])
def test_an_honest_backend_passes(trials, command):
    found, words, _ = trials.make(command, "honest")
    assert not found, words


#: The sentences about time that was not reported; confirmed clocks and other faults name these sums, too.
NOT_TIMED = (
    "calls that took .* s by the clock of another process|s of CPU time, so part of its work was not timed"
)
#: One cheat for each guarantee; by hand, -m long tries further ones and the script all.
FOUND_BY_A_RUN = [
    # Both sums of the clock, and the final calls in a new order.
    # Beside other tests these sums may show nothing: other programs may have used the time.
    pytest.param("reports-less", NOT_TIMED, marks=pytest.mark.all_cpus),
    pytest.param("thread-guesses", f"{NOT_TIMED}|differs from its recomputation", marks=pytest.mark.all_cpus),
    ("replays-disk", "samples were drawn after the training"),
    # A second program repeats a segment that was drawn afterwards, and the newest.
    ("watched", "differs from its recomputation"),
    pytest.param("honest-300", "differs from its recomputation", marks=pytest.mark.long),
    pytest.param("honest-300-rounded", "differs from|not verified", marks=pytest.mark.long),
    pytest.param("honest-300-state", "do not follow the gradient|differs from", marks=pytest.mark.long),
    pytest.param("skips-50th", "differs from its recomputation", marks=pytest.mark.long),
    pytest.param("stops-early", "differs from its recomputation", marks=pytest.mark.long),
    # NumPy computes first steps, later gradients, and the scores of samples.
    ("half-real", "differs from its recomputation in NumPy"),
    pytest.param(
        "skips-learned",
        "differs from its recomputation|do not follow the gradient",
        marks=pytest.mark.long,
    ),
    pytest.param(
        "skips-late-state",
        "differs from its recomputation|do not follow the gradient",
        marks=pytest.mark.long,
    ),
    pytest.param(
        "remembers-rows",
        "the loss of train sample .* was reported as .*, and the harness's own program gets",
        marks=pytest.mark.long,
    ),
    ("forges-curves", "of train sample .* was reported as .* gets .* from the weights after epoch"),
    ("perfect-scores", "accuracy was reported as 1, and the mean over its samples is 0"),
    # Certificates, which check and kit make too, and data that cannot be written.
    pytest.param(
        "repeats-batches", "differs from its recomputation|repeats that of step", marks=pytest.mark.long
    ),
    ("dropout-mask", "drops the same values at every step"),
    ("writes-targets", "SIGSEGV|changed the training targets"),
    pytest.param("unlocks-in-predict", "cannot set WRITEABLE|changed", marks=pytest.mark.long),
]


#: What is repeated is drawn, and late in a training little may show: of so many runs one finds the cheat.
RUNS = 3


@pytest.mark.parametrize(("cheat", "words"), FOUND_BY_A_RUN)
def test_a_run_finds(trials, options, cheat, words):
    tried = (trials.make("run", cheat, options(cheat)) for _ in range(RUNS))
    assert any(trial.found and re.search(words, trial.words) for trial in tried)


def test_a_plugin_that_patches_the_clock_of_its_process_gains_nothing(trials):
    found, words, _ = trials.make("run", "clock-half")
    assert not found, words
    (record,) = trials.records
    assert record["clock"]["reported_seconds"] > 0.8 * record["clock"]["observed_seconds"]


@pytest.mark.parametrize(
    ("command", "cheat"),
    [
        ("check", "repeats-batches"),
        ("check", "writes-in-predict"),
        *(pytest.param("check", cheat, marks=pytest.mark.long) for cheat in ("half-batch", "float16-losses")),
        ("kit", "repeats-batches"),  # which makes the same examinations
    ],
)
def test_check_and_kit_find(trials, command, cheat):
    assert trials.make(command, cheat).found
