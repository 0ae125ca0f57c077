"""The outcome of a test of a clock in words."""

from collections.abc import Sequence

from harness.testing.clock import ClockTest

#: If others took less of the time, they are not why a test had no result.
_LITTLE = 0.05


def reason(test: ClockTest) -> str:
    """Why a clock is not to be trusted, or was not tested; empty for an honest one."""
    if test.outcome == "honest":
        return ""
    if test.outcome == "not tested":
        return f"its clock could not be tested: {untested_because([test])}"
    return f"its clock cannot be trusted: {_evidence(test)}"


def is_hindered(test: ClockTest) -> bool:
    """Whether a test that had no result was hindered by other programs."""
    return test.fault == "other clock" or test.hindered_share >= _LITTLE


def untested_because(tests: Sequence[ClockTest]) -> str:
    """Why tests had no result, all of them for the same reason."""
    if not any(map(is_hindered, tests)):
        return "the timed blocks are too short or too few"
    most = max(test.hindered_share for test in tests)
    if most < _LITTLE:
        cause = "calls took longer by the clock of another process, as if other programs delayed them"
    else:
        up_to = "up to " if len(tests) > 1 else ""
        cause = f"other programs took {up_to}{100 * most:.0f} % of the time of the test"
    return f"{cause}; repeat it on a quieter machine"


def _evidence(test: ClockTest) -> str:  # noqa: PLR0911  one for each fault
    unfinished = f"{test.unfinished_share:.0%} of a block"
    match test.fault:
        case "work left":
            return (
                f"after every block the device worked on, for at least {unfinished}; train() or "
                "synchronize() must return only when the device is done"
            )
        case "work left at times":
            return (
                f"after some blocks the device worked on, for up to {unfinished}; train() or "
                "synchronize() must return only when the device is done"
            )
        case "weights change":
            return "weights() gives other values when it is called again without training in between"
        case "works ahead":
            return "some blocks take a fraction of the time of others of the same length"
        case "works while idle" if test.working_share is not None:
            return (
                f"it uses {test.working_share:.0%} of a CPU while nothing is asked of it; the harness times "
                "only what it asks for"
            )
        case "works while idle":
            return (
                f"a block takes {test.rested_share or 0:.0%} of its time after a rest, so its work is done "
                "before it is asked for"
            )
        case "known batches":
            return (
                f"a step took {test.known_share or 0:.0%} of the time of one whose batch was drawn after the "
                "training, so results were known before they were asked for"
            )
        case "other clock":
            return (
                f"it reported {test.reported_seconds or 0:.3g} s for training that took "
                f"{test.observed_seconds or 0:.3g} s by the clock of another process"
            )
    return f"twice the steps took {test.ratio or 0:.2f} times as long instead of 2 times"
