"""`%mlaas load`: send requests at their times, whatever is outstanding, and say how long the answers really took."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from mlaas_lab.spec import Arg, DataFile, Spec, TargetName
from mlaas_lab.tasks import Task

LIMITS = ("ttft_s", "itl_s", "tpot_s", "latency_s")
"""What an objective may bound: first token, mean gap between pieces, time per output token after the first, all of it;
each in seconds."""
DURATION_S = 60.0
STEP_S = 15.0
"""Of each rate of a sweep."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Load(Spec):
    """Load targets at a rate, with so many at once, up to their limit, or as a trace did; see how long answers take."""

    targets: tuple[TargetName, ...] = Arg(min_length=1)
    """What to ask: endpoints we serve, or `provider/model?key=value`; several share the load evenly."""
    duration: Positive | None = None
    """Seconds in which requests are sent, by default 60; of a sweep those of each rate, by default 15."""
    requests: int | None = Field(None, ge=1)
    """Stop after so many requests, if that is earlier."""
    concurrency: int | None = Field(None, ge=1, le=10_000)
    """Closed loop: so many at once, each followed by the next when its answer is there."""
    sweep: bool = False
    """Raise the rate, from `--rate` or a gentle one, until too few answers are good; says where that is."""
    replay: DataFile | None = None
    """Arrival times and lengths of a recorded trace, CSV or JSONL; other columns by `--map arrival_s=…`."""
    speed: Positive = 1.0
    """Replay so many times as fast."""
    rate: Positive | None = Field(None, validate_default=True)
    """Open loop: requests a second, sent at their times whatever is outstanding."""
    arrivals: Literal["poisson", "constant"] = "poisson"
    """How they come at a rate: at random as from many users, or evenly."""
    warmup: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Seconds at the start, of each rate too, that are not counted; by default a tenth, at most 5."""
    slo: dict[str, Positive] = Field(default_factory=dict)
    """What makes an answer good, as `ttft_s=0.5,itl_s=0.05`; also tpot_s and latency_s."""
    data: DataFile | None = None
    """Prompts: the questions of a dataset, in random order, again and again; by default made up, each another."""
    input_tokens: int = Field(128, ge=1, le=1_000_000)
    """Length of a made-up prompt, at about one token a word; a trace brings its own."""
    output_tokens: int = Field(64, ge=1)
    """Longest answer; a trace brings its own."""
    ignore_eos: bool = False
    """Have every answer go on to its longest, where the server knows `ignore_eos`, as vLLM does."""
    stream: bool = True
    """Ask for streams, which alone have a time to first token; `--no-stream` for servers that have none."""
    retries: int = Field(0, ge=0, le=100)
    """Attempts after the first, for errors that may pass; their time counts."""
    timeout_s: Positive = 60.0
    """Deadline of one answer in seconds, retries included."""
    max_usd: Positive | None = None
    """Spend no more than so many dollars, calls in flight included; then no more is sent."""
    seed: int = 0
    """Of arrivals, prompts and the order of questions."""
    name: str = ""
    """Name of the job."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns of a trace or of the data, as `arrival_s=ts,input_tokens=in,output_tokens=out` or `question=user`."""

    @field_validator("rate")
    @classmethod
    def _one_way(cls, rate: float | None, info: ValidationInfo) -> float | None:
        """One way to load, and at least one request."""
        known = info.data
        ways = {
            "--concurrency": known.get("concurrency"),
            "--sweep": known.get("sweep"),
            "--replay": known.get("replay"),
        }
        named = [flag for flag, value in ways.items() if value]
        if rate is None and not named:
            raise ValueError("say how to load: --rate R, --concurrency N, --sweep or --replay FILE")
        if len(named) > 1 or (rate is not None and named not in ([], ["--sweep"])):
            both = [*(["--rate"] if rate is not None else []), *named]
            raise ValueError(f"{' and '.join(both)} are two ways to load; name one")
        duration_s = known.get("duration") or DURATION_S
        if rate is not None and not named and rate * duration_s < 1:
            raise ValueError(f"in {duration_s:g} s that is less than one request; raise it, or --duration")
        return rate

    @field_validator("slo")
    @classmethod
    def _known(cls, slo: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(slo) - set(LIMITS)):
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(LIMITS)}")
        return slo


task = Task(
    spec=Load,
    entry="mlaas_lab.traffic.run:run",
    view="mlaas_lab.panels.load:views",
    # A measurement of now is never one of then.
    fresh=lambda _spec: True,
)
