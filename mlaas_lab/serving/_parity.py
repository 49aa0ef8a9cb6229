"""The gate of a server with adapters: nobody is answered by an endpoint that is not the model that was trained.

The models as they were trained answer in a process of their own while the server loads; then the endpoint is asked the
same. What was found is kept in the job's folder: a server that is started anew with the same weights was compared.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from mlaas_lab.environment import keyless
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.models import Model
from mlaas_lab.registry import missing_extra
from mlaas_lab.schema import JSON, Parity
from mlaas_lab.serving import Place, Telling, Weights
from mlaas_lab.serving._comparing import (
    ANYWAY,
    QUANTIZED_NATS,
    TOLERANCE_NATS,
    Here,
    Told,
    check_adapter,
    check_reading,
    compared,
)
from mlaas_lab.serving._health import NotListening, Refused, bearer, exchange
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.tasks.serve import Serve

PROMPTS = (
    "Where is my parcel?",
    "I was charged twice this month. What can I do?",
    "Please cancel my order from yesterday.",
    "How do I change the address on my account?",
    "hi, the app keeps crashing when I log in",
    "Can you explain what the warranty covers?",
    "Thank you, that is all.",
    "Write one sentence about the weather.",
)
TOKENS = 16
"""Of each answer."""
ANSWER_S = 300.0
"""How long an endpoint may take for one."""
NEEDS = ("torch", "transformers", "peft")


def party(weights: Mapping[str, Weights]) -> list[str]:
    """Names that have something to be compared: adapters, and whole models that an adapter stands on."""
    bases = {one.base for one in weights.values() if one.adapter}
    return [name for name, one in weights.items() if one.base in bases]


def prompts(spec: Serve) -> list[JSON]:
    """What is asked, as messages.

    Raises:
        UsageError: if more are wanted than there are.
        DataError: for a dataset that cannot be read.
    """
    if spec.parity_data is not None:
        from mlaas_lab import data

        chats = [chat.question for chat in data.load(spec.parity_data) if chat.question]
        found = [[{"role": turn.role, "content": turn.content} for turn in chat] for chat in chats]
    else:
        found = [[{"role": "user", "content": text}] for text in PROMPTS]
    if spec.parity_prompts > len(found) and spec.parity_data is None:
        raise UsageError(
            f"there are {len(found)} prompts to compare with, not {spec.parity_prompts}.",
            next="Name a dataset with more: --parity-data FILE",
        )
    return found[: spec.parity_prompts]


class Kept:
    """What was found before, in the job's folder."""

    def __init__(self, folder: JobFolder) -> None:
        """Nothing need be there."""
        self._path = folder.path / "parity.json"

    def of(self, models: Mapping[str, Model]) -> dict[str, Parity]:
        """Of those models whose weights are still the same."""
        there = read_json(self._path) or {}
        same = [name for name, one in models.items() if there.get(name, {}).get("weights") == one.fingerprint]
        return {name: Parity(**there[name]["parity"]) for name in same}

    def add(self, found: Mapping[str, Parity], models: Mapping[str, Model]) -> None:
        """Keep it for the next start."""
        there = read_json(self._path) or {}
        new = {name: {"weights": models[name].fingerprint, "parity": asdict(one)} for name, one in found.items()}
        write_json(self._path, there | new)


