"""Results with a run of a user's own model, its code and its data, for tests of bundles; nothing is run."""

import msgspec
import numpy as np

from harness.core.plugins.kept_data import DataFile
from harness.core.runs.record import DatasetRecord, Record
from support.made_records import made_own
from support.records import save_runs

NET = "import helper\n\n\ndef make():\n    return helper.layers()\n"
HELPER = "def layers():\n    return []\n"


def own_record(folder, **changes) -> Record:
    """Make a record of the model ``folder/net.py:make``, trained on ``folder/data.npz``."""
    path = folder / "data.npz"
    if not path.exists():
        np.savez(path, x=np.arange(120, dtype=np.float32).reshape(60, 2), y=np.resize([0, 1], 60))
    (folder / "net.py").write_text(NET)
    (folder / "helper.py").write_text(HELPER)
    file = DataFile(str(path))
    record = made_own(dataset=DatasetRecord("data.npz", origin="a file", file=file), **changes)
    text = msgspec.json.encode(record).decode().replace("/models/net.py", f"{folder}/net.py")
    record = msgspec.json.decode(text, type=Record)
    return msgspec.structs.replace(
        record, command=["run", "--model", "net.py:make", "--dataset", "data.npz", "--set", "optimizer=adam"]
    )


def save_own(folder, *records):
    """Save records in the results of ``folder``, which is the current folder; return their paths."""
    store = save_runs(folder / "results", *(records or [own_record(folder)]))
    return store.paths()
