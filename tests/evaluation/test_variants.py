"""Prompt, examples and retrieval as targets beside the bare one: what was really sent, kept, and taken over."""

import itertools
import json

import pytest
from emulated import emulated, target
from loopback import Loopback
from made_jobs import made

from mlaas_lab import records, variants
from mlaas_lab.context import Context
from mlaas_lab.emulators._minds import said
from mlaas_lab.errors import DataError, LabError, UsageError
from mlaas_lab.evaluation import caching, resuming
from mlaas_lab.evaluation.run import run
from mlaas_lab.models import locate
from mlaas_lab.references import spec_hash
from mlaas_lab.schema import Endpoint, JobState
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.variants import shots

QUESTIONS = {"where is my card": "in the post", "what does it cost": "nothing", "who may sign": "both"}
N = len(QUESTIONS)


def lines(path, pairs):
    path.write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in pairs))
    return path


@pytest.fixture
def files(tmp_path):
    """A folder with the data, and what variants name."""
    lines(tmp_path / "rows.jsonl", QUESTIONS.items())
    lines(tmp_path / "train.jsonl", [("apple river", "A"), ("stone cloud", "B"), ("green lamp", "C")])
    (tmp_path / "brief.txt").write_text("Be brief.")
    (tmp_path / "docs.jsonl").write_text('{"id": "d1", "text": "Your card is in the post."}\n{"text": "Fees: none."}\n')
    return tmp_path


@pytest.fixture
def evaluate(files, settings, spec):
    """Runs a new job; its result and the records."""
    numbers = itertools.count()

    def evaluate(*targets, **more):
        job_id = f"eval-{next(numbers)}"
        folder = JobFolder(files / job_id)
        folder.path.mkdir()
        context = Context(folder, settings, job_id=job_id, name="rows")
        try:
            found = run(spec(**{"data": files / "rows.jsonl", "targets": targets, "folder": files, **more}), context)
        finally:
            context._events.close()
        return found.result, records.read(folder.records)

    return evaluate


@pytest.fixture
def served(tmp_path, settings):
    """Announces an endpoint of ours whose weights are known."""
    store = Store(settings.store_path)

    def served(server):
        source = tmp_path / "model"
        source.mkdir()
        (source / "config.json").write_text("{}")
        (source / "model.safetensors").write_bytes(b"W")
        folder = JobFolder(settings.jobs_dir / "serve-1")
        folder.path.mkdir(parents=True)
        write_json(folder.models, {"m": locate(str(source), settings).fingerprint})
        store.add(made("serve-1", task="serve", name="m", folder=str(folder.path)))
        store.move("serve-1", JobState.RUNNING, attempt=1)
        place = {"base_url": server.base_url, "model": "/m", "engine": "transformers", "source": str(source)}
        store.announce(Endpoint(name="m", job_id="serve-1", ready=True, **place), attempt=1)
        return "m"

    yield served
    store.close()


def sent(server):
    """Each request's turns, by its last one."""
    return {
        seen.body["messages"][-1]["content"]: [(m["role"], m["content"]) for m in seen.body["messages"]]
        for seen in server.requests
    }


def test_side_by_side(evaluate):
    with Loopback() as server:
        bare = f"openai/m?base_url={server.base_url}"
        targets = [bare, *(f"{bare}&{word}" for word in ("prompt=brief.txt", "shots=2@train.jsonl"))]
        targets.append(f"{bare}&retrieve=docs.jsonl&top_k=1")
        found, frame = evaluate(*targets)
        assert len(server.requests) == 4 * N
    assert frame["target"].unique(maintain_order=True).to_list() == targets, "tables say what was written"
    assert {line["target"] for line in found["summary"]} == set(targets)
    turns = {(row["target"], row["sample_index"]): json.loads(row["messages"]) for row in frame.to_dicts()}
    asked = [[(m["role"], m["content"]) for m in seen.body["messages"]] for seen in server.requests]
    assert sorted(asked) == sorted([(m["role"], m["content"]) for m in told] for told in turns.values())
    first = "where is my card"
    assert [m["content"] for m in turns[targets[1], 0]] == ["Be brief.", first]
    assert [m["role"] for m in turns[targets[2], 0]] == ["user", "assistant"] * 2 + ["user"]
    assert turns[targets[2], 0][:4] == turns[targets[2], 1][:4], "the same examples before every question"
    assert "[1] Your card is in the post." in turns[targets[3], 0][0]["content"]
    contexts = frame.filter(frame["target"] == targets[3])["contexts"].to_list()
    assert json.loads(contexts[0])[0].keys() == {"source", "text", "score"}
    assert (json.loads(contexts[0])[0]["source"], json.loads(contexts[2])) == ("d1", [])
    assert frame.filter(frame["target"] != targets[3])["contexts"].null_count() == 3 * N


