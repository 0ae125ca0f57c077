"""The page about models of one's own: its file is what the page says that it is."""

import pytest
from support.pages import blocks

from harness.core.models.arguments import signature_of
from harness.tracing.user_code import own_callable

PAGE = "docs/how-to/use-your-own-model.md"


@pytest.fixture
def file(tmp_path):
    pytest.importorskip("torch")
    (block,) = blocks(PAGE, "python")
    path = tmp_path / "net.py"
    path.write_text(block.text)
    return path


def test_the_model_takes_the_values_of_the_page(file):
    make = own_callable(f"{file}:make")
    given = {"width": ["16", "64"], "act": ["relu", "tanh"], "hidden": ["(64,32)", "(32,)"]}
    chosen = [*signature_of(make).combinations("net.py:make", given)]
    assert len(chosen) == 8
    assert sum(array.numel() for array in make(**chosen[-1]).parameters()) == 40 * 64 + 64 + 65 * 32 + 330


def test_the_loss_and_the_optimizer_of_the_page_train_the_model(file):
    import torch

    model = own_callable(f"{file}:make_linear")()
    focal, nadam = own_callable(f"{file}:focal"), own_callable(f"{file}:nadam")
    optimizer = nadam(model.parameters())
    inputs, targets = torch.randn(64, 40), torch.arange(64) % 10
    losses = []
    for _ in range(20):
        loss = focal(model(inputs), targets).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_the_variants_of_the_page_are_trained_and_compared(file, harness):
    run = ("run", "--model", f"{file}:make", "--dataset", "mnist1d", "--max-steps", "5", "--threads", "1")
    done = harness(*run, "--set-model", "width=16,64", "--loss", f"none,{file}:focal")
    assert done.returncode == 0, done.stderr
    assert "own_loss and width on net" in done.stdout


@pytest.mark.slow
def test_fine_tuning_starts_from_the_arrays_that_the_page_says(file, harness):
    run = ("run", "--model", f"{file}:make", "--dataset", "mnist1d", "--max-steps", "2", "--threads", "1")
    harness.ok(*run, "--save-weights")
    (saved,) = (harness.folder / "results" / "runs").glob("*-last.safetensors")
    saved.rename(harness.folder / "weights.safetensors")
    done = harness.ok(*run, "--set-model", "hidden=(16,)", "--start-from", "weights.safetensors")
    (line,) = [block.text.strip() for block in blocks(PAGE, "text") if "starts from" in block.text]
    assert line in done.stderr.splitlines()
