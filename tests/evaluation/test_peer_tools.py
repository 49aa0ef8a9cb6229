"""Tools in interpreters of their own, through their bridges: the same questions and scores as they have themselves.

make test-peers
"""

import base64
import json
import re
import socket
import subprocess
import threading
from contextlib import suppress
from urllib.parse import quote

import orjson
import peers_environments
import polars as pl
import pytest
from emulated import emulated
from emulated import target as emulated_target
from loopback import Loopback

from mlaas_lab import embeddings, records, registry
from mlaas_lab.commands import _dispatch
from mlaas_lab.emulators._minds import said
from mlaas_lab.errors import DataError
from mlaas_lab.evaluation.bridges import Bridge
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import answers, run
from mlaas_lab.evaluation.scoring import with_late_scores
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Message, Sample, ScoreStatus

pytestmark = pytest.mark.peers

INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, choice, exact, match, mean, scorer
from inspect_ai.solver import generate, multiple_choice, prompt_template, system_message

@task
def capitals():
    asked = [
        Sample(input="Capital of France?", target="Paris", id="fr"),
        Sample(input="Capital of Italy?", target=["Roma", "Rome"]),
        Sample(input="Capital of Spain?", target="Madrid"),
    ]
    solver = [system_message("Be brief."), prompt_template("Question: {prompt}"), generate()]
    return Task(dataset=asked, solver=solver, scorer=match())

@task
def fruit():
    asked = [Sample(input=f"Which is a fruit? ({i})", choices=["Stone", "Apple"], target="B") for i in range(3)]
    return Task(dataset=asked, solver=multiple_choice(), scorer=choice())

@task
def twice():
    return Task(dataset=[Sample(input="x", target="y")], solver=[generate(), generate()], scorer=exact())

@scorer(metrics=[mean()])
def odd():
    async def score(state, target):
        match state.output.completion:
            case "nan":
                return Score(value=float("nan"), explanation="could not tell")
            case "several":
                return Score(value={"a": 1, "b": 0})
            case "network":
                import urllib.request
                urllib.request.urlopen("http://example.com")
        return Score(value="P", explanation="half of it")
    return score

@task
def oddities():
    return Task(dataset=[Sample(input=str(i), target="y") for i in range(4)], solver=generate(), scorer=odd())
"""

INSPECT_ITSELF = """
import json, sys
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import value_to_float
sys.path.insert(0, ".")
import tasks
said = [ModelOutput.from_content("mockllm/model", one) for one in json.loads(sys.argv[2])]
for one in said:
    # Without it, it would fetch a tokenizer to count.
    one.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
model = get_model("mockllm/model", custom_outputs=said)
log, = eval(getattr(tasks, sys.argv[1])(), model=model, display="none", max_samples=1, log_dir="logs")
samples = sorted(log.samples, key=lambda one: str(one.id))
print(json.dumps([[str(one.id), [m.text for m in one.messages[:-1]],
                   value_to_float()(next(iter(one.scores.values())).value)] for one in samples]))
"""

HARNESS = """
task: quiz
dataset_path: json
dataset_kwargs:
  data_files:
    test: quiz.jsonl
    train: shots.jsonl
output_type: generate_until
test_split: test
fewshot_split: train
num_fewshot: 1
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{answer}}"
generation_kwargs:
  until: ["\\n"]
filter_list:
  - name: last_word
    filter:
      - function: regex
        regex_pattern: "(\\\\w+)\\\\W*$"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
"""

HARNESS_ITSELF = """
import json, sys
import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

class Said(LM):
    def generate_until(self, requests, disable_tqdm=False):
        found = json.loads(sys.argv[1])
        return [found[r.doc_id].split(r.args[1]["until"][0])[0] for r in requests]
    def loglikelihood(self, requests): ...
    def loglikelihood_rolling(self, requests): ...

found = lm_eval.simple_evaluate(Said(), tasks=["quiz"], task_manager=TaskManager(include_path=".", include_defaults=False),
                                log_samples=True, bootstrap_iters=0)
rows = sorted(found["samples"]["quiz"], key=lambda one: one["doc_id"])
print(json.dumps([[str(one["doc_id"]), one["arguments"]["gen_args_0"]["arg_0"] if isinstance(one["arguments"], dict)
                   else one["arguments"][0][0], one["exact_match"]] for one in rows]))