def test_an_emulated_vendor_is_told_the_same(evaluate):
    heard = []

    def mind(question):
        heard.append(question.turns)
        return said(question, "in the post")

    with emulated("openai", mind=mind) as server:
        found, _ = evaluate(target(server, "openai", query="prompt=brief.txt&retrieve=docs.jsonl"))
    assert found["errors"] == {}
    assert {turns[0] for turns in heard} == {("system", "Be brief.")}
    assert any("Your card is in the post." in turns[-1][1] for turns in heard)


def test_an_endpoint_of_ours(served, evaluate):
    with Loopback() as server:
        found, _ = evaluate(f"{served(server)}?shots=2@train.jsonl&max_tokens=7")
        assert {len(seen.body["messages"]) for seen in server.requests} == {5}
        assert {seen.body["max_tokens"] for seen in server.requests} == {7}
    assert found["errors"] == {}


def test_shots_of_a_snapshot_are_of_its_train_part(evaluate, files):
    from mlaas_lab import data

    rows = lines(files / "all.jsonl", [*QUESTIONS.items(), ("apple river", "A"), ("stone cloud", "B")])
    split = data.split(data.load(rows), test=0.4)
    data.snapshot(split, files / "snap", source=rows)
    train, test = ({chat.question[-1].content for chat in part} for part in (split.train, split.test))
    for place in ("snap", "snap/test"):
        with Loopback() as server:
            evaluate(f"openai/m?base_url={server.base_url}&shots=2", data=files / place)
            asked = [[m["content"] for m in seen.body["messages"]] for seen in server.requests]
        assert {turns[-1] for turns in asked} == test
        assert all({turns[0], turns[2]} <= train for turns in asked)


@pytest.mark.parametrize(
    ("word", "error", "said"),
    [
        ("prompt=breif.txt", DataError, "Did you mean 'brief.txt'"),
        ("retrieve=empty.txt", DataError, "has no passage"),
        ("shots=4@train.jsonl", DataError, "has 3 different examples"),
        ("shots=1@rows.jsonl", DataError, "3 of the 3 examples"),
        ("shots=1", UsageError, "nobody says where"),
    ],
)
def test_nobody_is_asked_before_all_is_in_order(evaluate, files, word, error, said):
    (files / "empty.txt").write_text("\n")
    with Loopback() as server:
        bare = f"openai/m?base_url={server.base_url}"
        with pytest.raises(error) as caught:
            evaluate(bare, f"{bare}&{word}")
        assert server.requests == []
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_control_without_its_check_an_answer_is_given_away(evaluate, monkeypatch):
    monkeypatch.setattr(shots, "_check_leak", lambda *_: None)
    monkeypatch.setattr("mlaas_lab.data.similar.repeats", lambda *_a, **_k: [])
    with Loopback() as server:
        evaluate(f"openai/m?base_url={server.base_url}&shots=3@rows.jsonl")
        assert any(("user", question) in turns[:-1] for question, turns in sent(server).items())


CHANGES = {
    "prompt=brief.txt": ("brief.txt", "Be long."),
    "shots=1@train.jsonl": ("train.jsonl", '{"prompt": "apple river", "completion": "other"}\n'),
    "retrieve=docs.jsonl": ("docs.jsonl", '{"text": "The card is lost. It cost both: who may sign?"}\n'),
}
"""Word → what its file holds later, under the same name."""


def taken_over(served, evaluate, files):
    """Words whose answers were taken over although their file had changed; the same content is taken over."""
    mixed = []
    with Loopback() as server:
        name = served(server)
        for word, (path, text) in CHANGES.items():
            first, _ = evaluate(f"{name}?{word}")
            assert (first["cached"], first["asked"]) == (0, N)
            (files / f"copy-{path}").write_bytes((files / path).read_bytes())
            same, _ = evaluate(f"{name}?{word.replace(path, f'copy-{path}')}")
            assert same["cached"] == N, "another name of the same content"
            (files / path).write_text(text)
            if evaluate(f"{name}?{word}")[0]["cached"]:
                mixed.append(word)
    return mixed


def test_the_cache_holds_the_content_of_a_variant(served, evaluate, files):
    assert taken_over(served, evaluate, files) == []


def test_control_a_cache_by_names_is_caught(served, evaluate, files, monkeypatch):
    def poor(plan, unit):
        words = unit.target.replace("copy-", "")
        return caching.hashlib.sha256(f"{words} {plan.samples[unit.place].id}".encode()).digest()

    monkeypatch.setattr(caching, "key", poor)
    assert taken_over(served, evaluate, files) == list(CHANGES)


