"""Words become a Spec as a shell user expects, and bad ones one clear line."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from mlaas_lab.errors import UsageError
from mlaas_lab.spec import Arg, DataFile, ModelName, Spec, TargetName, build, options, read


class Example(Spec):
    """An example."""

    models: tuple[ModelName, ...] = Arg()
    """What to serve."""
    data: DataFile | None = None
    """Rows."""
    targets: tuple[TargetName, ...] = ()
    """Whom to ask."""
    rank: int = Field(16, ge=1, le=512)
    """Rank r."""
    lr: float | None = Field(None, gt=0)
    """Peak learning rate."""
    shuffle: bool = True
    """In random order."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What serves."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns."""


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["m", "--rank", "8"], "rank", 8),
        (["m", "--rank=8"], "rank", 8),
        (["--rank", "8", "m"], "models", ("m",)),
        (["a", "b", "c"], "models", ("a", "b", "c")),
        (["a,b"], "models", ("a", "b")),
        (["m", "--targets", "x/y?a=1,z"], "targets", ("x/y?a=1", "z")),
        (["m", "--no-shuffle"], "shuffle", False),
        (["m", "--shuffle"], "shuffle", True),
        (["m", "--shuffle=false"], "shuffle", False),
        (["m", "--lr", "2e-3"], "lr", 2e-3),
        (["m", "--map", "question=user,answer=assistant"], "map", {"question": "user", "answer": "assistant"}),
        (["m", "--data", "/a b.jsonl"], "data", Path("/a b.jsonl")),
        (["m", "--data", Path("/x.csv")], "data", Path("/x.csv")),
        (["--", "--odd"], "models", ("--odd",)),
        (["m", "--lr", "-1e-3"], "lr", None),
    ],
)
def test_words(words, field, value):
    if value is None:
        with pytest.raises(UsageError, match="greater than 0"):
            read(Example, words)
    else:
        assert getattr(read(Example, words), field) == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "MODELS... is missing: What to serve."),
        (["m", "--rnak", "3"], "unknown option '--rnak'. Did you mean '--rank'?"),
        (["m", "--ran", "3"], "unknown option '--ran'."),
        (["m", "--rank"], "--rank needs a value: --rank N."),
        (["m", "--rank", "--lr", "1"], "--rank needs a value: --rank N."),
        (["m", "--rank", "three"], "--rank 'three': input should be a valid integer"),
        (["m", "--rank", "0"], "--rank '0': input should be greater than or equal to 1."),
        (["m", "--engine", "vlm"], "--engine 'vlm': input should be 'transformers' or 'vllm'."),
        (["m", "--shuffle=perhaps"], "--shuffle 'perhaps'"),
    ],
)
def test_bad_words_are_one_line(words, message):
    with pytest.raises(UsageError) as error:
        read(Example, words)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_words_win_over_a_cells_body():
    assert read(Example, ["m", "--rank", "4"], given={"rank": 2, "lr": 0.1}).model_dump(include={"rank", "lr"}) == {
        "rank": 4,
        "lr": 0.1,
    }


def test_one_positional_too_many():
    class One(Spec):
        """One."""

        job: str = Arg()
        """A job."""

    with pytest.raises(UsageError, match="unexpected word 'b'"):
        read(One, ["a", "b"])


def test_options_say_what_a_user_needs():
    by_name = {option.name: option for option in options(Example)}
    assert by_name["rank"].help == "Rank r."
    assert by_name["models"].positional
    assert by_name["models"].required
    assert by_name["models"].refers == "model"
    assert by_name["targets"].refers == "target"
    assert by_name["data"].refers == "data"
    assert by_name["engine"].choices == ("transformers", "vllm")
    assert by_name["shuffle"].kind == "flag"


def test_build_takes_python_values():
    assert build(Example, {"models": ["a"], "targets": ["x", "y"]}).targets == ("x", "y")
    with pytest.raises(UsageError, match="unknown option 'modles'"):
        build(Example, {"modles": ["a"]})


def test_spec_is_frozen_and_closed():
    example = read(Example, ["m"])
    with pytest.raises(ValueError, match="frozen"):
        example.rank = 3
    with pytest.raises(ValueError, match="Extra inputs"):
        Example(models=("m",), more=1)


def test_what_is_named_from_here_is_meant_from_here(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    example = read(Example, ["models/mine", "tiny", "org/name", "--data", "rows.jsonl"])
    assert example.models == (str(tmp_path / "models" / "mine"), "tiny", "org/name")
    assert example.data == tmp_path / "rows.jsonl"


def test_spec_survives_json():
    example = read(Example, ["m", "--data", "x.csv", "--rank", "3"])
    assert Example.model_validate_json(example.model_dump_json()) == example
