"""Event files of TensorBoard, read by its own reader."""

import io

import pytest
from PIL import Image
from support.records import make_record

from harness.core.runs.record import Pictures
from harness.core.runs.store import Store
from harness.tracking.tool import send

pytest.importorskip("tensorboard")

#: TensorBoard's reader imports TensorFlow where that is installed. Its libraries warn of their own futures.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """What the reader finds of a run that was sent twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from harness.tracking.tensorboard_runs import TensorboardTool

    results = tmp_path_factory.mktemp("results")
    store = Store(results)
    store.prepare()
    png = io.BytesIO()
    Image.new("RGB", (30, 20)).save(png, "png")
    record = make_record()
    record.pictures = Pictures(examples=store.save_beside(record, png.getvalue(), "-examples.png"))
    path = store.save(record)
    tracker = TensorboardTool(results / "tensorboard")
    tracker.connect()
    assert send(tracker, record, path)
    assert send(tracker, record, path)
    (folder,) = (results / "tensorboard").iterdir()
    assert folder.name == record.id
    return EventAccumulator(str(folder)).Reload()


def test_curves_have_steps_and_times(events):
    losses = events.Scalars("epoch/training_loss")
    assert [(each.step, each.value) for each in losses] == [(1, 2.25), (2, 1.75)]
    assert losses[1].wall_time - losses[0].wall_time == pytest.approx(0.5)
    assert [each.value for each in events.Scalars("test/accuracy")] == [0.5]


def test_pictures_and_tags_are_there(events):
    (picture,) = events.Images("pictures/examples")
    assert (picture.width, picture.height) == (30, 20)
    (text,) = events.Tensors("record")
    assert b"| dataset_fingerprint | " + b"f" * 64 in text.tensor_proto.string_val[0]


def test_parameters_are_compared_by_the_plugin_of_tensorboard(events):
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = events.PluginTagToContent("hparams")
    data = {tag: plugin_data_pb2.HParamsPluginData.FromString(part) for tag, part in content.items()}
    started = data["_hparams_/session_start_info"].session_start_info
    assert started.hparams["width"].number_value == 0.5
    assert started.hparams["backend"].string_value == "torch"
    assert data["_hparams_/session_end_info"].session_end_info.status == 1
