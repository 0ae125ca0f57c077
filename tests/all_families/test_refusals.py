"""What commands refuse before anything runs: the exit code, and a line that names what was given."""

import re
import shlex
import sys
from importlib.util import find_spec

import pytest
from support.made_gates import fixed_gates, save

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")

#: What lies in the folder in which each line is called.
FILES = {
    "gate.toml": '[benchmarks.mlp]\nbackend = "torch"\ntask = "mlp"\n',
    "widht.toml": '[benchmarks.mlp]\nbackend = "torch"\ntask = "mlp"\nset = { widht = 2 }\n',
    "mpl.toml": '[benchmarks.mlp]\nbackend = "torch"\ntask = "mpl"\n',
    "digits.toml": '[benchmarks.mlp]\nbackend = "torch"\ntask = "mlp"\ndataset = "digits"\n',
    "nothing.toml": "[nothing]",
    "cut.toml": "max_slowdown =",
    "bench.py": "def make_step(size=1):\n    return lambda: 1.0\n",
    "foreign.json": '{"a": 1}',
}
UNREADABLE = {
    "results/runs/20260101-foreign.json": '{"a": 1}',
    "results/runs/20260102-newer.json": '{"schema": 99}',
    "results/runs/20260103-cut.json": '{"schema": 1, "id": "x',
}
RUN = "run --task cnn --backend torch --dataset digits"
MLP = "--task mlp --backend torch"
GATE = "gate --base-python PYTHON"
LINES = (
    f"""
-v
rnu
run --bakend torch
run --task cnn
run --backend torch --task ,
run --backend tork --task cnn
run --backend tensorflow --task cnn
run --backend torch:eagre --task cnn
run --backend torch --task cnm
run --backend torch --task cifar10
run --preset smok
run --task cnn --backend torch --dataset cifar10
run --task cnn --backend torch --dataset cifar
{RUN} --set widht=2
{RUN} --set width=banana
{RUN} --set width
{RUN} --set optimizer=adma
{RUN} --set optimizer=adam,adamw
{RUN} --set learning_rate=nan
{RUN} --set dropout=1
{RUN} --set nesterov=true
{RUN} --set optimizer=gd --batch-size 64
{RUN} --learning-rate 0.1
{RUN} --seeds 0
{RUN} --epochs -1
{RUN} --seed 1 --seeds 2
{RUN} --seed 10000
{RUN} --seed 1 --seed 2
run --model /dev/zero:x --dataset digits
run --model net.py:make --dataset digits --set-model init=default,kaiming
run --backend torch --plugin /dev/zero
{RUN} --device gpu
{RUN} --precision float16
{RUN} --precision float32,half
{RUN} --threads 1,0
{RUN} --threads 1,
{RUN} --batch-size 2000
{RUN} --results r\udce9
{RUN} --timeout 0
{RUN} --timeout 5min
{RUN} --eval-every 2 --no-eval
{RUN} --eval-samples 2 --no-eval
run {MLP} --federated clients=x
run {MLP} --federated clients=3,clients=5
run {MLP} --federated clients=²
run {MLP} --federated rounds=2
run {MLP} --federated clients=2,split=dirichlet:
run {MLP} --federated clients=2,rounds=2 --epochs 3
run {MLP} --federated clients=2 --set clients=3
check tork
check torch --device gpu
check torch --task cnm
check torch --task mlp --case 'long call'
reference mlp --backend torch
list foo
show last
show foreign.json
show 20260101-foreign
show 20260102-newer
show 20260103-cut
show 20260109
report --to missing/page.html
report --to -
report --to .html
list results --results /dev/null
history --benchmark mpl
history --metric stop
history --to history.pdf
history missing.json
history --results elsewhere
history foreign.json
study overfiting --backend torch
study optimizers --backend torch --optimizers adma
study optimizers --backend torch --search x
study optimizers --backend torch --search sgd.learning_rate=0.1:nan
study optimizers {MLP} --variants sgd
study overfitting {MLP} --variants sgd
bisect --good v1 --probability nan --step bench.py:make_step
bisect --package 'numpy --pre' --good 1 --bad 2 --step bench.py:make_step
bisect --package=--help --good 1 --bad 2 --step bench.py:make_step
study imbalance {MLP} --set imbalance=0.05
study imbalance --task forecast --backend torch
study overfitting {MLP} --set widht=2
duel torch
duel torch 'torch:*' 'torch:*' --task cnn
duel torch torch:plane --task mlp
duel torch 'torch widht=2' --task mlp
duel torch 'torch batch_size=0' --task mlp
duel torch 'torch threads=1 env' --task mlp
duel torch 'torch env.HARNESS_WORKER_CPUS=0-1' --task mlp
duel torch torch --task mlp --set optimizer=gd --batch-size 8
duel torch 'torch python=/no/python' --task mlp
duel torch "torch env.X='1" --task mlp
duel torch torch --task mlp --within 2
duel torch torch --task mlp --set widht=2
duel torch torch --task mlp --seed own
duel torch torch --task mlp --timeout 1s
duel torch torch --task mlp --batch-size 1,8
duel torch torch --task mlp --batch-size x
duel torch torch --operation predict
duel bench.py:make_step
time bench.py:absent --quiet
time bench.py:make_step --seed owm
time torch --operation predict
time torch --task mlp
time torch:* --task mlp --operation predict
{GATE} --head-python /bin/false
{GATE} --head-python /bin/echo
{GATE} --head-python nowhere/python
{GATE} --head-env PYTHONHOME=/nowhere
{GATE} --head-env LOUD
{GATE} --head-env =1
{GATE} --base main
{GATE} --to gate.pdf
{GATE} --to /proc/gate.xml
{GATE} --suite missing.toml
{GATE} --suite widht.toml
{GATE} --suite mpl.toml
{GATE} --suite digits.toml
{GATE} --base-suite nothing.toml
{GATE} --base-suite cut.toml
upgrade torch==2.8.0 torch==
upgrade torch==2.8.0 torch==2.9.0 --task cnnn
upgrade tabulate==0.8 tabulate==0.9
upgrade torch==2.8.0 torch==2.9.0 --task cnn --step a.py:b
upgrade torch==2.8.0 torch==2.9.0 --step nothing
upgrade torch==2.8.0 torch==2.13.0 --task mlp --timeout 3s
new backend torch
new backend 'a b'
new backend ../up
new backend Own
new backend own-
new backend torch:eager
new backend 'own\n'
""".replace("'own\n'", "'own\\n'")
    .strip()
    .splitlines()
)


_MOST_LINES = 2


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.encode("ascii", "backslashreplace").decode())
def test_bad_input_is_answered_in_a_line_or_two_that_name_what_was_given(quick, line):
    """Whether the rest of a text is right is for its reader: its function has tests of its own."""
    for name, text in (FILES | (UNREADABLE if line.startswith("show 2026") else {})).items():
        (quick.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (quick.folder / name).write_text(text)
    if line.startswith("history --"):
        save(quick.folder, *fixed_gates([1.0] * 2, name="mlp"))
    before = sorted(quick.folder.rglob("*.json"))
    words = [word.replace("\\n", "\n") for word in shlex.split(line.replace("PYTHON ", f"{sys.executable} "))]
    done = quick(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sorted(quick.folder.rglob("*.json")) == before
    assert len(done.stderr.splitlines()) <= _MOST_LINES
    assert "Traceback" not in done.stderr
    given = {part.strip("-") for word in words for part in re.split(r"[\s=:,]", word)} - {"", words[0]}
    remedy = "Did you mean|is missing|make one with|runs on|belongs to|UTF-8"
    assert any(part in done.stderr for part in given) or re.search(remedy, done.stderr), done.stderr
