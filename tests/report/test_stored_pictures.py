"""Pictures next to records: a damaged or hostile one is left out, and a report is written without it."""

import os
import struct

import msgspec
import numpy as np
import pytest
from support.damage import called
from support.data_files import picture
from support.records import make_record

from harness.report.files import read_png
from harness.runs.documents import encode_document
from harness.training.outcome_records import Example, Outcomes

PNG = picture(np.zeros((8, 32, 3), np.uint8))
DAMAGED = {
    "empty": b"",
    "no PNG": b"GIF89a" + bytes(100),
    "short": PNG[:24],
    "huge": PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:],
    "no pixels": PNG[:16] + bytes(8) + PNG[24:],
    "half": PNG[: len(PNG) // 2],
    "flipped": PNG[:40] + bytes([PNG[40] ^ 0xFF]) + PNG[41:],
}


def test_only_a_picture_in_the_folder_is_read(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "runs" / "b.png").write_bytes(PNG)
    os.mkfifo(tmp_path / "runs" / "pipe.png")
    folder = tmp_path / "runs"
    assert read_png(folder, "b.png") == read_png(folder, "/etc/b.png") == PNG
    assert read_png(folder, "../a.png") is read_png(folder, "pipe.png") is read_png(folder, "nul\0") is None


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_report_is_written_without_a_damaged_picture(content, tmp_path):
    """Neither as samples nor in a chart of examples."""
    (tmp_path / "runs").mkdir()
    record = make_record()
    record.pictures.examples = record.samples_file = "picture.png"
    record.outcomes = Outcomes(classes=["a", "b"], examples=[Example(0, 0, 1, 0.5)] * 2)
    (tmp_path / "runs" / "picture.png").write_bytes(content)
    other = msgspec.structs.replace(record, id="20260101-000003-cnn-torch-eager-s1-abcd", seed=1)
    for made in (record, other):
        (tmp_path / "runs" / f"{made.id}.json").write_bytes(encode_document(made))
    page = tmp_path / "report.html"
    assert called("report", "--results", tmp_path, "--to", page) == (0, f"{page}\n")