def kept_after_a_change(files, spec, settings):
    """Words whose job went on from its old answers although their file had changed."""
    mixed = []
    for at, (word, (path, text)) in enumerate(CHANGES.items()):
        folder = JobFolder(files / f"job-{at}")
        folder.path.mkdir()
        with Loopback() as server:
            wanted = spec(
                data=files / "rows.jsonl", targets=(f"openai/m?base_url={server.base_url}&{word}",), folder=files
            )
            for attempt, kept in ((1, 0), (2, N), (3, None)):
                if attempt == 3:
                    (files / path).write_text(text)
                again = Context(folder, settings, job_id=f"job-{at}", name="rows", attempt=attempt)
                found = run(wanted, again).result
                again._events.close()
                assert kept in (found["kept"], None)
            if found["kept"]:
                mixed.append(word)
    return mixed


def test_a_job_that_goes_on_holds_the_content_of_a_variant(files, spec, settings):
    assert kept_after_a_change(files, spec, settings) == []


def test_control_a_plan_without_its_variants_is_caught(files, spec, settings, monkeypatch):
    monkeypatch.setattr(resuming, "_variant", lambda _plan, _name: iter(()))
    assert kept_after_a_change(files, spec, settings) == list(CHANGES)


def same_jobs(files, spec, settings):
    """Words by which a job would be taken for one that was told something else."""
    store = Store(settings.store_path)
    mixed = []
    for word, (path, text) in CHANGES.items():
        wanted = spec(data=files / "rows.jsonl", targets=(f"echo/a?{word}",), folder=files)
        before = spec_hash("eval", wanted, settings, store)
        assert before == spec_hash("eval", wanted, settings, store)
        (files / path).write_text(text)
        if spec_hash("eval", wanted, settings, store) == before:
            mixed.append(word)
    store.close()
    return mixed


def test_a_job_is_another_when_its_files_say_something_else(files, spec, settings):
    assert same_jobs(files, spec, settings) == []


def test_control_a_job_known_by_names_is_caught(files, spec, settings, monkeypatch):
    monkeypatch.setattr(variants, "named", lambda target, _folder: str(target))
    assert same_jobs(files, spec, settings) == list(CHANGES)


def test_where_one_stands_is_kept_where_it_matters(files, spec):
    def folder(target, **more):
        return spec(data=files / "rows.jsonl", targets=("echo/a", target), **more).folder

    assert folder("openai/m?max_tokens=3") is None
    for word in ("prompt=a", "max_tokens=3&shots=1@b", "retrieve=c"):
        assert folder(f"openai/m?{word}") == files, "the tests stand there"
    assert folder("openai/m?prompt=a", folder="sub") == files / "sub"


def test_an_endpoint_with_other_words_is_another_job(served, files, spec, settings):
    with Loopback() as server:
        name = served(server)
    store = Store(settings.store_path)
    words = ("", "?max_tokens=9", "?prompt=brief.txt", "?shots=1@train.jsonl", "?shots=2@train.jsonl")
    made_of = [spec(data=files / "rows.jsonl", targets=(f"{name}{word}",), folder=files) for word in words]
    assert len({spec_hash("eval", one, settings, store) for one in made_of}) == len(words)
    store.close()


def test_a_file_that_is_not_there_is_said_before_a_job_exists(files, lab, spec):
    with pytest.raises(LabError, match=r"breif\.txt does not exist"):
        lab.submit("eval", spec(data=files / "rows.jsonl", targets=("echo/a?prompt=breif.txt",), folder=files))
    assert lab.store.jobs() == []


def test_answers_are_judged_by_what_was_shown(evaluate, metric):
    metric("supported", needs=frozenset({"contexts"}), score=lambda _out, sample: float(len(sample.contexts)))
    found, frame = evaluate("echo/a", "echo/a?retrieve=docs.jsonl", metrics=("supported",))
    assert frame.filter(frame["target"] == "echo/a")["supported_status"].unique().to_list() == ["not_applicable"]
    shown = frame.filter(frame["target"] != "echo/a")
    assert shown["supported"].to_list() == [1.0, None, None]
    assert shown["supported_reason"].to_list() == [None, "no contexts", "no contexts"]
    assert found["errors"] == {}
    with pytest.raises(DataError, match="needs contexts"):
        evaluate("echo/a", metrics=("supported",))


def test_those_that_judge_all_answers_at_once_too(evaluate, metric):
    calls = []

    def many(outputs, samples):
        calls.append(len(outputs))
        return [float(len(sample.contexts)) for sample in samples]

    metric("late", needs=frozenset({"contexts"}), score_many=many)
    _, frame = evaluate("echo/a", "echo/a?retrieve=docs.jsonl", metrics=("late",))
    assert frame["late"].to_list() == [None] * 3 + [1.0, None, None]
    assert frame["late_reason"].to_list() == ["no contexts"] * 3 + [None, "no contexts", "no contexts"]
    assert calls == [1]