"""


@pytest.fixture
def tasks(tmp_path):
    """A folder with a task file of each tool, and what they stand on."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "tasks.py").write_text(INSPECT)
    (folder / "quiz.yaml").write_text(HARNESS)
    pairs = [("Capital of France?", "Paris"), ("Capital of Italy?", "Rome"), ("Capital of Spain?", "Madrid")]
    lines = [json.dumps({"question": question, "answer": answer}) for question, answer in pairs]
    (folder / "quiz.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "shots.jsonl").write_text(json.dumps({"question": "Capital of Peru?", "answer": "Lima"}) + "\n")
    return folder


def itself(name, script, folder, *words):
    """What the tool says when it runs its own task."""
    done = subprocess.run(
        [str(peers_environments.python(name)), "-c", script, *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def imported(tasks, monkeypatch):
    """Runs `data import`, and reads what it wrote."""
    monkeypatch.setenv("MLAAS_INSPECT_PYTHON", str(peers_environments.python("inspect_ai")))
    monkeypatch.setenv("MLAAS_LM_EVAL_PYTHON", str(peers_environments.python("lm_eval")))
    lab = Lab()
    yield lambda task: _dispatch.call("data import", lab, (f"{tasks}/{task}",), {"out": tasks / "rows.jsonl"})
    lab.store.close()


def scores(found, said, spec, settings, context):
    """The scores that our engine gives when a target says `said`, in the order of the samples."""
    names = {"inspect_python": "inspect_ai", "lm_eval_python": "lm_eval"}
    more = {setting: str(peers_environments.python(name)) for setting, name in names.items()}
    plan = prepare(spec(data=found.path, targets="echo/m", metrics=[found.metric]), settings.model_copy(update=more))
    found_records = answers(plan, context).records
    order = {sample.id: text for sample, text in zip(plan.samples, said, strict=True)}
    replaced = found_records.with_columns(output=pl.col("sample_id").replace_strict(order))
    return with_late_scores(replaced, plan.metrics, plan.samples).select(
        "sample_id", found.metric, f"{found.metric}_status", f"{found.metric}_reason"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("capitals", ["Paris", "It is Roma", "Barcelona"]), ("fruit", ["ANSWER: B", "ANSWER: A", "the apple"])],
)
def test_inspect_scores_as_it_does_itself(tasks, imported, spec, settings, context, name, said):
    found = imported(f"tasks.py@{name}")
    rows = [orjson.loads(line) for line in found.path.read_bytes().splitlines()]
    assert found.rows == 3
    own = itself("inspect_ai", INSPECT_ITSELF, tasks, name, json.dumps(said))
    asked = {row["id"]: [turn["content"] for turn in row["messages"] if turn["role"] != "assistant"] for row in rows}
    assert {one: turns for one, turns, _ in own} == asked
    ours = scores(found, said, spec, settings, context)
    assert dict(zip(ours["sample_id"], ours[found.metric], strict=True)) == {one: value for one, _, value in own}


def test_what_inspect_cannot_score_says_why(tasks, imported, spec, settings, context):
    found = imported("tasks.py@oddities")
    ours = scores(found, ["fine", "nan", "several", "network"], spec, settings, context).rows()
    assert [row[1:3] for row in ours] == [
        (0.5, "ok"),
        (None, "judge_error"),
        (None, "parse_error"),
        (None, "judge_error"),
    ]
    assert [row[3] for row in ours][:2] == ["half of it", "could not tell"]
    assert "looks nobody up: 'example.com'" in ours[3][3]


def test_a_solver_that_asks_twice_is_refused(imported):
    with pytest.raises(DataError, match="asks more than once"):
        imported("tasks.py@twice")


def test_the_harness_scores_as_it_does_itself(tasks, imported, spec, settings, context):
    said = ["It is Paris.", "rome\nQ: Capital of Malta?", "Barcelona"]
    found = imported("quiz.yaml")
    rows = [orjson.loads(line) for line in found.path.read_bytes().splitlines()]
    own = itself("lm_eval", HARNESS_ITSELF, tasks, json.dumps(said))
    assert [[row["id"], row["messages"][0]["content"]] for row in rows] == [one[:2] for one in own]
    ours = scores(found, said, spec, settings, context)
    assert ours[found.metric].to_list() == [one[2] for one in own] == [1, 1, 0]


EINSTEIN = Sample(
    id="1",
    messages=(Message(role="user", content="When was Einstein born?"),),
    reference="1879",
    contexts=("Albert Einstein was born on March 14, 1879, in Ulm, Germany.",),
)


@pytest.mark.parametrize("name", ["Groundedness", "TaskCompletion"])
def test_the_local_engine_of_fi_by_its_names(name):
    metric = registry.configured("metric", f"fi?name={name}&python={peers_environments.python('fi')}")
    assert metric.check([EINSTEIN]) == ""
    said = ["Einstein was born in 1879 in Germany.", "He was born in 1920 in France.", " "]
    right, wrong, empty = metric.score_many(said, [EINSTEIN] * 3)
    assert right.value > wrong.value
    assert (empty.value, empty.status) == (None, ScoreStatus.NOT_APPLICABLE)


def test_what_the_local_engine_of_fi_has_not_is_said_with_ours():
    metric = registry.configured("metric", f"fi?name=PromptInjection&python={peers_environments.python('fi')}")
    assert metric.check([EINSTEIN]).endswith("`injection` is a metric of ours")


RAGAS_ITSELF = """
import asyncio, json, math, sys
from openai import AsyncOpenAI
from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms import llm_factory
from ragas.metrics import collections
rows, names, vectors = (json.load(open(f"{name}.json")) for name in ("rows", "names", "vectors"))

class Known(BaseRagasEmbedding):
    def embed_text(self, text, **_):
        return vectors[text]
    async def aembed_text(self, text, **_):
        return vectors[text]

async def main():
    llm = llm_factory("judge", client=AsyncOpenAI(api_key="x", base_url=sys.argv[1], max_retries=0))
    found = {}
    for name, (made, fields) in names.items():
        made = getattr(collections, made)
        metric = made(llm=llm, embeddings=Known()) if name == "answer_relevancy" else made(llm=llm)
        found[name] = []
        for row in rows:
            try:
                value = float((await metric.ascore(**{field: row[field] for field in fields})).value)
            except Exception as error:
                value = type(error).__name__
            found[name].append("nan" if value != value else value)
    print(json.dumps(found))

asyncio.run(main())
"""
RAGAS_NAMES = {
    "faithfulness": ("Faithfulness", ("user_input", "response", "retrieved_contexts")),
    "answer_relevancy": ("AnswerRelevancy", ("user_input", "response")),
    "context_recall": ("ContextRecall", ("user_input", "retrieved_contexts", "reference")),
}
RAGAS_ROWS = (
    ("The kite is red. The kite flies.", ("The kite is red.", "It is a kite."), "The kite is red. It is old."),
    ("It is a kite. It is big. It is red", ("It is a kite.",), "It is a kite."),
    ("Prose", ("The kite is red.",), "Prose."),
    ("Silence", ("The kite is red.",), "Silence."),
)
"""Answers with contexts and references; of one the judge speaks in prose, of one he has nothing to say."""


def sentences(text):
    return [part.strip().rstrip(".") + "." for part in text.split(". ") if part.strip()]


def ragas_judge(turns):
    """A judge who reads what ragas asks and answers in the form that it wants, by rule."""
    form = re.findall(r'"title": "(\w+Output)"', turns[0])[-1]
    given = json.loads(turns[1].rpartition("\ninput: ")[2].rpartition("\nOutput:")[0])
    if "Prose" in str(given):
        return "I would say it is fine."
    if "Silence" in str(given):
        return '{"statements": [], "question": "", "noncommittal": 0, "classifications": []}'
    match form:
        case "StatementGeneratorOutput":
            return json.dumps({"statements": sentences(given["answer"])})
        case "NLIStatementOutput":
            said = [(one, int(one in given["context"])) for one in given["statements"]]
            return json.dumps({"statements": [{"statement": a, "reason": "r", "verdict": b} for a, b in said]})
        case "AnswerRelevanceOutput":
            return json.dumps({"question": f"Is it so: {given['response']}", "noncommittal": 0})
        case "ContextRecallOutput":
            said = [(one, int(one in given["context"])) for one in sentences(given["answer"])]
            return json.dumps({"classifications": [{"statement": a, "reason": "r", "attributed": b} for a, b in said]})


@pytest.fixture
def ragas_settings(settings):
    return settings.model_copy(update={"ragas_python": str(peers_environments.python("ragas"))})


def test_ragas_scores_as_it_does_itself_and_its_judge_is_billed(tmp_path, context, spec, ragas_settings):
    rows = [
        {"user_input": answer, "response": answer, "retrieved_contexts": contexts, "reference": reference}
        for answer, contexts, reference in RAGAS_ROWS
    ]
    texts = [text for row in rows for text in (row["response"], f"Is it so: {row['response']}")]
    vectors = dict(zip(texts, embeddings.embedded(texts, embeddings.own()).tolist(), strict=True))
    for name, held in (("rows", rows), ("names", RAGAS_NAMES), ("vectors", vectors)):
        (tmp_path / f"{name}.json").write_text(json.dumps(held))
    with Loopback(reply=lambda body: ragas_judge([turn["content"] for turn in body["messages"]])) as server:
        own = itself("ragas", RAGAS_ITSELF, tmp_path, server.base_url)
        asked = len(server.requests)
    data = tmp_path / "data.jsonl"
    data.write_text(
        "".join(
            json.dumps(
                {
                    "messages": [
                        {"role": "user", "content": row["response"]},
                        {"role": "assistant", "content": row["reference"]},
                    ],
                    "contexts": row["retrieved_contexts"],
                }
            )
            + "\n"
            for row in rows
        )
    )
    with emulated(
        "openai", mind=lambda question: said(question, ragas_judge([text for _, text in question.turns]))
    ) as server:
        judge = quote(emulated_target(server, "openai", model="gpt-4.1-mini"), safe=":/?=")
        names = {name: f"ragas?name={name}&judge={judge}" for name in RAGAS_NAMES}
        context.settings = ragas_settings
        found = run(spec(data=data, targets="echo/a", metrics=tuple(names.values())), context).result
    frame = records.read(context.folder.records)
    order = {row["response"]: place for place, row in enumerate(rows)}
    for name, metric in names.items():
        values = dict(zip(frame["output"], frame.select(metric, f"{metric}_status").rows(), strict=True))
        ours = [values[answer] for answer in order]
        numbers = [one if isinstance(one, float) else None for one in own[name]]
        assert [value for value, _ in ours] == [
            None if one is None else pytest.approx(one, abs=1e-6) for one in numbers
        ]
        assert ours[2] == (None, "parse_error")
        if own[name][3] == "nan":
            assert ours[3] == (None, "judge_error")
        assert frame[f"{metric}_cost_usd"].min() > 0
        assert set(frame[f"{metric}_judge"]) == {"gpt-4.1-mini"}
    assert own["faithfulness"] == [0.5, pytest.approx(1 / 3), "InstructorRetryException", "nan"]
    lines = [json.loads(line) for line in context.folder.judgements.read_bytes().splitlines()]
    assert sum(len(line["replies"]) for line in lines) == asked, "as many calls as it makes itself"
    assert found["spent_usd"] == pytest.approx(
        sum(frame[f"{name}_cost_usd"].sum() for name in names.values()), abs=1e-9
    )
    told = json.loads(context.folder.prompts.read_text())
    assert sorted(told) == sorted(f"ragas.{name}" for name in RAGAS_NAMES)
    assert told["ragas.faithfulness"].startswith("ragas 0.4.3, Faithfulness (code ")
    assert "[NLIStatementPrompt]" in told["ragas.faithfulness"]


FETCHES = """
from ragas.metrics.collections.multi_modal_faithfulness.util import process_image_to_base64

class Task:
    def fetch(self, item):
        return process_image_to_base64(item) is not None
"""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("alone", [True, False])
def test_what_contexts_name_is_neither_fetched_nor_read(tmp_path, alone):
    """By the part of ragas that would; the control is the same, without our guard."""
    script, picture = tmp_path / "fetches.py", tmp_path / "pixel.png"
    script.write_text(FETCHES)
    picture.write_bytes(base64.b64decode(PIXEL))
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with suppress(OSError):
                while True:
                    came.append(server.accept()[0].close())

        threading.Thread(target=accept, daemon=True).start()
        python, places = str(peers_environments.python("ragas")), [str(script)] if alone else []
        with Bridge(python, str(script.with_suffix("")), {}, folders=places, alone=alone) as bridge:
            address = f"http://127.0.0.1:{server.getsockname()[1]}/a.png"
            assert bridge.ask("fetch", item=address) is False
            read = bridge.ask("fetch", item=str(picture))
        server.shutdown(socket.SHUT_RDWR)
    assert (len(came) == 0, read) == (alone, not alone)
