"""Messages between the harness and a side: what is sent arrives, and what both ends know is not sent."""

import io
import os
import threading

import msgspec
import numpy as np
import pytest

from harness.core.models import messages, wire
from harness.core.models.messages import Sent, filled_in, outputs_of
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, Stored, Trace, Value

RNG = np.random.default_rng(0)
LINEAR = {"fc.kernel": RNG.normal(size=(6, 4)), "fc.bias": RNG.normal(size=4)}


def received(message, read):
    """The message at the other end of a pipe, which is smaller than it."""
    end, start = os.pipe()
    writing = threading.Thread(target=lambda: (wire.write(start, message), os.close(start)))
    writing.start()
    with os.fdopen(end, "rb", buffering=0) as stream:
        result = read(stream.readinto)
        rest = stream.read()
    writing.join()
    assert rest == b""
    return result


@pytest.mark.parametrize(
    "array",
    [
        RNG.normal(size=(300, 200, 3)),
        RNG.normal(size=(4, 5))[:, ::2].T,
        np.arange(7, dtype=np.int32),
        np.array([True, False]),
        np.array(2.5),
        np.zeros((0, 3)),
    ],
)
def test_an_array_arrives_with_type_shape_and_numbers(array):
    other = np.arange(3.0)
    message = received(messages.Load({"w": array, "other": other}), wire.read_request)
    assert message.parameters["w"].dtype == array.dtype
    np.testing.assert_array_equal(message.parameters["w"], array, strict=True)
    np.testing.assert_array_equal(message.parameters["other"], other)
    assert message.parameters["w"].flags.writeable


def test_a_pipe_that_ends_has_no_message():
    end, start = os.pipe()
    os.close(start)
    with os.fdopen(end, "rb", buffering=0) as stream:
        assert wire.read_request(stream.readinto) is None


MARK = b"sixteen bytes..."


def reply_in(content):
    """The reply that a pipe with this content has."""
    stream = io.BytesIO(content)
    return wire.read_reply(stream.readinto, MARK)


def test_what_others_write_before_a_reply_is_left_out():
    end, start = os.pipe()
    wire.write(start, messages.Loaded(), MARK)
    os.close(start)
    assert reply_in(b"epoch 1: 100 % sixteen " + os.read(end, 1000)) == messages.Loaded()
    os.close(end)


@pytest.mark.parametrize(
    "written", [MARK + 8 * b"\xff" + b"{}", MARK + b"\x01" + 7 * b"\0" + b"x", bytes(99_999)]
)
def test_what_others_write_in_the_place_of_a_reply_is_none(written):
    with pytest.raises(wire.NotAReply):
        reply_in(written)


def test_what_cannot_be_sent_is_refused_before_anything_is_written():
    end, start = os.pipe()
    with pytest.raises(TypeError, match="cannot send object"):
        wire.write(start, messages.Load({"fine": np.ones(3), "w": object()}))
    os.close(start)
    assert os.read(end, 1) == b""
    os.close(end)


def trace_of(loaded):
    """Trace a linear layer with these parameters."""
    inputs = np.ones((2, 6))
    outputs = inputs @ loaded["fc.kernel"] + loaded["fc.bias"]
    parameters = [Value("parameter", array, name) for name, array in loaded.items()]
    stored = {"kernel": Stored("fc.kernel"), "bias": Stored("fc.bias")}
    call = Call(path="fc", function="linear", does=kinds.Linear(), inputs=[0], outputs=[3], parameters=stored)
    return Trace([Value("input", inputs), *parameters, Value("call", outputs)], [call], [0], [3])


def test_known_parameters_are_left_out_of_a_trace_and_filled_in_again():
    sent = Sent()
    sent.add(LINEAR)
    trace = sent.left_out(trace_of(LINEAR))
    left_out = {value.name for value in trace.values if value.array is None}
    assert left_out == {"fc.kernel", "fc.bias"}
    arrays = {value.name: value.array for value in filled_in(trace, LINEAR).values if value.name}
    assert all(arrays[name] is array for name, array in LINEAR.items())


def test_a_parameter_that_the_model_has_changed_itself_is_sent():
    sent = Sent()
    sent.add(LINEAR)
    trace = sent.left_out(trace_of(LINEAR | {"fc.kernel": LINEAR["fc.kernel"].clip(-1, 1)}))
    assert [value.name for value in trace.values if value.array is None] == ["fc.bias"]


def test_outputs_alone_are_those_of_the_trace():
    trace = trace_of(LINEAR)
    trace.values[trace.outputs[0]].name = "logits"
    reduced = received(outputs_of(trace), wire.read_reply)
    assert reduced.calls == []
    (value,) = (reduced.values[place] for place in reduced.outputs)
    assert value.name == "logits"
    np.testing.assert_array_equal(value.array, trace.values[trace.outputs[0]].array)
    assert len(msgspec.msgpack.encode(reduced, enc_hook=np.ndarray.tobytes)) < 300
