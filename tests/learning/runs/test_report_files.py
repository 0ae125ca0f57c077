"""Files of reports, whole and without formulas; damaged pictures beside records are left out."""

import csv
import os
import struct
import unicodedata

import msgspec
import numpy as np
import pandas as pd
import pytest
from support.damage import called
from support.data_files import picture
from support.records import make_record, save_runs

from harness.core.documents.files import read_png, write_text
from harness.core.training.outcome_records import Example, Outcomes
from harness.learning.runs.table_files import write_table

FORMULAS = ['=HYPERLINK("http://x")', "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1"]


def with_options(number, options):
    record = make_record(f"20260101-00000{number}-cnn-torch-eager-s0-abcd")
    return msgspec.structs.replace(record, task=msgspec.structs.replace(record.task, options=options))


def test_cells_and_names_of_columns_are_no_formulas_and_numbers_stay(tmp_path):
    frame = pd.DataFrame({"text": [*FORMULAS, "plain"], "number": [-1.5] * 8, "=1+1": [1] * 8})
    write_table(frame, tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["text", "number", "'=1+1"]
    assert [row[0] for row in rows] == [*(f"'{text}".replace("\r", " ") for text in FORMULAS), "plain"]
    assert {row[1] for row in rows} == {"-1.5"}


def test_a_formula_in_a_record_does_not_reach_the_table(tmp_path):
    save_runs(tmp_path, make_record(mode="=1+1"))
    assert called("report", "--results", tmp_path, "--to", tmp_path / "runs.csv")[0] == 0
    assert ",'=1+1," in (tmp_path / "runs.csv").read_text()


CONTROLS = "\x1b[31mred\x1b]0;title\x07 \u202eevil\u2066 \x9b2J\x00"


def test_a_table_holds_no_control_characters_of_a_record(tmp_path):
    record = with_options(0, {f"odd{CONTROLS}": CONTROLS})
    record.framework = {"engine": CONTROLS, CONTROLS: f"1{CONTROLS}"}
    record.configuration = msgspec.structs.replace(record.configuration, mode=CONTROLS)
    record.device = CONTROLS
    save_runs(tmp_path, record)
    assert called("report", "--results", tmp_path, "--to", tmp_path / "runs.csv")[0] == 0
    content = (tmp_path / "runs.csv").read_bytes().decode()
    assert content.count("evil") == 6  # the name of a column, and five cells
    unseen = {character for character in content if unicodedata.category(character) in {"Cc", "Cf"}}
    assert unseen == {"\n"}


@pytest.mark.parametrize(
    "values", [(1, "sgd"), (True, 0.5), (2**70, 1), (False, "x", 1.5)], ids=["text", "bool", "large", "three"]
)
def test_an_option_of_two_types_is_written_to_parquet(values, tmp_path):
    save_runs(tmp_path, *(with_options(number, {"odd": value}) for number, value in enumerate(values)))
    code, output = called("report", "--results", tmp_path, "--to", tmp_path / "runs.parquet")
    assert (code, output) == (0, f"{tmp_path / 'runs.parquet'}\n")
    found = pd.read_parquet(tmp_path / "runs.parquet")["option_odd"].tolist()
    assert found == [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


@pytest.mark.parametrize("suffix", ["md", "html", "csv", "ipynb"])
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
