"""User preferences of this process: where things lie and what is used by default.

flag > `%config` > environment > project file > user file > default; every value knows where it came from. What
the environment says comes from `environment`.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from mlaas_lab.environment import given
from mlaas_lab.errors import UsageError, did_you_mean

PREFIX = "MLAAS_"


def _collector(value: str) -> str:
    if not re.fullmatch(r"(on|off|mlflow|https?://[^\s@?#]+)?", value):
        raise PydanticCustomError("collector", "Expected on, off, mlflow, or an address without password and query")
    return value


class Settings(BaseModel):
    """What applies to every job of this process unless its Spec says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("mlaas_lab")))
    """Jobs, store, MLflow database and artifacts."""
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("mlaas_lab")))
    """What can be made again: the tiny base, snapshots, views of adapters."""
    tracking_uri: str = ""
    """MLflow; empty means SQLite under `data_dir`. A plain `MLFLOW_TRACKING_URI` counts too."""
    experiment: str = "mlaas_lab"
    """MLflow experiment that runs are logged to."""
    traces: int = Field(10, ge=0, le=1000)
    """Answers of each target that become traces in MLflow, failures and disagreements first; 0: none."""
    mlflow_ui_url: str = ""
    """Where a browser reaches MLflow's UI, when that is not the tracking URI: behind a proxy, or for a SQLite file."""
    executor: str = "process"
    """How jobs are launched."""
    engine: str = "transformers"
    """What serves models."""
    vllm_python: str = ""
    """Interpreter that has vLLM; empty means this one, else the one that `make vllm` made."""
    inspect_python: str = ""
    """Interpreter that has Inspect AI; empty means this one."""
    lm_eval_python: str = ""
    """Interpreter that has lm-evaluation-harness; empty means this one."""
    fi_python: str = ""
    """Interpreter that has FutureAGI's ai-evaluation; empty means this one."""
    ragas_python: str = ""
    """Interpreter that has ragas; empty means this one."""
    ray_address: str = ""
    """Jobs API of the Ray cluster; empty means http://127.0.0.1:8265."""
    ray_storage: Path | None = None
    """Folder that this machine and the cluster both see, for checkpoints and results; by default each job's own."""
    ray_python: str = ""
    """Interpreter on the cluster that has `mlaas_lab[train,ray]`; empty means this one, elsewhere `python`."""
    threads: int = Field(default_factory=lambda: max(1, os.cpu_count() or 1), ge=1)
    """CPU threads of a job."""
    accelerators: str = "auto"
    """GPUs that jobs share: `auto` asks the driver, `none`, or declared as `24GiB` or `2x24GiB`."""
    requeues: int = Field(3, ge=0)
    """How often a job that was preempted, or whose supervisor died, goes on by itself."""
    offline: bool = False
    """Never ask a model hub for anything."""
    telemetry: Annotated[str, AfterValidator(_collector)] = ""
    """A span of each call for OpenTelemetry: `on` goes where OTEL_EXPORTER_OTLP_ENDPOINT says, `mlflow` to the tracking
    server, an address to the collector there."""
    telemetry_content: bool = False
    """Spans hold prompts and answers too."""
    telemetry_names: Literal["otel", "openinference", "traceai"] = "otel"
    """Whose names the attributes of spans have."""
    prices: Path | None = None
    """Your own price lists, a YAML file or a folder of them; they win over ours."""
    cny_per_usd: Decimal | None = Field(None, gt=0)
    """What a dollar costs in CNY, in place of the dated rate that is known."""
    usd_per_hour: Decimal | None = Field(None, gt=0)
    """What an hour of one of your own machines costs in dollars, as `plan` counts it; by default nobody says."""
    rented_gpu: str = ""
    """Where this machine's GPUs are rented, `cloud/gpu` or `cloud/gpu/region` of the price lists; see `estimate`."""
    max_usd_per_day: Decimal | None = Field(None, gt=0)
    """What may be spent in a UTC day, in dollars: paid calls end there; hours of machines count, and go on."""
    max_usd_per_project: Decimal | None = Field(None, gt=0)
    """What one MLflow experiment may spend in all, in dollars."""
    max_usd_per_notebook: Decimal | None = Field(None, gt=0)
    """What one notebook may spend in all, in dollars; what is started outside of any counts as one too."""
    notebook: str = ""
    """Whose spending is added up as one notebook's; by default the file, where Jupyter tells (`JPY_SESSION_NAME`)."""
    widgets: bool = True
    """Notebooks show evaluations as live views too; false: as static ones alone."""
    report_every_s: float = Field(0.25, ge=0.05)
    """How often a waiting cell or terminal redraws, in seconds."""

    @property
    def store_path(self) -> Path:
        """The SQLite file with the life cycle of jobs."""
        return self.data_dir / "store.sqlite3"

    @property
    def ledger_path(self) -> Path:
        """The SQLite file with what everything cost."""
        return self.data_dir / "ledger.sqlite3"

    @property
    def jobs_dir(self) -> Path:
        """One folder per job."""
        return self.data_dir / "jobs"

    @property
    def mlflow_uri(self) -> str:
        """The tracking URI that is really used, absolute."""
        return self.tracking_uri or f"sqlite:///{self.data_dir / 'mlflow.db'}"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One value, and what set it."""

    value: Any
    origin: str
    """`flag`, `%config`, `MLAAS_X`, a file's path, or `default`."""


