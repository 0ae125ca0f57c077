"""Which runs of a sequence are executed."""

import math

import msgspec
import pytest

from harness.runs import sequence
from harness.runs.matrix import MatrixOptions, RunMatrix
from harness.runs.request import new_record
from harness.runs.sharing import SharedRuns
from harness.runs.store import Store

pytest.importorskip("torch")


class Silent:
    def begin(self, _request):
        return self

    def end(self, _record):
        pass


def test_what_one_precision_declines_is_still_tried_in_another(monkeypatch, tmp_path):
    def declining(request, _certificate, _store, _observer):
        status = "unsupported" if request.configuration.precision == "bfloat16" else "ok"
        return msgspec.structs.replace(new_record(request), status=status)

    monkeypatch.setattr(sequence, "execute", declining)
    options = MatrixOptions(
        backends=["torch"], tasks=["mlp"], seeds=[0, 1], precisions=("bfloat16", "float32")
    )
    requests = RunMatrix(options).requests(lambda _what, _done, _total: None)
    store = Store(tmp_path)
    records = sequence.execute_all(SharedRuns(requests, store, certify=False), store, Silent(), math.inf)
    assert [(record.configuration.precision, record.seed) for record in records] == [
        ("bfloat16", 0),
        ("float32", 0),
        ("float32", 1),
    ]
