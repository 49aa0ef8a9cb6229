"""What a job will need, from the headers of files; checked against a model's own count."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

from mlaas_lab import forecast
from mlaas_lab.resources import GIB, Machine, Needs
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.tasks.serve import Serve
from mlaas_lab.weights import shapes

CPU, GPU = Machine(threads=4), Machine(threads=4, gpus=(24 * GIB,))


@pytest.fixture
def base(tmp_path):
    config = LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, vocab_size=500
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "base")
    return tmp_path / "base", sum(weight.numel() for weight in model.parameters())


def spec(base, **options):
    return Finetune.model_validate({"base": str(base), "data": "rows.jsonl", **options})


def test_without_an_accelerator_a_training_takes_the_threads(base, settings):
    assert forecast.training(spec(base[0]), settings.model_copy(update={"threads": 3}), CPU) == Needs(threads=3)
    assert forecast.serving(Serve(models=(str(base[0]),)), settings, CPU).nothing


def test_weights_and_update_matrices_are_counted_from_headers(base, settings):
    path, parameters = base
    needs = forecast.training(spec(path, rank=4, batch_size=1, max_length=8), settings, GPU)
    # Per layer: q, k, v, o of 64 × 64, gate and up of 128 × 64, down of 64 × 128.
    lora = 2 * 4 * (4 * 128 + 3 * 192)
    expected = parameters * 2 + lora * forecast.TRAINED_BYTES + forecast.CUDA_BYTES
    assert needs.gpus == 1
    assert expected < needs.gpu_bytes < expected + 1_000_000, "eight tokens of activations besides"


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"pass_size": 2}, {}),
        ({"gradient_checkpointing": True}, {}),
        ({"load_in_4bit": True}, {}),
        ({}, {"rank": 64}),
        ({}, {"max_length": 2048}),
        ({"dtype": "bfloat16"}, {"dtype": "float32"}),
    ],
)
def test_what_saves_memory_lowers_the_forecast(base, settings, less, more):
    low, high = (forecast.training(spec(base[0], **options), settings, GPU).gpu_bytes for options in (less, more))
    assert low < high


def test_an_8b_model_needs_what_it_is_known_to_need():
    """Llama 3.1 8B in bfloat16, micro-batches of one with activation checkpointing: some 18 GiB are reported."""
    shape = forecast.Shape(
        parameters=8_030_000_000, linear=32 * (14 * 4096 + 3 * 14336), width=4096, layers=32, vocabulary=128_256
    )
    options = spec("base", batch_size=16, pass_size=1, gradient_checkpointing=True)
    assert 15 * GIB < forecast.gpu_bytes(options, shape) < 21 * GIB


def test_unknown_model_gets_a_device_to_itself(settings):
    assert forecast.training(spec("owner/unknown"), settings, GPU) == Needs(gpus=1, threads=1)
    assert forecast.serving(Serve(models=("owner/unknown",)), settings, GPU) == Needs(gpus=1)


def test_server_needs_its_weights_and_room_for_requests(base, settings):
    path = base[0]
    size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    needs = forecast.serving(Serve(models=(str(path), str(path))), settings, GPU)
    assert needs.gpu_bytes == int(2 * size * forecast.SERVED) + forecast.CUDA_BYTES
    assert forecast.serving(Serve(models=(str(path),), device="cpu"), settings, GPU).nothing


def test_damaged_weights_have_no_forecast(base, settings):
    path = base[0]
    next(path.glob("*.safetensors")).write_bytes(b"\xff" * 100)
    assert forecast.training(spec(path), settings, GPU).gpu_bytes is None


def test_shapes_are_read_without_loading(tmp_path):
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4)}, tmp_path / "w.safetensors", metadata={"x": json.dumps(1)})
    assert shapes([tmp_path / "w.safetensors"]) == {"a": (2, 3), "b": (4,)}
