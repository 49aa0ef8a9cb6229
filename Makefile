# Two commands do everything: `make demo` runs the main job, `make test` passes the tests. Each sets itself up.
PYTHON ?= python3
# Arguments for pip: an index with CPU builds of torch, a proxy.
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
RAY := .venv-ray
# Without bytecode on disk every process that a test starts would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint .ci/constraints.txt $(PIP_ARGS)
MADE_FROM := pyproject.toml .ci/constraints.txt
# Of a start of JupyterLab, half is a grammar of international addresses, which no message of a server has, and Panel's
# part, which our dashboard does not use.
QUICK_LAB := import sys; sys.modules["rfc3987_syntax"] = None; from jupyterlab.labapp import main; main()

.DEFAULT_GOAL := help
.PHONY: help demo compare test test-long test-ray matrix conformance bench-peers bench-serving bench-load test-peers test-browser test-ui test-binder test-pythons notebooks labextension vllm test-vllm test-sqlite check lab pictures bench clean

help:  ## Show this
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## Fine-tune, serve, compare and log, for real, in the quickstart notebook
	@$(BIN)/python notebooks/execute.py notebooks/01_quickstart.ipynb --to build

compare: $(VENV)/.demo  ## Compare seven candidates, the hosted ones emulated, in the second notebook
	@$(BIN)/python notebooks/execute.py notebooks/02_compare.ipynb --to build

