"""A stored duel, and duels changed from it."""

import gzip
from pathlib import Path

import msgspec

from harness.core.documents.kinds import encode_document
from harness.timing.duel.finishing import finish_of
from harness.timing.duel.record import DUELS, DuelRecord
from harness.timing.engine.record import StepRecord
from harness.timing.time.record import TimeRecord

(STORED,) = (Path(__file__).parent / "stored_records" / "duels").iterdir()


def stored_duel(**changes) -> DuelRecord:
    """A duel of two equal configurations: 10 pairs of 54 turns, verdict same."""
    record = msgspec.json.decode(gzip.decompress(STORED.read_bytes()), type=DuelRecord)
    sizes = [configuration.batch_size for configuration in record.configurations]
    finish = finish_of(record.pairs, 1, sizes, record.training_steps)
    record.results = [msgspec.structs.replace(record.results[0], finish=finish)]
    return msgspec.structs.replace(record, **changes)


def hostile_duel(text) -> DuelRecord:
    """The stored duel with this text in its command and labels."""
    record = stored_duel(command=["duel", text])
    configurations = [
        msgspec.structs.replace(each, label=f"{each.label}{text}") for each in record.configurations
    ]
    results = [
        msgspec.structs.replace(each, configuration=configurations[1].label) for each in record.results
    ]
    return msgspec.structs.replace(record, configurations=configurations, results=results)


def save_duel(results: Path, record: DuelRecord) -> Path:
    """Write a duel under a results folder."""
    path = results / DUELS.folder / f"{record.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_document(record))
    return path


def made_time(**changes) -> TimeRecord:
    """The times of a step: the processes of the stored duel's reference, and single calls of two of them."""
    duel = stored_duel()
    record = TimeRecord(
        id="20260105-000000-000-time-bench-0000",
        status="ok",
        started_at="2026-01-05T00:00:00+00:00",
        command=["time", "bench.py:make_step"],
        machine=duel.machine,
        step=StepRecord(targets=["bench.py:make_step"], arguments=[{"width": 8}], seed=0),
        turns=len(duel.pairs[0].blocks) // 2,
        configurations=duel.configurations[:1],
        pairs=[
            msgspec.structs.replace(
                pair,
                processes=pair.processes[:1],
                blocks=[block for block in pair.blocks if block.configuration == 0],
            )
            for pair in duel.pairs
        ],
        single_calls=[[0.003 + 1e-5 * call for call in range(500)]] * 2,
        first_values=[{"loss": ([], 2.25)}],
        is_deterministic=True,
        seconds=60.0,
    )
    return msgspec.structs.replace(record, **changes)
