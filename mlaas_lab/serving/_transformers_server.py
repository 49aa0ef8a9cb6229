"""`transformers serve` for the models of one job: `python -m mlaas_lab.serving._transformers_server --port N`.

It is the server of the transformers library with some parts exchanged: it answers for the names in `served.json` and no
others (each a folder in the working directory), it answers greedy requests together instead of one after another, it
samples when it is asked to, and it answers only who asks for this machine by name. It knows nothing of jobs.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import uvicorn
from fastapi import FastAPI, HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.cli.serve import Serve
from transformers.cli.serving import chat_completion, model_manager, server, utils

from mlaas_lab.serving._transformers_counts import CHAT, Counting, Heard, one_step

HOST = "127.0.0.1"
ROUTES = frozenset({CHAT, "/v1/models", "/health"})
"""What is left of the routes; the others load and unload models at the will of any web page."""
NAMES = Path("served.json")
REVISION = "@main"
PAGE = 64
"""Tokens in one page of the cache."""
LONGEST = 2_048
"""Tokens, prompt and answer, of a request that may share a forward pass; a longer one is answered alone."""
BATCH_TOKENS = 1_024
"""Of one forward pass; its attention mask is this times the cache."""
HARMLESS = frozenset({"bos_token_id", "eos_token_id", "pad_token_id", "max_length", "max_new_tokens"}) | frozenset(
    {"do_sample", "temperature", "top_k", "top_p", "use_cache", "transformers_version", "_from_model_config"}
)
"""Generation settings that change nothing in a greedy request, or that each request of a batch keeps."""
ONE_IS_NONE = frozenset({"length_penalty", "num_beams", "num_return_sequences", "repetition_penalty"})
"""Generation settings that are off at 1."""
_TELLS: ContextVar[bool] = ContextVar("tells", default=False)


class Served(model_manager.ModelManager):  # type: ignore[misc]  # transformers has no types
    """The models of this server, each loaded when first asked for and kept for as long as it is served."""

    @classmethod
    def process_model_name(cls, model_id: str) -> str:
        """The key of a model we serve.

        Raises:
            HTTPException: 404 for any other name; nothing is fetched or loaded for it.
        """
        if model_id not in (names := served()):
            raise HTTPException(404, f"no model {model_id!r} here; there are: {', '.join(names)}")
        return f"{model_id}{REVISION}"

    @classmethod
    def get_gen_models(cls) -> list[dict[str, str]]:
        """What `/v1/models` lists."""
        return [{"id": name, "object": "model", "owned_by": "mlaas_lab"} for name in served()]

    def load_model_and_processor(self, model_id_and_revision: str, *args: Any, **kwargs: Any) -> Any:
        """The model, after letting go of those that are no longer served."""
        names = served()
        for key in [key for key in self.loaded_models if key.removesuffix(REVISION) not in names]:
            Batches.forget(key)
            self.loaded_models[key].delete_model()
        return super().load_model_and_processor(model_id_and_revision, *args, **kwargs)

    def _load_model(self, *args: Any, **kwargs: Any) -> Any:
        model = super()._load_model(*args, **kwargs)
        model.register_forward_pre_hook(one_step)
        if getattr(model, "_hf_peft_config_loaded", False) and not getattr(model, "is_quantized", False):
            _merge(model)
        return model


class Chat(chat_completion.ChatCompletionHandler):  # type: ignore[misc]
    """Chat completions; a temperature means sampling, which transformers forgets unless the model's settings say so."""

    async def handle_request(self, body: dict[str, Any], request_id: str) -> Any:
        """The answer; with `return_token_ids`, as vLLM calls it, it says what was read and written, token by token."""
        asked = _TELLS.set(bool(body.pop("return_token_ids", False)))
        try:
            return await super().handle_request(body, request_id)
        finally:
            _TELLS.reset(asked)

    def _streaming(self, *args: Any, gen_manager: Any, **kwargs: Any) -> Any:
        return super()._streaming(*args, gen_manager=Heard(gen_manager, _named(args)), **kwargs)

    async def _non_streaming(self, *args: Any, gen_manager: Any, **kwargs: Any) -> Any:
        heard = Heard(gen_manager, _named(args))
        reply = await super()._non_streaming(*args, gen_manager=heard, **kwargs)
        if not _TELLS.get():
            return reply
        said = json.loads(reply.body)
        said["prompt_token_ids"], said["choices"][0]["token_ids"] = heard.read, heard.written
        return JSONResponse(said)

    def _build_generation_config(self, body: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        rules = super()._build_generation_config(body, *args, **kwargs)
        if body.get("temperature"):
            rules.do_sample = True
        return rules


class Together(utils.CBGenerateManager):  # type: ignore[misc]
    """Answers the greedy requests of one model in common forward passes, and any other request alone.

    A batch has one set of sampling rules, so only requests that have none can share it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alone = utils.GenerateManager()
        self._longest = 0
        """Tokens of the longest request that may share; eight of these fill the cache of keys and values."""

    def init_cb(self, model: Any, gen_config: GenerationConfig) -> None:
        """Start the batches at the first request that may share one."""
        if self._cb is None and _greedy(gen_config):
            context = getattr(model.config.get_text_config(), "max_position_embeddings", LONGEST)
            self._longest = min(LONGEST, context)
            self._cb_config = ContinuousBatchingConfig(
                page_size=PAGE,
                num_blocks=8 * self._longest // PAGE,
                max_batch_tokens=BATCH_TOKENS,
                auto_switch_to_flash=False,
            )
            super().init_cb(model, gen_config)

    def generate_streaming(
        self, model: Any, processor: Any, inputs: Any, gen_config: GenerationConfig, **more: Any
    ) -> Any:
        """A queue of pieces, and the streamer that fills it."""
        if self._may_share(inputs, gen_config):
            return super().generate_streaming(model, processor, inputs, gen_config, **more)
        return self._alone.generate_streaming(model, processor, *_for_one(model, inputs, gen_config), **more)

    async def generate_non_streaming(
        self, model: Any, processor: Any, inputs: Any, gen_config: GenerationConfig, **more: Any
    ) -> Any:
        """Text, prompt length in tokens, and the tokens of the answer."""
        if self._may_share(inputs, gen_config):
            try:
                return await super().generate_non_streaming(model, processor, inputs, gen_config, **more)
            except RuntimeError:  # batches broke, and take no more; nothing was said yet
                return await self._alone.generate_non_streaming(
                    model, processor, *_for_one(model, inputs, gen_config), **more
                )
        return await self._alone.generate_non_streaming(model, processor, *_for_one(model, inputs, gen_config), **more)

    def _may_share(self, inputs: Any, rules: GenerationConfig) -> bool:
        length = len(inputs["input_ids"]) + (rules.max_new_tokens or LONGEST)
        return _greedy(rules) and length <= self._longest and self._takes_requests()

    def _takes_requests(self) -> bool:
        """Asked of the loop itself: while it breaks, `is_alive` still says yes, and a request would wait for ever."""
        return self._cb is not None and self._cb.background_thread_status.can_accept_new_requests() is None


class Batches(utils.GenerationState):  # type: ignore[misc]
    """One `Together` per model, where transformers has one for all of them and drops it when the model changes."""

    _together: ClassVar[dict[str, Together]] = {}

    @classmethod
    def forget(cls, model_id: str) -> None:
        """Stop answering for a model."""
        if (together := cls._together.pop(model_id, None)) is not None:
            together.stop()

    def get_manager(self, model_id: str, use_cb: bool = False) -> Any:
        """Who answers for this model."""
        if not use_cb:
            return super().get_manager(model_id)
        return self._together.setdefault(model_id, Together())

    def is_cb_alive(self) -> bool:
        """Always: when batches break, requests are answered alone."""
        return True


def served() -> list[str]:
    """What is served now; the job writes the file anew when that changes."""
    return list(json.loads(NAMES.read_bytes()))


def _named(args: Sequence[Any]) -> str:
    """The name that requests give the model, from what a handler is given: request, model, processor, model's key."""
    return str(args[3]).removesuffix(REVISION)


def _merge(model: Any) -> None:
    """Add the adapter to the weights: the same sum, computed once instead of at every token."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in model.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.merge()


def _greedy(rules: GenerationConfig) -> bool:
    if rules.do_sample:
        return False
    set_to = {name: value for name, value in rules.to_diff_dict().items() if value not in (None, False)}
    return all(name in HARMLESS or (name in ONE_IS_NONE and value == 1) for name, value in set_to.items())


def _for_one(model: Any, inputs: Any, rules: GenerationConfig) -> tuple[dict[str, torch.Tensor], GenerationConfig]:
    rules.use_cache = True
    return {name: torch.tensor([inputs[name]], device=model.device) for name in inputs}, rules  # (1, T)


def _guarded(build: Callable[..., FastAPI]) -> Callable[..., FastAPI]:
    def built(*args: Any, **kwargs: Any) -> FastAPI:
        app = build(*args, **kwargs)
        app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") in ROUTES]
        # A page of another site can reach this port under a name of its own, but not without naming itself.
        app.add_middleware(Counting)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        return app

    return built


def main() -> None:
    """Serve until a signal ends it."""
    words = argparse.ArgumentParser()
    words.add_argument("--port", type=int, default=0)
    words.add_argument("--socket")
    words.add_argument("--dtype", default="auto")
    words.add_argument("--device", default="auto")
    words.add_argument("--alone", action="store_true")
    options = words.parse_args()
    # `Serve` looks these up when it is called.
    model_manager.ModelManager = Served
    chat_completion.ChatCompletionHandler = Chat
    utils.GenerationState = Batches
    server.build_server = _guarded(server.build_server)
    uvicorn.Config = partial(uvicorn.Config, uds=options.socket)  # type: ignore[assignment, misc]
    # One line for each request would make the log of a long evaluation larger than its results.
    uvicorn.config.LOGGING_CONFIG["handlers"]["access"]["level"] = "WARNING"
    Serve(
        host=HOST,
        port=options.port,
        device=options.device,
        dtype=options.dtype,
        model_timeout=-1,
        continuous_batching=not options.alone,
        log_level="error",
    )


if __name__ == "__main__":
    main()