class Preferences:
    """The layers that Settings are read from, in a process that may change its mind (`%config`)."""

    def __init__(self, *, folder: Path | None = None) -> None:
        """`folder` is where the project file is looked for; by default the working directory."""
        self._folder = folder or Path.cwd()
        self._flags: dict[str, Any] = {}
        self._config: dict[str, Any] = {}

    def flag(self, **values: Any) -> Self:
        """Values that win over everything."""
        self._flags |= values
        return self

    def config(self, **values: Any) -> Self:
        """Values set in this session by `%config`."""
        self._config |= values
        return self

    def origins(self) -> dict[str, Origin]:
        """Every setting with its value and what set it."""
        settings, found = self.settings(), self._found()
        return {
            name: Origin(value=getattr(settings, name), origin=found[name].origin if name in found else "default")
            for name in Settings.model_fields
        }

    def settings(self) -> Settings:
        """The settings as they apply now.

        Raises:
            UsageError: for an unknown name or a value that does not fit, naming where it was set.
        """
        found = self._found()
        for name, value in found.items():
            if name not in Settings.model_fields:
                hint = did_you_mean(name, Settings.model_fields)
                raise UsageError(f"unknown setting {name!r} in {value.origin}.", next=hint)
        try:
            settings = Settings.model_validate({name: value.value for name, value in found.items()})
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            # What looks like an address may hold a password.
            shown = "…" if "://" in str(first["input"]) else repr(first["input"])
            raise UsageError(f"{name} = {shown} in {found[name].origin}: {first['msg'].lower()}.") from None
        named = {name: getattr(settings, name) for name in ("data_dir", "cache_dir", "ray_storage", "prices")}
        places = {name: path.expanduser().absolute() for name, path in named.items() if path is not None}
        return settings.model_copy(update={**places, "tracking_uri": _absolute(settings.tracking_uri)})

    def _found(self) -> dict[str, Origin]:
        found: dict[str, Origin] = {}
        for origin, values in self._layers():
            for name, value in values.items():
                shown = f"{PREFIX}{name.upper()}" if origin == "environment" else origin
                found[name] = Origin(value=value, origin=shown)
        return found

    def _layers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Weakest first."""
        user = Path(platformdirs.user_config_dir("mlaas_lab")) / "mlaas.toml"
        yield str(user), _toml(user)
        project = self._folder / "pyproject.toml"
        yield str(project), _toml(project).get("tool", {}).get("mlaas", {})
        own = self._folder / "mlaas.toml"
        yield str(own), _toml(own)
        if uri := given("MLFLOW_TRACKING_URI"):
            yield "MLFLOW_TRACKING_URI", {"tracking_uri": uri}
        if name := given("JPY_SESSION_NAME"):
            yield "JPY_SESSION_NAME", {"notebook": name}
        yield "environment", _from_environment()
        yield "%config", self._config
        yield "flag", self._flags


def _absolute(uri: str) -> str:
    """A SQLite file named relative to here, found from everywhere: jobs run in folders of their own."""
    relative = uri.removeprefix("sqlite:///")
    if relative == uri or relative.startswith(("/", ":memory:")) or not relative:
        return uri
    return f"sqlite:///{Path(relative).absolute()}"


def _from_environment() -> dict[str, Any]:
    known = Settings.model_fields
    return {name: value for name in known if (value := given(f"{PREFIX}{name.upper()}", empty=True)) is not None}


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}.") from None