class Gate:
    """The comparison of some endpoints of one server."""

    def __init__(
        self, weights: Sequence[Weights], spec: Serve, telling: Telling, *, folder: Path, threads: int
    ) -> None:
        """Have the models as they were trained loaded, and asked; `folder` is for what their process prints.

        Raises:
            MissingExtra: without the libraries that train.
        """
        for library in NEEDS:
            if find_spec(library) is None:
                raise missing_extra(library)
        self._weights, self._telling = {one.name: one for one in weights}, telling
        self._quantized, self._dtype, self._asked = bool(spec.quantization), spec.dtype, prompts(spec)
        self._log = folder / "reference.txt"
        self._first: JSON = None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlaas_lab.serving._reference_worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=keyless(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), PYTHONUNBUFFERED="1"),
            )
        models = [
            {"name": one.name, "base": str(one.base), "adapter": str(one.adapter) if one.adapter else None}
            for one in weights
        ]
        order = {"models": models, "prompts": self._asked, "tokens": TOKENS, "dtype": spec.dtype}
        self._say({**order, "own_tokenizers": telling.own_tokenizers})

    def local(self) -> None:
        """Return when the models as they were trained have answered, and each adapter does something.

        Raises:
            DataError: if an adapter does nothing, or brings another tokenizer or chat template.
            JobError: if they cannot be asked.
        """
        self._first = self._heard()
        for name, one in self._weights.items():
            check_adapter(one.source, self._first["unlike"].get(name), self._first["effects"].get(name))

    def compare(self, served: Mapping[str, str], place: Place) -> dict[str, Parity]:
        """What was found of each endpoint; `served` says what requests name as its model.

        Raises:
            DataError: if an endpoint reads prompts otherwise.
            JobError: if it is not the model that was trained, or cannot be asked.
        """
        told = {name: [self._told(served[name], prompt, place) for prompt in self._asked] for name in self._weights}
        here = {name: self._here(name) for name in self._weights}
        for name, answers in told.items():
            check_reading(name, answers, here[name])
        self._say({name: [list(one.tokens) for one in answers] for name, answers in told.items()})
        likely, tolerance = self._heard(), self._tolerance()
        return {name: compared(name, told[name], here[name], likely[name], tolerance) for name in told}

    def close(self) -> None:
        """Have no process left; who waits for it hears that it ended."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError, ValueError):
                    pipe.close()

    def _tolerance(self) -> float:
        if self._quantized:
            return QUANTIZED_NATS
        dtype = self._first["dtype"] if self._dtype == "auto" else self._dtype
        if self._dtype == "auto" and self._telling.narrows and dtype == "float32":
            dtype = "bfloat16"
        return TOLERANCE_NATS.get(dtype, TOLERANCE_NATS["bfloat16"])

    def _here(self, name: str) -> Here:
        first, one = self._first, self._weights[name]
        whole = next((n for n, w in self._weights.items() if w.base == one.base and w.adapter is None), None)
        return Here(
            prompts=first["prompts"][name],
            answers=first["answers"][name],
            ends=frozenset(first["ends"]),
            effect_nats=first["effects"].get(name),
            bases=first["answers"][whole] if one.adapter and whole else None,
        )

    def _told(self, model: str, prompt: JSON, place: Place) -> Told:
        body = {"model": model, "messages": prompt, "max_tokens": TOKENS, "temperature": 0, **self._telling.request}
        url, headers = f"{place.base_url}/chat/completions", bearer(place.launch.key)
        try:
            said = json.loads(exchange(url, body, timeout_s=ANSWER_S, headers=headers))
            choice = said["choices"][0]
            sure = (choice.get("logprobs") or {}).get("content")
            return Told(
                prompt=said["prompt_token_ids"],
                tokens=choice["token_ids"],
                log_probabilities=[float(one["logprob"]) for one in sure] if sure else None,
            )
        except (NotListening, Refused) as error:
            raise JobError(f"{model!r} cannot be compared with what was trained: {error}.", next=ANYWAY) from None
        except (ValueError, LookupError, TypeError) as error:
            raise JobError(f"{model!r} does not tell its tokens: {error!r}.", next=ANYWAY) from None

    def _say(self, what: JSON) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it ended, and says why
                self._process.stdin.write(json.dumps(what) + "\n")
                self._process.stdin.flush()

    def _heard(self) -> JSON:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        said = json.loads(line) if line.endswith("\n") else {"error": self._printed()}
        if "error" in said:
            raise JobError(f"the models as they were trained cannot be asked: {said['error']}", next=ANYWAY)
        return said

    def _printed(self) -> str:
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:400] if lines else "their process ended."
