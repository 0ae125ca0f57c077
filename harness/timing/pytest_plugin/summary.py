"""Results of benchmarks in pytest's summary and JUnit file, and the exit status of a gate without results."""

from collections.abc import Iterator

import pytest

from harness.timing.pytest_plugin import replay

_JUDGED = pytest.StashKey[int]()
#: True once a test that requested the fixture has called it. Users may wrap the fixture in their own.
CALLED = pytest.StashKey[bool]()
NOT_TIMED = "ran once and was not timed"
_PROPERTY = "harness"


def set_result(node: pytest.Item, text: str) -> None:
    """Show this text in the summary and in JUnit; a rerun replaces the text of the run before."""
    others = [pair for pair in node.user_properties if pair[0] != _PROPERTY]
    node.user_properties[:] = [*others, (_PROPERTY, text)]


def count_judged(config: pytest.Config) -> None:
    """Count one more benchmark with a verdict."""
    config.stash[_JUDGED] = config.stash.get(_JUDGED, 0) + 1


def count_benchmarks(session: pytest.Session) -> int:
    """Count the selected tests that request the fixture."""
    return sum("harness_benchmark" in getattr(item, "fixturenames", ()) for item in session.items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that requested the fixture and did not call it: it must not pass a gate."""
    result = yield
    if not item.stash.get(CALLED, True) and item.config.getoption("--harness-gate"):
        pytest.fail("the test did not call harness_benchmark, so --harness-gate has no result", pytrace=False)
    return result


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a gate without any verdict, and one whose callables have regressed.

    pytest-benchmark reports regressions from the terminal summary, which a run may not have.
    """
    if exitstatus != pytest.ExitCode.OK:
        return
    if _judged_nothing(session.config):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
    elif session.config.getoption("--harness-gate") and replay.has_regressed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _judged_nothing(config: pytest.Config) -> bool:
    gates = config.getoption("--harness-gate") and not config.option.collectonly
    return bool(gates) and not config.stash.get(_JUDGED, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one line for each benchmark with a verdict, and the number of untimed ones."""
    results = [
        (report.nodeid, text)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call"
        for name, text in report.user_properties
        if name == _PROPERTY
    ]
    lines = [f"{nodeid}: {text}" for nodeid, text in results if text != NOT_TIMED]
    if untimed := len(results) - len(lines):
        count = f"{untimed} of {len(results)} benchmarks"
        lines.append(f"{count} ran once and were not timed: {_why_untimed(config)}")
    if _judged_nothing(config):
        lines.append("--harness-gate: no harness_benchmark has a verdict, so the run fails")
    if lines:
        terminalreporter.section("harness")
        for line in lines:
            terminalreporter.write_line(line)


def _why_untimed(config: pytest.Config) -> str:
    if config.getoption("dist", "no") != "no":
        return "xdist runs tests in parallel, which distorts times (-n 0 times them)"
    return "--benchmark-disable"