notebooks: $(VENV)/.demo  ## Run all notebooks, top to bottom
	@for one in notebooks/*.ipynb; do $(BIN)/python notebooks/execute.py $$one --to build || exit 1; done

test: $(VENV)/.dev  ## Run the tests, a process for each core; ARGS=tests/FILE runs some
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--numprocesses logical --maxprocesses 4 --dist loadfile --cov --cov-report=term)

test-long: $(VENV)/.dev  ## Run the tests that take hours; stopped and called again it goes on, ARGS=-kNAME runs some
	@$(BIN)/python -m pytest -m long --timeout 7200 --passed build/long-passed.txt $(ARGS)

test-ray: $(RAY)/.ray  ## Run the tests on a Ray cluster of this machine; ARGS='--deaths 5' kills it 20 times
	@$(RAY)/bin/python -m pytest tests/on_ray -m ray --timeout 3600 $(ARGS)

matrix: $(VENV)/.dev  ## Ask every provider's emulator for what may happen, and print the table
	@$(BIN)/python -m pytest -q tests/providers/test_matrix.py $(ARGS)

conformance: $(VENV)/.dev  ## Compare every adapter with its vendor's official SDK and specification
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/conformance_scripts.py
	@$(BIN)/python -m pytest tests/conformance/test_sdks.py tests/conformance/test_specs.py tests/conformance/test_front_sdks.py -m conformance $(ARGS)
	@$(BIN)/python tests/readme.py

bench-peers: $(VENV)/.dev  ## Compare the speed of an evaluation with Inspect AI and MLflow, side by side
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/peers_environments.py inspect_ai mlflow
	@$(BIN)/python tests/benchmarks/peers.py $(ARGS)

bench-serving: $(VENV)/.dev  ## Print the tables of serving, load and the ledger, and whether their bounds hold
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/peers_environments.py litellm
	@held=0; for name in serving front load load_intervals ledger; do \
	  echo; echo "== $$name"; $(BIN)/python tests/benchmarks/$$name.py || held=1; done; exit $$held

bench-load: vllm  ## Compare the load generator with GuideLLM and vLLM's own, and serve with vLLM started by hand, turn by turn
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/peers_environments.py guidellm
	@$(BIN)/python tests/benchmarks/load_peers.py $(ARGS)
	@$(BIN)/python tests/benchmarks/serving.py --engine vllm --rounds 4

test-peers: $(VENV)/.dev  ## Compare the bridges with the tools they lead to
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/peers_environments.py
	@$(BIN)/python -m pytest tests/evaluation/test_peer_tools.py -m peers $(ARGS)

test-browser: $(VENV)/.dev  ## Use the live comparison in a real browser, by keyboard; needs chromium
	@test -d .venv-browser/playwright || $(PIP) --target .venv-browser playwright
	@$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

test-ui: $(VENV)/.dev $(VENV)/.labextension .venv-notebook/.made  ## Use the sidebar and the widgets in a real browser; needs Node, gets chromium
	@command -v $${CHROMIUM:-chromium} >/dev/null || apt-get install --yes chromium
	@test -d .venv-browser/hatchling || $(PIP) --target .venv-browser playwright hatchling
	@$(BIN)/python -m pytest -m browser tests/ui tests/browser $(ARGS)

test-binder: $(VENV)/.dev  ## Run Binder's notebooks in Binder's environment, under a limit of memory; its sidebar needs Node
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python -m pytest -q -n 0 -m binder tests/binder $(ARGS)

test-pythons: $(VENV)/.dev  ## Install into Python 3.11, 3.12 and 3.13, those that are here; PYTHONS says which
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python -m pytest -n 0 -m pythons tests/test_pythons.py $(ARGS)

test-sqlite: $(VENV)/.dev  ## Run the store's tests, the long ones too, on a newer SQLite than the system's; needs npm and cc
	@LD_LIBRARY_PATH=$$($(BIN)/python tests/newer_sqlite.py) $(BIN)/python -m pytest -m '' tests/store --timeout 7200 $(ARGS)

vllm: $(VENV)/.dev  ## Install vLLM into an interpreter of its own: for the GPU if there is one, else for the CPU
	@PIP_ARGS='$(PIP_ARGS)' $(BIN)/python tests/vllm_environment.py

test-vllm: vllm  ## Run the tests on a real vLLM server
	@$(BIN)/python -m pytest -n 0 -m vllm tests/serving tests/test_notebooks.py $(ARGS)

check: $(VENV)/.dev  ## Lint, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lab: $(VENV)/.dev  ## Open JupyterLab with jobs, endpoints and spend in its sidebar
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory labextension; \
	  else echo "No Node here, so the sidebar is not built; everything else works. A wheel brings it without Node."; fi
	@$(BIN)/python -c '$(QUICK_LAB)' notebooks/01_quickstart.ipynb --ServerApp.jpserver_extensions=panel.io.jupyter_server_extension=False $(ARGS)

pictures: $(VENV)/.dev $(VENV)/.labextension  ## Take the README's pictures anew; ARGS='load --theme dark --to build' takes one elsewhere
	@test -d .venv-browser/playwright || $(PIP) --target .venv-browser playwright
	@$(BIN)/python tests/pictures.py $(ARGS)

labextension: $(VENV)/.labextension  ## Build the JupyterLab extension; needs Node, which its users do not

bench: $(VENV)/.dev  ## Print the benchmark tables
	@for name in kernel store inference providers evaluation tracking simulation; do echo; echo "== $$name"; $(BIN)/python tests/benchmarks/$$name.py || exit 1; done

clean:  ## Remove what was made here; jobs and models in your home stay
	rm -rf node_modules labextension/lib mlaas_lab/labextension $(VENV) $(RAY) .venv-sdks .venv-peers .venv-browser .venv-notebook .venv-vllm build dist .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find mlaas_lab tests -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(MADE_FROM) | $(BIN)/python
	@echo "Installing into $(VENV); this takes a few minutes the first time."
	@$(PIP) --editable '.[serve,notebook]'
	@touch $@

$(VENV)/.dev: $(MADE_FROM) | $(BIN)/python
	@echo "Installing into $(VENV); this takes a few minutes the first time."
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.labextension: package.json package-lock.json $(wildcard labextension/*.json labextension/src/* labextension/style/* labextension/schema/*) | $(VENV)/.dev
	@npm install --no-save --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	@mkdir -p $(VENV)/share/jupyter/labextensions $(VENV)/etc/jupyter/jupyter_server_config.d
	@rm -rf $(VENV)/share/jupyter/labextensions/mlaas_lab
	@ln -s $(CURDIR)/mlaas_lab/labextension $(VENV)/share/jupyter/labextensions/mlaas_lab
	@cp labextension/jupyter-config/mlaas_lab.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	@touch $@

.venv-notebook/.made: .ci/constraints.txt
	@$(PYTHON) -m venv .venv-notebook
	@.venv-notebook/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint .ci/constraints.txt \
	  $(PIP_ARGS) 'notebook>=7.6,<8' platformdirs psutil pydantic
	@touch $@

$(RAY)/.ray: $(MADE_FROM)
	@echo "Installing into $(RAY); this takes a few minutes the first time."
	@$(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint .ci/constraints.txt \
	  $(PIP_ARGS) --editable '.[train,ray]' 'pytest>=8.3' 'pytest-timeout>=2.3' 'hypothesis>=6.120'
	@touch $@
