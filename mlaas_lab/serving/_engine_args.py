"""Flags that a user passes on to vLLM as they are, less those that would open the server or run somebody's code."""

import shlex

from mlaas_lab.errors import UsageError

CLOSED = {
    "the job decides where it listens": ("host", "port", "uds", "root-path", "headless", "grpc*"),
    "the job decides who may ask": ("api-key", "middleware", "allow*", "ssl-*", "enable-ssl*", "trust-request*"),
    "it could run code that came with a model": (
        *("trust-remote-code", "code-revision", "hf-overrides", "model-impl", "load-format", "model-loader*"),
        *("tool-parser-plugin", "reasoning-parser-plugin", "tool-server", "logits-processor*"),
        *("worker-cls", "worker-extension*", "io-processor*"),
    ),
    "it opens ports of its own": ("kv-transfer*", "kv-events*", "ec-transfer*", "data-parallel*", "master*", "nnodes"),
    "the job passes it itself": (
        *("config", "model", "served-model-name", "tokenizer", "revision", "download-dir"),
        *("lora-modules", "default-mm-loras", "enable-lora", "max-lora*", "max-loras", "max-cpu-loras"),
        *("log-config*", "disable-uvicorn*", "dtype", "max-model-len", "tensor-parallel-size", "quantization"),
    ),
    "what is asked stays out of the log": ("enable-log-requests", "enable-log-outputs"),
}
"""Why → flags; a star stands for however they go on."""


def passed_on(text: str) -> tuple[str, ...]:
    """The words of `text`, as a shell splits them.

    Raises:
        UsageError: for a flag that is closed, also by an abbreviation of its name, or what is no long flag.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--engine-args {text!r} cannot be split into words: {error}.") from None
    if words and not words[0].startswith("--"):
        raise UsageError(f"--engine-args {text!r} must begin with a flag: --engine-args='--seed 1'.")
    for word in words:
        _check(word)
    return tuple(words)


def _check(word: str) -> None:
    if word.startswith("-") and not word.startswith("--") and not _is_number(word):
        raise UsageError(f"--engine-args: {word!r} is short.", next="Write the flag's long name.")
    if not word.startswith("--"):
        return
    name = word[2:].partition("=")[0].partition(".")[0].replace("_", "-")
    for why, flags in CLOSED.items():
        if any(_means(name, flag) for flag in flags):
            raise UsageError(f"--engine-args: --{name} cannot be passed on: {why}.")


def _means(name: str, flag: str) -> bool:
    """Whether a parser that takes abbreviations may read `name` as `flag`."""
    begin = flag.removesuffix("*")
    exact = name in (begin, f"no-{begin}") or (flag != begin and name.startswith(begin))
    return exact or begin.startswith(name)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
