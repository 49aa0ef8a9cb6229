"""A view is what a server may see of a model, and an adapter must fit its base."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mlaas_lab.errors import DataError
from mlaas_lab.serving._fit import check_fit
from mlaas_lab.serving._views import view


def test_all_shards_and_the_index_are_linked_beside_the_adapter(toys, tmp_path):
    made = view(tmp_path / "v", name="base", base=toys / "base", adapter=toys / "lora")
    names = {path.name for path in made.iterdir()}
    index = json.loads((made / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 1
    assert names >= set(index["weight_map"].values()) | {"config.json", "adapter_config.json", "tokenizer.json"}
    assert all(path.is_symlink() and path.exists() for path in made.iterdir())
    assert load_file(made / "adapter_model.safetensors")


def test_only_files_without_code_are_linked(toys, tmp_path):
    base = shutil.copytree(toys / "base", tmp_path / "base")
    for name in ("modeling_evil.py", "training_args.bin", "adapter_config.json", "adapter_model.safetensors"):
        (base / name).write_text("{}")
    made = view(tmp_path / "v", name="base", base=base, adapter=None)
    names = {path.name for path in made.iterdir()}
    assert not names & {"modeling_evil.py", "training_args.bin", "adapter_config.json", "adapter_model.safetensors"}


def test_an_adapter_without_tokenizer_takes_that_of_its_base(toys, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(toys / "lora" / name, bare)
    made = view(tmp_path / "v", name="base", base=toys / "base", adapter=bare)
    assert (made / "tokenizer.json").resolve().parent == (toys / "base").resolve()
    assert (made / "chat_template.jinja").exists()


def test_no_chat_template(toys, tmp_path):
    with pytest.raises(DataError, match=r"'plain' has no chat template") as caught:
        view(tmp_path / "v", name="plain", base=toys / "plain", adapter=None)
    assert "\n" not in str(caught.value)


def test_a_chat_template_inside_the_tokenizer_settings_counts(toys, tmp_path):
    base = shutil.copytree(toys / "plain", tmp_path / "base")
    settings = base / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "chat_template": "{{ messages }}"}))
    assert view(tmp_path / "v", name="base", base=base, adapter=None)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_refused(tmp_path, name):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    (base / name).write_bytes(b"\x80")
    with pytest.raises(DataError, match=f"{name} is pickled"):
        view(tmp_path / "v", name="base", base=base, adapter=None)


def test_a_pickled_adapter_is_refused(toys, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.bin").write_bytes(b"\x80")
    with pytest.raises(DataError, match=r"adapter_model\.bin is pickled"):
        view(tmp_path / "v", name="base", base=toys / "base", adapter=adapter)


def test_adapter_of_the_base_fits(toys):
    check_fit("lora", toys / "base", toys / "lora")


@pytest.mark.parametrize(("adapter", "why"), [("wide-lora", "32 wide"), ("deep-lora", r"layers\.2\..*not there")])
def test_adapter_of_another_base_does_not(toys, adapter, why):
    with pytest.raises(DataError, match=rf"adapter 'mine' was trained on another base than 'base': .*{why}"):
        check_fit("mine", toys / "base", toys / adapter)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x10\0\0\0\0\0\0\0{", b"\x02\0\0\0\0\0\0\0[]"])
def test_a_file_that_is_no_safetensors(toys, tmp_path, content):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="no whole safetensors file"):
        check_fit("mine", toys / "base", adapter)


def test_a_view_is_never_half(toys, tmp_path):
    made = view(tmp_path / "v", name="base", base=toys / "base", adapter=None)
    with pytest.raises(FileExistsError):
        view(made, name="base", base=toys / "base", adapter=None)
    assert Path(made / "config.json").exists()
