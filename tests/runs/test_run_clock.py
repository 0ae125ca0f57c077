"""A run whose clock is dishonest fails with the reason; an honest one is recorded as such, or not tested."""

import pytest

RUN = ("run", "--task", "mlp", "--no-certify", "--max-steps", "60", "--epochs", "1", "--quiet")


@pytest.mark.parametrize(
    ("mode", "faults", "words"),
    [
        # On a busy machine some readings are disturbed: then it shows after some blocks only.
        ("lying", {"work left", "work left at times"}, "the device worked on"),
        ("patched", {"other clock"}, "s by the clock of another process"),
    ],
)
@pytest.mark.slow
def test_a_dishonest_clock_fails_the_run(harness, mode, faults, words):
    done = harness(*RUN, "--backend", f"paced:{mode}")

    (record,) = harness.records()
    if record["clock"]["outcome"] == "not tested":
        pytest.skip("the machine is too busy to test a clock")
    assert (record["status"], done.returncode) == ("failed", 1), done.stdout + done.stderr
    assert record["clock"]["outcome"] == "dishonest"
    assert record["clock"]["fault"] in faults
    assert words in record["failure"]["message"]
    assert words in " ".join(done.stdout.split())


@pytest.mark.slow
def test_an_honest_clock_is_in_the_record(harness):
    done = harness(*RUN, "--backend", "paced:plain")

    (record,) = harness.records()
    assert (record["status"], done.returncode) == ("ok", 0), done.stdout + done.stderr
    assert record["clock"]["outcome"] in {"honest", "not tested"}
    assert record["clock"]["readings"] >= 3
    assert ("could not be tested" in done.stdout) == (record["clock"]["outcome"] == "not tested")
