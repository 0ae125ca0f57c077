"""The fixture that runs pytest as users do."""

import os

import platformdirs
import pytest
from support.command import PLUGINS

_CACHE = platformdirs.user_cache_dir("dl-harness")


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs pytest on test files in a folder of its own; warnings are errors."""
    # pytester changes HOME; the certificates are cached in the real one.
    monkeypatch.setenv("HARNESS_CACHE_DIR", os.environ.get("HARNESS_CACHE_DIR") or _CACHE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("HARNESS_DATA_DIR", str(pytester.path / "data"))
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        monkeypatch.delenv(name)  # the pytest under test is not a worker of this one
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no test depends on the internet
    pytester.makeini("[pytest]\nfilterwarnings = error\ntimeout = 200\n")

    def run(*arguments, **files):
        if files:
            pytester.makepyfile(**files)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=250)

    return run
