"""What the import of a plugin does to the process that imports it first."""

import time

import psutil
import pytest

from harness.core.plugins import files, trial
from harness.errors import PluginError

PLUGIN = """
from harness.hookspecs import hookimpl

@hookimpl
def harness_backend(name):
    return None
"""


@pytest.fixture
def plugin(tmp_path):
    """Makes a plugin file that begins with this code."""

    def make(code, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code + PLUGIN)
        return path

    return make


def test_a_plugin_that_forks_is_not_waited_for_and_its_child_is_killed(plugin, tmp_path):
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os.setsid()\n"
        "    time.sleep(1000)\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child))\n"
    )
    start = time.monotonic()
    trial.try_file(str(plugin(code)), "plugin file mine.py")
    assert time.monotonic() - start < trial.LIMIT_SECONDS
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_child_that_a_plugin_forks_reports_nothing(plugin):
    path = plugin("import os, json\nif not os.fork():\n    import csv\nelse:\n    os.wait()\n")
    assert "csv" not in [each.module for each in trial.try_file(str(path), "plugin file mine.py")]


def test_of_much_output_the_last_lines_are_reported(plugin):
    code = (
        "import os\nfor _ in range(30): print('x' * 1_000_000)\nprint('the end', flush=True); os._exit(3)\n"
    )
    with pytest.raises(PluginError, match=r"ended the process with exit code 3 \(x+; the end\)") as raised:
        trial.try_file(str(plugin(code)), "plugin file mine.py")
    assert len(str(raised.value)) < 20_000


def test_the_path_of_a_plugin_may_have_a_colon(plugin, monkeypatch):
    paths = [plugin("", "a:b/mine.py"), plugin("", "other.py")]
    monkeypatch.setenv(files.PLUGIN_FILES_VARIABLE, "")
    files.name_plugin_files(paths)
    assert files.plugin_files() == paths


def test_a_path_with_a_line_break_is_refused(plugin, harness):
    done = harness("list", "backends", "--plugin", str(plugin("", "a\nb.py")))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot have a line break" in done.stderr


def test_a_thread_that_a_plugin_leaves_is_not_waited_for(plugin, harness):
    path = plugin("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n")
    done = harness("check", "numpy", "--task", "mlp", "--plugin", str(path), timeout=60)
    assert "none of the names" in done.stderr
