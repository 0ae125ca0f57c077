"""What is told of a test beside its outcome, and the lines about it below pytest's own."""

from collections.abc import Iterator

import pytest

from harness.pytest_plugin import replay

_JUDGED = pytest.StashKey[int]()
#: Of a test that asked for the fixture: whether it has called it. A fixture of the user's may wrap ours.
CALLED = pytest.StashKey[bool]()
NOT_TIMED = "ran once and was not timed"
_PROPERTY = "harness"


def tell(node: pytest.Item, sentence: str) -> None:
    """Have the summary and JUnit say this of the test; a rerun takes the place of what was told before."""
    others = [pair for pair in node.user_properties if pair[0] != _PROPERTY]
    node.user_properties[:] = [*others, (_PROPERTY, sentence)]


def count_judged(config: pytest.Config) -> None:
    """One benchmark more has been judged."""
    config.stash[_JUDGED] = config.stash.get(_JUDGED, 0) + 1


def count_benchmarks(session: pytest.Session) -> int:
    """The selected tests that ask for the fixture."""
    return sum("harness_benchmark" in getattr(item, "fixturenames", ()) for item in session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that asked for the fixture and did not use it must not pass a gate."""
    result = yield
    if not item.stash.get(CALLED, True) and item.config.getoption("--harness-gate"):
        pytest.fail("harness_benchmark was not called, so --harness-gate had nothing to judge", pytrace=False)
    return result


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A gate that judged nothing is not green, nor one whose callables have regressed.

    pytest-benchmark fails for these in the terminal's summary, which there need not be.
    """
    if exitstatus != pytest.ExitCode.OK:
        return
    if _judged_nothing(session.config):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    elif session.config.getoption("--harness-gate") and replay.has_regressed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _judged_nothing(config: pytest.Config) -> bool:
    wanted = config.getoption("--harness-gate") and not config.option.collectonly
    return bool(wanted) and not config.stash.get(_JUDGED, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each benchmark with a verdict, and how many were not timed, and why."""
    told = [
        (report.nodeid, sentence)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
        for name, sentence in report.user_properties
        if name == _PROPERTY
    ]
    lines = [f"{nodeid}: {sentence}" for nodeid, sentence in told if sentence != NOT_TIMED]
    if untimed := len(told) - len(lines):
        how_many = f"{untimed} of {len(told)} benchmarks"
        lines.append(f"{how_many} ran once and were not timed: {_why_untimed(config)}")
    if _judged_nothing(config):
        lines.append("--harness-gate judged nothing: no harness_benchmark came to a verdict")
    if lines:
        terminalreporter.section("harness")
        for line in lines:
            terminalreporter.write_line(line)


def _why_untimed(config: pytest.Config) -> str:
    if config.getoption("dist", "no") != "no":
        return "xdist runs tests side by side, where every time is worthless; -n 0 times them"
    return "--benchmark-disable"
