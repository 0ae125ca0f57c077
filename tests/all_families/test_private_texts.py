"""Records of runs, duels, gates and ports name no host, user or home folder."""

import platform
import re

import msgspec
import numpy as np
import pytest
from support.made_duels import stored_duel
from support.made_gates import made_benchmark, made_gate
from support.made_ports import made_port
from support.made_records import made_own

from harness.core.machine.description import describe_machine
from harness.core.shell import features

KINDS = {kind.name: kind for kind in features.records().kinds}
USER = "planteduser"


def assert_private(path, home):
    text = path.read_text()
    assert str(home) not in text
    assert USER not in text
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("run", made_own),
        ("duel", stored_duel),
        ("gate", lambda: made_gate(made_benchmark("train"))),
        ("port", made_port),
    ],
)
def test_a_record_names_no_host_user_or_home_folder(tmp_path, monkeypatch, kind, make):
    home = tmp_path / USER
    (home / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", USER)
    monkeypatch.chdir(home / "project")
    command = [kind, "--head-python", f"{home}/venv/bin/python", f"--set-a=weights={home}/w.npz"]
    record = msgspec.structs.replace(make(), machine=describe_machine(), command=command)
    path = KINDS[kind].save(record, tmp_path / "results" / KINDS[kind].folder)
    assert_private(path, home)
    stored = KINDS[kind].read(path)
    assert stored.command == [kind, "--head-python", "~/venv/bin/python", "--set-a=weights=~/w.npz"]
    assert stored.folder == "~/project"


@pytest.mark.slow
def test_a_run_of_an_own_model_is_found_again_below_the_home_folder(harness):
    pytest.importorskip("torch")
    folder = harness.folder
    home = folder.parent
    (folder / "net.py").write_text(
        "import torch\n\n\ndef make():\n    return torch.nn.Sequential(torch.nn.Linear(6, 3))\n"
    )
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    run = ("run", "--model", f"{folder}/net.py:make", "--dataset", f"{folder}/data.npz", "--max-steps", "3")
    for _ in range(2):
        harness.ok(*run, "--threads", "1", "--no-certify", HOME=str(home), USER=USER)
    (path,) = (folder / "results" / "runs").glob("*.json")
    assert_private(path, home)
    done = harness.ok("reproduce", str(path), HOME=str(home), USER=USER)
    assert "1 identical" in done.stdout
