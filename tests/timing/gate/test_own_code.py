"""Each side of a gate runs its own code, installed or from its checkout, as it was when the gate began."""

import json
import sys

import pytest
from support.repository import add_commit
from support.wheels import PROJECT

#: Values alone are compared, which takes no pairs.
LIMITS = ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
SUITE = (
    "".join(f'{limit} = "off"\n' for limit in LIMITS) + '[benchmarks.train]\nstep = "bench.py:make_step"\n'
)
FILES = {
    "bench.py": "from ownnet import trainer\ndef make_step():\n    return trainer.train\n",
    "ownnet/__init__.py": "",
    "ownnet/trainer.py": "def train():\n    return 1.0\n",
    "gate.toml": SUITE,
    ".gitignore": "results/\n__pycache__/\ndata/\n",
}


@pytest.fixture
def repository(harness):
    add_commit(harness.folder, FILES)
    return harness.folder


def gated(harness, code, *options, **variables):
    """The only benchmark of a gate that ends with this exit code."""
    done = harness("gate", *(options or ("--base", "HEAD")), "--format", "json", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)["benchmarks"][0] if code in (0, 1, 4) else done.stderr.splitlines()[-1]


def reasons(judged):
    return [reason["kind"] for reason in judged["reasons"]]


def test_an_interpreter_as_base_does_not_import_head(harness, repository):
    message = gated(harness, 2, "--base-python", sys.executable)
    assert "it imports ownnet/__init__.py, the code of head: install base's version" in message


def test_installed_code_comes_first_for_an_interpreter_as_base(harness, repository, tmp_path):
    packages = tmp_path / "site-packages"
    add_commit(packages, {"ownnet/__init__.py": "", "ownnet/trainer.py": "def train():\n    return 2.0\n"})
    path = f"PYTHONPATH={packages}"
    benchmark = gated(harness, 1, "--base-python", sys.executable, "--base-env", path)
    assert benchmark["quality"]["values"]["difference"]["base"] == 2.0
    assert benchmark["quality"]["values"]["difference"]["head"] == 1.0


def test_files_read_by_relative_paths_are_those_of_each_commit(harness, repository):
    trainer = (
        "import json, os\n"
        'RATE = json.load(open("rates.json"))\n'
        'DATA = len(open("data/numbers").read())\n'
        "def train():\n    return RATE + DATA\n"
    )
    (repository / "data").mkdir()
    (repository / "data" / "numbers").write_text("12")
    add_commit(repository, {"ownnet/trainer.py": trainer, "rates.json": "1.0"})
    assert gated(harness, 0)["verdict"] == "PASS"
    (repository / "rates.json").write_text("2.0")
    assert gated(harness, 1)["quality"]["values"]["difference"]["base"] == 3.0


def test_a_file_of_head_that_git_does_not_track_is_named(harness, repository):
    (repository / "ownnet" / "precision.py").write_text("")
    (repository / "ownnet" / "trainer.py").write_text(
        "import ownnet.precision\ndef train():\n    return 1.0\n"
    )
    (reason,) = gated(harness, 0)["quality"]["reasons"]
    assert (reason["kind"], reason["files"]) == ("not in commit", ["ownnet/precision.py"])


#: Head looks for base's checkout among temporary files.
FIND = "import glob, os\n(file,) = glob.glob(os.environ['BASE'] + '/*/source/ownnet/trainer.py')\n"
RESTORE = """
status, text = os.stat(file), open(file).read()
open(file, "w").write(text.replace("1.0", "3.0"))
open(file, "w").write(text)
os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
"""


@pytest.mark.parametrize(
    ("attack", "file"),
    [
        (RESTORE, "ownnet/trainer.py"),
        ("os.remove(file)\n", "ownnet/trainer.py"),
        ("open(os.path.dirname(file) + '/../statistics.py', 'w')\n", "statistics.py"),
    ],
    ids=["restored", "removed", "new"],
)
def test_a_head_that_writes_into_base_is_invalid(harness, repository, tmp_path, attack, file):
    (tmp_path / "temporary").mkdir()
    trainer = repository / "ownnet" / "trainer.py"
    trainer.write_text(FIND + attack + trainer.read_text())
    temporary = str(tmp_path / "temporary")
    benchmark = gated(harness, 4, TMPDIR=temporary, BASE=temporary)
    assert (benchmark["verdict"], reasons(benchmark)[0]) == ("INVALID", "file written")
    assert (benchmark["reasons"][0]["side"], benchmark["reasons"][0]["file"]) == ("base", file)


@pytest.mark.long
def test_a_head_that_writes_into_the_environment_of_base_is_invalid(harness, repository, tmp_path):
    """The environments are made again for the next gate, which is right."""
    cache = tmp_path / "cache"
    suite = f'source = "."\n{SUITE}'
    own = {"own/__init__.py": "def train():\n    return 1.0\n", "value": "1", "gate.toml": suite}
    bench = "import own\ndef make_step():\n    return own.train\n"
    add_commit(repository, {**PROJECT, **own, "bench.py": bench})
    module = repository / "own" / "__init__.py"
    place = "package-*/lib/*/site-packages/own/__init__.py"
    installed = str(cache / "environments" / place)
    attack = f"import glob\nfor file in glob.glob({installed!r}):\n"
    attack += "    text = open(file).read()\n    open(file, 'w').write(text)\n"
    honest = module.read_text()
    module.write_text(attack + honest)
    benchmark = gated(harness, 4, HARNESS_CACHE_DIR=str(cache))
    assert reasons(benchmark)[0] == "file written"
    assert benchmark["reasons"][0]["file"] == "own/__init__.py"
    assert not list(cache.glob("environments/*/.complete-by-harness"))
    module.write_text(honest + "#\n")
    assert gated(harness, 0, HARNESS_CACHE_DIR=str(cache))["verdict"] == "PASS"
