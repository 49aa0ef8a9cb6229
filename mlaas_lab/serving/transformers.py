"""The embedded engine: the server of the transformers library, on a CPU too, for trying and comparing.

It runs as `python -m mlaas_lab.serving._transformers_server` in a folder with one view for each model. This file must
not import transformers: an engine is read before its libraries are known to be there.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mlaas_lab.registry import missing_extra
from mlaas_lab.serving import Engine, Launch, Weights, Wishes
from mlaas_lab.serving._fit import check_fit
from mlaas_lab.serving._views import view

NEEDS = ("torch", "transformers", "peft", "fastapi", "uvicorn", "openai")


def _launch(models: Sequence[Weights], wishes: Wishes, folder: Path) -> Launch:
    for library in NEEDS:
        if find_spec(library) is None:
            raise missing_extra(library)
    folders = {model.name: model.name.replace("@", "-") for model in models}  # the server reads a revision after an @
    for model in models:
        if model.adapter:
            check_fit(model.source, model.base, model.adapter)
        view(folder / folders[model.name], name=model.source, base=model.base, adapter=model.adapter)
    command = [sys.executable, "-P", "-m", "mlaas_lab.serving._transformers_server"]
    command += ["--port", str(wishes.port), "--device", wishes.device, *([] if wishes.batch else ["--alone"])]
    # Each model computes in threads of its own; more than there are cores make all of them slower.
    threads = str(max(1, wishes.threads // len(models)))
    return Launch(
        command=(*command, *folders.values()),
        environment={
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",  # every file is here
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "TQDM_DISABLE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        models=folders,
    )


engine = Engine(launch=_launch)
