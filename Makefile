# `make` lists the targets. Options: PYTHON=…, VARIANT=default|cpu, ARGS="…" for the command that a target runs.
.DEFAULT_GOAL := help
.PHONY: help setup pipeline deploy worker test bench lock format clean
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
# An environment keeps its variant: after `make setup VARIANT=cpu`, a plain `make test` stays on it.
VARIANT ?= $(shell cat .venv/.variant 2>/dev/null || echo default)
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
pinned = $(1)==$(shell sed -n 's/^$(1)==\([^ ]*\).*/\1/p' requirements.lock)
# "+cpu" names the CPU build, so that no other index can hand over the CUDA one.
TORCH_CPU ?= $(call pinned,torch)+cpu $(call pinned,torchvision)+cpu

POOL := digits-process

LOCK_default := requirements.lock
LOCK_cpu := requirements-cpu.lock
LOCK := $(LOCK_$(VARIANT))
INSTALLED := .venv/.installed-$(VARIANT)

# DVC starts stages as `python -m stages.…`: that `python` must be ours.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Create .venv from the lock file (VARIANT=cpu: without CUDA)

pipeline: setup ## Run the whole job: download, train, evaluate, export, verify
	.venv/bin/python -m flows.pipeline $(ARGS)

SERVER_IS_KNOWN = python -c 'import sys, prefect.settings as s; s.PREFECT_API_URL.value() or \
	sys.exit("Say which server: PREFECT_API_URL=http://127.0.0.1:4200/api make $@")'
deploy: setup ## Put the schedules of prefect.yaml on the server of PREFECT_API_URL
	@$(SERVER_IS_KNOWN)
	prefect work-pool inspect $(POOL) >/dev/null 2>&1 || prefect work-pool create --type process $(POOL)
	prefect --no-prompt deploy --all $(ARGS)

worker: setup ## Run what is due, in this folder, until it is stopped
	@$(SERVER_IS_KNOWN)
	exec prefect worker start --pool $(POOL) --type process --limit 1 $(ARGS)

test: setup ## Lint, format check, type check, tests
	ruff check .
	ruff format --check .
	mypy --strict
	pytest $(ARGS)

bench: setup ## Compare with a conventional training script
	.venv/bin/python -m benchmarks.bench $(ARGS)

format: setup ## Format the code and apply safe lint fixes
	ruff check --fix .
	ruff format .

clean: ## Remove what the pipeline and the tools made; data/raw, DVC's cache and .venv stay
	git clean -fdXq -- data/normalized models reports
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

COMPILE := uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --quiet
CUDA_PACKAGES := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
lock: setup ## Resolve pyproject.toml into the lock files (ARGS=--upgrade: newer versions)
	$(COMPILE) $(ARGS) -o requirements.lock
	$(COMPILE) --constraints requirements.lock \
		--excludes <(printf '%s\n' $(CUDA_PACKAGES) onnxruntime-gpu) \
		--overrides <(grep -o '^onnxruntime==[^ ]*' requirements.lock) \
		--no-emit-package torch --no-emit-package torchvision --no-annotate -o requirements-cpu.lock
	@! grep -E '^(cuda|nvidia|onnxruntime-gpu|triton)' requirements-cpu.lock || \
		{ echo 'requirements-cpu.lock: the packages above are for CUDA: add them to CUDA_PACKAGES.'; exit 1; }

# Run once per lock file. An interrupted run is taken up again: `.variant` says that the environment itself is whole,
# and a package without RECORD, the last file pip writes, is one that pip would wrongly take for installed.
$(INSTALLED): $(LOCK)
	@test -n '$(LOCK)' || { echo 'VARIANT=$(VARIANT) is unknown: use default or cpu.'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
		{ echo 'Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is not one (choose with make PYTHON=…).'; exit 1; }
	@test "$$(cat .venv/.variant 2>/dev/null)" = $(VARIANT) || \
		{ $(PYTHON) -m venv --clear .venv; echo $(VARIANT) > .venv/.variant; }
	@for info in .venv/lib/python*/site-packages/*.dist-info; do test -f "$$info/RECORD" || rm -rf "$$info"; done
	@echo 'Installing $(LOCK) into .venv: this takes some minutes ($(SIZE_$(VARIANT)) to download).'
	$(PIP_INSTALL) --require-hashes -r $(LOCK)
	$(INSTALL_TORCH_$(VARIANT))
	@.venv/bin/python -m pip check
	@touch $@
# The lock file is complete. Left to resolve, the pip of Debian 12 trips over `sqlalchemy[asyncio]`.
PIP_INSTALL := .venv/bin/python -m pip install --disable-pip-version-check --no-deps
SIZE_default = about 3 GB on Linux
SIZE_cpu = about 500 MB
INSTALL_TORCH_cpu = $(PIP_INSTALL) --index-url $(TORCH_CPU_INDEX) $(TORCH_CPU)
