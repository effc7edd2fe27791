# Uses .venv, and makes it (with the inc and dev extras) when it is missing or pyproject.toml changed.
# check-core: `pip install .` alone, in an environment of its own that is removed again.
.PHONY: check check-core test test-portable baseline format environment
SHELL := /bin/bash
export PYTHONPATH :=
BIN := .venv/bin

environment:
	@bash scripts/environment.sh

check: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-core:
	@bash scripts/check_core.sh

test: environment
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Do a run's models answer the same on onnxruntime-web's wasm? Needs node, npm and QUANTIZE_SHARED; RUN names a run.
PORTABLE := build/portable
RUN ?= $(PORTABLE)/run
SHARED := $(or $(QUANTIZE_SHARED),../shared)

test-portable: environment $(PORTABLE)/node_modules/onnxruntime-web $(RUN)/report.json
	$(BIN)/python tests/portable/agree.py $(RUN) --modules $(PORTABLE)

$(PORTABLE)/node_modules/onnxruntime-web:
	npm install --prefix $(PORTABLE) --no-save --no-audit --no-fund --ignore-scripts onnxruntime-web@1.22.0

$(PORTABLE)/run/report.json:
	$(BIN)/quantize tune --data_path $(SHARED)/imagenet/val --label_path $(SHARED)/imagenet/val.txt \
	  --output_model $(PORTABLE)/run --overwrite --iteration 50 || test -f $@

# Accept a run on this machine as the baseline of its class of CPUs; RUN names one that is there.
baseline: environment
	@bash scripts/baseline.sh

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
