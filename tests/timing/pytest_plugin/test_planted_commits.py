"""The tests of a planted repository, which gate its step against a commit."""

import pytest
from support.planted_repository import check_out, plant

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.long


@pytest.mark.parametrize(("fault", "outcome"), [("base", "passed"), ("weight-decay", "failed")])
def test_the_pytest_option_compares_with_a_commit(suite, pytester, fault, outcome):
    plant(pytester.path)
    check_out(pytester.path, fault)
    done = suite("--harness-base=base", "--harness-gate", "--harness-inconclusive=pass", "test_speed.py")
    done.assert_outcomes(**{outcome: 1})
