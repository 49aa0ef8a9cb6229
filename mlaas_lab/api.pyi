"""Made by `python tests/api_stub.py`; do not edit."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from mlaas_lab.commands._answers import Answers
from mlaas_lab.commands._estimated import Estimated
from mlaas_lab.commands._ledger import Costs
from mlaas_lab.commands._planned import Planned
from mlaas_lab.commands.agree import Agreement
from mlaas_lab.commands.cancel import Cancelled
from mlaas_lab.commands.compare import Comparison
from mlaas_lab.commands.config import Configuration
from mlaas_lab.commands.data_import import Imported
from mlaas_lab.commands.doctor import Health
from mlaas_lab.commands.form import TaskForm
from mlaas_lab.commands.front import Address
from mlaas_lab.commands.help import HelpText
from mlaas_lab.commands.jobs import JobList
from mlaas_lab.commands.logs import LogTail
from mlaas_lab.commands.price import Prices
from mlaas_lab.commands.providers import ProviderList
from mlaas_lab.commands.prune import Pruned
from mlaas_lab.commands.review import Reviewing
from mlaas_lab.commands.sync import Synced
from mlaas_lab.commands.version import Versions
from mlaas_lab.data.report import Report
from mlaas_lab.gating import Gate
from mlaas_lab.job import JobHandle
from mlaas_lab.view import Shown

def agree(
    run: str,
    *,
    labels: str | PathLike[str],
    metric: str = ...,
    target: str | None = ...,
    weights: str = ...,
    at: float | None = ...,
) -> Agreement: ...

def ask(
    prompt: str = ...,
    *,
    targets: str | Sequence[str],
    file: str | None = ...,
    system: str = ...,
    max_tokens: int = ...,
    temperature: float = ...,
    repeat: int = ...,
    timeout_s: float = ...,
    output: str | None = ...,
) -> Answers: ...

def attach(
    job: str | JobHandle | None = ...,
    *,
    wait: bool = ...,
) -> JobHandle: ...

def cancel(
    job: str | JobHandle,
) -> Cancelled: ...

def compare(
    runs: str | Sequence[str],
    *,
    html: str | PathLike[str] | None = ...,
    margin: float | str | Mapping[str, float] | None = ...,
    grouped: str | None = ...,
    seed: int | None = ...,
    static: bool = ...,
    show: str = ...,
    samples: int = ...,
) -> Comparison: ...

def config() -> Configuration: ...

def cost(
    *,
    by: str | Sequence[str] = ...,
    since: str | None = ...,
    limit: int = ...,
) -> Costs: ...

def dashboard(
    runs: str | Sequence[str] = ...,
    *,
    export: str | PathLike[str] | None = ...,
    port: int = ...,
    address: str = ...,
    auth: str | None = ...,
    people: str | Sequence[str] = ...,
    origin: str | Sequence[str] = ...,
    rule: str | None = ...,
    baseline: str | None = ...,
    margin: float | str | Mapping[str, float] | None = ...,
    grouped: str | None = ...,
    seed: int | None = ...,
) -> Shown: ...

def data_check(
    file: Any,
    *,
    map: str | Mapping[str, str] | None = ...,
    base: str = ...,
    max_length: int | None = ...,
    against: Any = ...,
    out: str | PathLike[str] | None = ...,
    test: float = ...,
    seed: int = ...,
    by: str | None = ...,
) -> Report: ...

def data_import(
    task: str,
    *,
    out: str | PathLike[str],
    python: str = ...,
) -> Imported: ...

def decide(
    run: str,
    *,
    target: str | None = ...,
    rule: str | None = ...,
    by: str = ...,
    comment: str = ...,
    baseline: str | None = ...,
) -> Shown: ...

def doctor() -> Health: ...

def emulate(
    providers: str | Sequence[str],
    *,
    answers: str = ...,
    ttft_s: float = ...,
    tokens_per_s: float | None = ...,
    chunk_bytes: int | None = ...,
    faults: str | Mapping[str, str] | None = ...,
    retry_after: str | None = ...,
    tls: bool = ...,
    seed: int = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
) -> JobHandle: ...

def estimate(
    *,
    targets: str | Sequence[str] = ...,
    data: Any = ...,
    map: str | Mapping[str, str] | None = ...,
    repeats: int = ...,
    max_tokens: int = ...,
    metrics: str | Sequence[str] = ...,
    base: str | None = ...,
    requests_per_day: int | None = ...,
    input_tokens: int | None = ...,
    cached_tokens: int = ...,
    output_tokens: int | None = ...,
    days: int = ...,
    gpu: str | None = ...,
    cloud: str | None = ...,
    region: str | None = ...,
    gpus: int = ...,
    hours_per_day: float = ...,
) -> Estimated: ...

def eval(
    *,
    data: Any,
    targets: str | Sequence[str],
    metrics: str | Sequence[str] = ...,
    name: str = ...,
    limit: int | None = ...,
    repeats: int = ...,
    system: str | None = ...,
    max_tokens: int = ...,
    temperature: float = ...,
    stream: bool = ...,
    concurrency: int | None = ...,
    retries: int = ...,
    timeout_s: float = ...,
    max_usd: float | None = ...,
    until_decided: str | None = ...,
    any_time: bool = ...,
    cache: bool = ...,
    exchanges: bool = ...,
    margin: float | str | Mapping[str, float] | None = ...,
    group: str | None = ...,
    grouped: str = ...,
    seed: int = ...,
    folder: str | PathLike[str] | None = ...,
    map: str | Mapping[str, str] | None = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
) -> JobHandle: ...

def finetune(
    *,
    base: str = ...,
    data: Any,
    name: str = ...,
    eval_data: Any = ...,
    validation: float = ...,
    rank: int = ...,
    alpha: int | None = ...,
    dropout: float = ...,
    lr: float | None = ...,
    epochs: float | None = ...,
    batch_size: int = ...,
    pass_size: int | None = ...,
    workers: int = ...,
    max_length: int = ...,
    warmup: float = ...,
    weight_decay: float = ...,
    max_grad_norm: float = ...,
    save_every: int = ...,
    seed: int = ...,
    map: str | Mapping[str, str] | None = ...,
    dtype: str = ...,
    gradient_checkpointing: bool = ...,
    load_in_4bit: bool = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
) -> JobHandle: ...

def form(
    task: str,
) -> TaskForm: ...

def front(
    *,
    port: int = ...,
    queue_s: float = ...,
    idle: str = ...,
    token: bool = ...,
) -> Address: ...

def gate(
    run: str,
    *,
    rule: str,
    baseline: str | None = ...,
    target: str | None = ...,
    against: str | None = ...,
    seed: int | None = ...,
    grouped: str | None = ...,
) -> Gate: ...

def help(
    name: str | Sequence[str] = ...,
) -> HelpText: ...

def jobs(
    *,
    state: str | None = ...,
    task: str | None = ...,
    limit: int = ...,
) -> JobList: ...

def load(
    targets: str | Sequence[str],
    *,
    duration: float | None = ...,
    requests: int | None = ...,
    concurrency: int | None = ...,
    sweep: bool = ...,
    replay: Any = ...,
    speed: float = ...,
    rate: float | None = ...,
    arrivals: str = ...,
    warmup: float | None = ...,
    slo: str | Mapping[str, str] | None = ...,
    data: Any = ...,
    input_tokens: int = ...,
    output_tokens: int = ...,
    ignore_eos: bool = ...,
    stream: bool = ...,
    retries: int = ...,
    timeout_s: float = ...,
    max_usd: float | None = ...,
    seed: int = ...,
    name: str = ...,
    map: str | Mapping[str, str] | None = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
) -> JobHandle: ...

def logs(
    job: str | JobHandle,
    *,
    lines: int = ...,
) -> LogTail: ...

def plan(
    runs: str | Sequence[str] = ...,
    *,
    traffic: Any = ...,
    map: str | Mapping[str, str] | None = ...,
    requests_per_day: int | None = ...,
    shape: str = ...,
    input_tokens: int | None = ...,
    output_tokens: int | None = ...,
    days: int = ...,
    targets: str | Sequence[str] = ...,
    own: str | Sequence[str] = ...,
    usd_per_hour: str | None = ...,
    gpu: str | None = ...,
    cloud: str | None = ...,
    region: str | None = ...,
    gpus: int = ...,
    hours_per_day: float = ...,
    utilisation: float = ...,
    p99_s: float | None = ...,
    rpm: str | Mapping[str, str] | None = ...,
    tpm: str | Mapping[str, str] | None = ...,
    metric: str | Sequence[str] = ...,
    seed: int = ...,
    html: str | PathLike[str] | None = ...,
) -> Planned: ...

def price(
    targets: str | Sequence[str],
    *,
    input_tokens: int = ...,
    output_tokens: int = ...,
) -> Prices: ...

def providers(
    name: str | None = ...,
    *,
    set_key: bool = ...,
    forget_key: bool = ...,
    variable: str | None = ...,
) -> ProviderList: ...

def prune(
    *,
    what: str | Sequence[str] = ...,
    older_than: str = ...,
    keep: int = ...,
    yes: bool = ...,
) -> Pruned: ...

def resume(
    job: str | JobHandle,
    *,
    retry_failed: bool = ...,
    max_usd: float | None = ...,
    ray_address: str = ...,
    wait: bool = ...,
    detach: bool = ...,
) -> JobHandle: ...

def review(
    run: str,
    *,
    between: str | Sequence[str] = ...,
    blind: bool | None = ...,
    by: str = ...,
    limit: int | None = ...,
    metric: str = ...,
) -> Reviewing: ...

def serve(
    models: str | Sequence[str] = ...,
    *,
    engine: str | None = ...,
    name: str = ...,
    port: int = ...,
    socket: bool = ...,
    device: str = ...,
    dtype: str = ...,
    batch: bool = ...,
    max_length: int | None = ...,
    tensor_parallel: int = ...,
    quantization: str = ...,
    prefix_cache: bool = ...,
    cache_gib: float | None = ...,
    max_adapters: int | None = ...,
    max_rank: int | None = ...,
    engine_args: str = ...,
    parity: bool = ...,
    parity_prompts: int = ...,
    parity_data: Any = ...,
    idle: str = ...,
    sleep_level: int = ...,
    ready_within_s: float = ...,
    probe_s: float = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
    add: str | None = ...,
    to: str = ...,
    remove: str = ...,
) -> JobHandle: ...

def sync(
    job: str | JobHandle = ...,
    *,
    again: bool = ...,
) -> Synced: ...

def tiny(
    *,
    rebuild: bool = ...,
    seed: int = ...,
    wait: bool = ...,
    detach: bool = ...,
    force: bool = ...,
    executor: str | None = ...,
    gpus: int | None = ...,
    cpus: int | None = ...,
    priority: int = ...,
    ray_address: str | None = ...,
) -> JobHandle: ...

def version() -> Versions: ...

def wait(
    job: str | JobHandle,
    *,
    timeout: float | None = ...,
) -> JobHandle: ...

def scorer(name: str) -> Any: ...
