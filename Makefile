# Uses .venv, and makes it (with the inc and dev extras) when it is missing or pyproject.toml changed.
# check-core: `pip install .` alone, in an environment of its own that is removed again.
.PHONY: check check-core audit test test-portable test-arm64 test-haswell test-onnxruntime look picture docs baseline format environment
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

# Findings of bandit, and known faults of the installed packages.
audit: environment
	@bash scripts/audit.sh

# As many processes as cores, four at most, each with whole files, so that a file's fixtures are made once;
# TEST_PROCESSES=0: all in one.
TEST_PROCESSES := logical
test: environment
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

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

# On other CPUs, emulated (Debian: apt-get install qemu-user debootstrap): the numeric tests, and models made here and
# there that must answer as exact sessions do here. ARM64_CPU is in qemu's words.
NUMERIC := tests/formats tests/rewrites $(wildcard tests/engines/native/builder/test_*.py) tests/measurement/machine/test_cpu_class.py
ARM64 := build/arm64
ARM64_CPU := neoverse-n1
HASWELL := build/haswell

test-arm64: environment
	bash scripts/arm64_python.sh $(ARM64) $(ARM64_CPU)
	$(BIN)/python -m tests.emulated.agree build/emulated/$(ARM64_CPU) --python $(ARM64)/bin/python
	$(ARM64)/bin/python -m pytest -p no:cacheprovider -m "not real" $(NUMERIC) $(PYTEST_ARGS)

test-haswell: environment
	bash scripts/haswell_python.sh $(HASWELL)
	$(BIN)/python -m tests.emulated.agree build/emulated/haswell --python $(HASWELL)/bin/python
	$(HASWELL)/bin/python -m pytest -p no:cacheprovider -m "not real" $(NUMERIC) $(PYTEST_ARGS)

# What rests on onnxruntime, against one version of it in an environment of its own: docs/versions.md says what was tried.
ONNXRUNTIME := 1.21.0

test-onnxruntime:
	bash scripts/try_onnxruntime.sh $(ONNXRUNTIME) $(NUMERIC) tests/engines/ort tests/models tests/public tests/run/test_ort_run.py tests/run/test_given_forms.py $(PYTEST_ARGS)

# The report's pages in Debian's Chromium (apt-get install chromium): pictures in build/look/pictures, and what only a
# browser can check: sorting, filtering, copying, contrast by axe-core. Needs node and npm; RUNS names runs to look at too.
LOOK := build/look

look: environment $(LOOK)/node_modules/axe-core
	$(BIN)/python -m tests.browser.pages $(LOOK)/pages $(RUNS)
	node tests/browser/look.mjs --modules $(LOOK) --output $(LOOK)/pictures $(LOOK)/pages/*.html

# The README's pictures: the top of the report of RUN, and what a terminal shows of it.
picture: environment $(LOOK)/node_modules/axe-core $(RUN)/report.json
	$(BIN)/quantize report $(RUN)
	node tests/browser/look.mjs --modules $(LOOK) --top docs/pictures/report.png $(RUN)/report.html
	$(BIN)/python scripts/terminal_picture.py docs/pictures/terminal.svg --columns 84 --lines 17 \
	  --folder $(dir $(RUN)) -- quantize report $(notdir $(RUN))

$(LOOK)/node_modules/axe-core:
	npm install --prefix $(LOOK) --no-save --no-audit --no-fund --ignore-scripts playwright-core@1.64.1 axe-core@4.14.1

# The documentation as a site in build/site; links that lead nowhere are errors.
docs:
	@bash scripts/environment.sh docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Accept a run on this machine as the baseline of its class of CPUs; RUN names one that is there.
baseline: environment
	@bash scripts/baseline.sh

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
