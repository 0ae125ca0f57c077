"""The mark of tests that take minutes and show again, in whole runs, what quicker ones show in parts."""

import os

import pytest

long_test = pytest.mark.skipif(
    not os.environ.get("HARNESS_TEST_LONG"), reason="takes minutes; HARNESS_TEST_LONG=1 runs it"
)
