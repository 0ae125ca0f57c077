"""Files of reports; damaged pictures beside records are left out."""

import os
import struct

import msgspec
import numpy as np
import pytest
from support.damage import called
from support.data_files import picture
from support.records import make_record, save_runs

from harness.core.documents.files import read_png, write_text
from harness.core.training.outcome_records import Example, Outcomes


@pytest.mark.parametrize("suffix", ["md", "html", "csv"])
def test_an_emoji_and_a_name_in_no_encoding_are_written(suffix, tmp_path):
    record = make_record()
    record.framework = {"engine": "torch", "torch": "2.9 \N{GRINNING FACE}"}
    save_runs(tmp_path, record, make_record("20260101-000003-cnn-torch-eager-s1-abcd", seed=1))
    (tmp_path / "runs" / os.fsdecode(b"\xff\xfe.json")).write_text("{}")
    code, output = called("report", "--results", tmp_path, "--to", tmp_path / f"report.{suffix}")
    assert (code, "skipped: " in output) == (1, True)
    assert (tmp_path / f"report.{suffix}").read_bytes().decode()


def test_a_pipe_and_a_device_among_the_runs_are_skipped(tmp_path):
    save_runs(tmp_path, make_record())
    os.mkfifo(tmp_path / "runs" / "0.json")
    (tmp_path / "runs" / "1.json").symlink_to("/dev/zero")
    (tmp_path / "runs" / "2.json").symlink_to(tmp_path / "nowhere")
    (tmp_path / "runs" / "3.json").mkdir()
    code, output = called("list", "results", "--results", tmp_path)
    assert (code, output.count("unreadable")) == (0, 4)
    code, output = called("compare", "--results", tmp_path)
    assert (code, output.count("not a regular file"), "4 files were skipped" in output) == (1, 2, True)


def test_a_device_is_no_gate():
    code, output = called("history", "/dev/full")
    assert (code, "not a regular file" in output, len(output.splitlines())) == (2, True, 1)


def test_a_link_to_a_report_leads_to_the_same_file_afterwards(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "report.html")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "report.html").read_text() == "new"


# Pictures next to records.


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
    save_runs(tmp_path, record, other)
    page = tmp_path / "report.html"
    assert called("report", "--results", tmp_path, "--to", page) == (0, f"{page}\n")
