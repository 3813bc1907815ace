# `make` lists the targets. Options: PYTHON=…, VARIANT=default|cpu, INSTALLER=uv|pip, ARGS="…" for the command that a target runs.
.DEFAULT_GOAL := help
.PHONY: help setup pipeline plan restore report web runtimes verify-all robustness shift small-models image server server-key deploy worker \
  up down test test-quick test-versions bench bench-gpu endurance profile sweep recipe-table fuzz release-tools audit croissant sbom sign check-release retention \
  licenses lock format clean
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

# What somebody gives is one word to the shell, whatever signs it has; `of` takes the name of a variable, and expands
# nothing in its value.
quoted = '$(subst ','\'',$(1))'
of = $(call quoted,$(value $(1)))
# What a program says becomes a file once it has ended well; until then, and after a failure, the old one stays.
whole = part=$(dir $(2)).$(notdir $(2)).$$$$.part; trap 'rm -f "$$part"' EXIT; $(1) > "$$part"; mv "$$part" $(2)

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
# An environment keeps its variant: after `make setup VARIANT=cpu`, a plain `make test` stays on it.
VARIANT ?= $(shell cat .venv/.variant 2>/dev/null || echo default)
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
pinned = $(1)==$(shell sed -n 's/^$(1)==\([^ ]*\).*/\1/p' requirements.lock requirements-dev.lock)
# "+cpu" names the CPU build, so that no other index can hand over the CUDA one.
TORCH_CPU ?= $(call pinned,torch)+cpu $(call pinned,torchvision)+cpu

LOCK_default := requirements.lock
LOCK_cpu := requirements-cpu.lock
LOCK := $(LOCK_$(VARIANT))
INSTALLED := .venv/.installed-$(if $(LOCK),$(VARIANT),unknown)
RELEASE_TOOLS := .venv/.installed-release

# DVC starts stages as `python -m stages.…`: that `python` must be ours.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Create .venv from the lock file (VARIANT=cpu: without CUDA)

pipeline: setup ## Run the whole job: download, train, evaluate, export, verify, report (RECIPE=name: with its values)
	.venv/bin/python -m flows $(if $(value RECIPE),--recipe $(call of,RECIPE)) $(ARGS)

plan: setup ## Say which stages would run, be restored or stay, and why, and run none
	@python -m prefect_dvc plan $(ARGS)

restore: setup ## Put back the outputs that a stage which failed has removed, as dvc.lock records them
	.venv/bin/python -m flows.restore

report: setup ## Build the page of the run in reports/page, after what it depends on
	dvc repro report $(ARGS)

web: PORT ?= 8000
web: setup ## Serve that page on http://127.0.0.1:8000 until it is stopped (PORT: another)
	@test -e reports/page/index.html || { echo 'There is no page yet: make report'; exit 1; }
	exec python -m http.server $(call of,PORT) --bind 127.0.0.1 --directory reports/page

JAVASCRIPT := digits/runtimes/javascript
runtimes: setup ## Install the optional runtimes that `make verify-all` compares (a browser must be here already)
	$(INSTALL) requirements-runtimes.lock
	npm ci --ignore-scripts --no-audit --no-fund --prefix $(JAVASCRIPT)

verify-all: runtimes ## Compare every runtime with PyTorch: one table, and reports/parity-all.json
	.venv/bin/python -m stages.verify_all

robustness: setup ## By how much pixels may change without the digit changing: proven, and attacked; a metric of DVC
	dvc repro robustness/dvc.yaml:robustness $(ARGS)

shift: setup ## How far answers hold outside the test set: on changed images, on digits from elsewhere; a metric of DVC
	dvc repro robustness/dvc.yaml:shift $(ARGS)

small-models: setup ## Make float16 and int8 models in models/small, and measure them
	.venv/bin/python -m stages.shrink

TARGET ?= gpu
TAG_gpu := latest
TAG_cpu := cpu
COMMIT = $(shell git describe --always --exclude '*' --abbrev=12 --dirty)
image: ## Build the container image, tagged by commit and `latest` (TARGET=cpu: `cpu`, without CUDA)
	docker build --target $(call of,TARGET) --build-arg COMMIT=$(call quoted,$(COMMIT)) $(if $(value BASE),--build-arg BASE=$(call of,BASE)) \
		--tag digits:$(call quoted,$(COMMIT))$(if $(filter cpu,$(value TARGET)),-cpu) --tag digits:$(TAG_$(value TARGET)) $(ARGS) .

# The password of the servers that `make server` and `make up` start. Everybody on this machine reaches them, and so
# does every page in a browser.
SERVER_KEY ?= server.key
server-key:
	@test -s $(call of,SERVER_KEY) || { umask 077; \
		part=$(call of,SERVER_KEY).$$$$.tmp; trap 'rm -f "$$part"' EXIT; \
		python3 -c 'import secrets; print("digits:" + secrets.token_hex(24))' > "$$part"; mv "$$part" $(call of,SERVER_KEY); }
READ_KEY = $${PREFECT_API_AUTH_STRING:-$$(cat $(call of,SERVER_KEY))}
# For these alone, and for nobody else's server.
ifneq ($(filter http://127.0.0.1:% http://localhost:%,$(PREFECT_API_URL)),)
ifneq ($(shell test -e $(call of,SERVER_KEY) && echo there),)
export PREFECT_API_AUTH_STRING ?= $(shell cat $(call of,SERVER_KEY))
endif
endif

server: PORT ?= 4200
server: ADDRESS ?= http://127.0.0.1:$(PORT)
server: ORIGINS = $(ADDRESS),http://127.0.0.1:$(PORT),http://localhost:$(PORT)
server: setup server-key ## Run a Prefect server on http://127.0.0.1:4200 until it is stopped (PORT: another)
	@echo The password for $(call quoted,$(ADDRESS)) is in $(call of,SERVER_KEY).
	PREFECT_SERVER_API_AUTH_STRING=$(READ_KEY) \
		PREFECT_SERVER_CORS_ALLOWED_ORIGINS=$(call quoted,$(ORIGINS)) \
		PREFECT_UI_URL=$(call quoted,$(ADDRESS)) PREFECT_SERVER_UI_API_URL=$(call quoted,$(ADDRESS)/api) \
		exec prefect server start --port $(call of,PORT) $(ARGS)

POOL ?= process
DEPLOYMENTS_process := nightly weekly
DEPLOYMENTS_docker := nightly-docker
SERVER_IS_KNOWN = python -c 'import sys, prefect.settings as s; s.PREFECT_API_URL.value() or \
	sys.exit("Say which server: PREFECT_API_URL=http://127.0.0.1:4200/api make $@")'
deploy: setup ## Put the schedule of prefect.yaml on the server of PREFECT_API_URL (POOL=docker: the one in containers)
	@$(SERVER_IS_KNOWN)
	prefect work-pool inspect digits-$(call of,POOL) >/dev/null 2>&1 || prefect work-pool create --type $(call of,POOL) digits-$(call of,POOL)
	prefect --no-prompt deploy $(addprefix --name ,$(DEPLOYMENTS_$(value POOL))) $(ARGS)
	python -m prefect_dvc strict pipeline/$(firstword $(DEPLOYMENTS_$(value POOL)))
	python -m flows.automations

worker: setup ## Run what is due, until it is stopped: in this folder, or with POOL=docker in containers
	@$(SERVER_IS_KNOWN)
	exec python -m flows.worker --pool digits-$(call of,POOL) --type $(call of,POOL) --limit 1 $(ARGS)

COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) --project-name digits
up: server-key ## Run server, worker and a first pipeline in containers of their own; http://127.0.0.1:4200 shows them
	docker image inspect digits:latest >/dev/null 2>&1 || $(MAKE) image
	PREFECT_API_AUTH_STRING=$(READ_KEY) $(COMPOSE) up --detach $(ARGS)

down: ## Stop them; what they have made stays (ARGS=--volumes removes that, too)
	PREFECT_API_AUTH_STRING=none $(COMPOSE) down $(ARGS)

# Tests often wait for servers and containers, so there may be more processes than cores.
WORKERS ?= 3
CHECKS = ruff check . && ruff format --check . && mypy --strict
# Where it is set, each process compiles this project anew.
test test-quick: export PYTHONDONTWRITEBYTECODE :=
test: setup ## Lint, format check, type check, tests
	$(CHECKS)
	pytest --numprocesses $(call of,WORKERS) $(ARGS)

# Each in an environment of its own, below .venv.
test-versions: setup ## Test prefect_dvc with the oldest and the newest DVC and Prefect that it allows (from the registry)
	for which in oldest newest; do \
		at=.venv/$$which; \
		$(PYTHON) -m venv $$at; \
		rm -rf $$at/package; cp -r prefect_dvc $$at/package; \
		$$at/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pytest pytest-xdist 'setuptools>=77' \
			kubernetes-validate prefect-kubernetes $$at/package --constraint prefect_dvc/tests/$$which.txt; \
		$$at/bin/python -m pip freeze | grep -E '^(dvc|prefect)=='; \
		PATH=$(CURDIR)/$$at/bin:$$PATH PYTHONPATH=$(CURDIR) $$at/bin/python -m pytest -c /dev/null --rootdir . \
			--import-mode importlib --numprocesses $(call of,WORKERS) prefect_dvc/tests $(ARGS) || exit; \
	done

# Which these are: tests/costly.py and tests/durations.py
test-quick: setup ## The same without what takes long: no server, container, browser, or run of the project
	$(CHECKS)
	pytest --numprocesses $(call of,WORKERS) -m 'not costly and not long' $(ARGS)

bench: setup ## Measure speed and memory as ratios within one run (ARGS="roofline jax": some parts; --short: what CI compares)
	.venv/bin/python -m benchmarks.bench $(ARGS)

bench-gpu: setup ## Likewise, one epoch on a CUDA GPU, and the tests that need one
	pytest -m gpu $(ARGS)
	.venv/bin/python -m benchmarks.bench gpu

endurance: setup ## Let a schedule be due 200 times on a server and a worker; say what grows (ARGS="--runs 1000")
	.venv/bin/python -m benchmarks.endurance $(ARGS)

profile: setup ## Show where the time of the step and of the whole job goes, in a browser: reports/profile (ARGS=step: that alone)
	.venv/bin/python -m benchmarks.profiling $(ARGS)

SWEEP ?= small
sweep: setup ## Try many values at once, on Ray (SWEEP=solvers: a file of sweeps/)
	.venv/bin/python -m flows.sweep $(call of,SWEEP) $(ARGS)

recipe-table: setup ## Repeat the runs behind the claims of recipes/ (ARGS="fast-mlp --seeds 1 2": some of them)
	.venv/bin/python -m benchmarks.recipes $(ARGS)

fuzz: setup ## Give what reads files and text a million changed inputs each (ARGS="idx onnx --runs 10000")
	.venv/bin/python -m tests.fuzz $(ARGS)

release-tools: setup $(RELEASE_TOOLS) ## Install what signs and audits

KEY ?= signing.key
FOLDER ?= models/release
sign: release-tools ## Sign a release with the key in signing.key, made by the first call (FOLDER=, KEY=: others)
	@test -e $(call of,KEY) || .venv/bin/python -m flows.signing --new $(call of,KEY)
	.venv/bin/python -m flows.signing $(call of,FOLDER) --key $(call of,KEY)

check-release: setup $(if $(value PUBLIC_KEY),release-tools) ## Find out whether a release is as it was published, and name what was changed (FOLDER=: another; PUBLIC_KEY=: whose; REBUILD=1: make it again)
	.venv/bin/python -m flows.check_release $(call of,FOLDER) $(if $(value PUBLIC_KEY),--public-key $(call of,PUBLIC_KEY)) $(if $(REBUILD),--rebuild) $(ARGS)

retention: setup ## Remove what nobody needs any more: results that no branch or experiment names, old images
	python -m flows.retention

# npm asks its registry; ADVISORIES is for a machine that reaches nobody.
NPM_LOCKS = $(patsubst %/package-lock.json,%,$(wildcard digits/runtimes/javascript/package-lock.json examples/*/package-lock.json \
	web/package-lock.json))
audit: release-tools ## Look up known vulnerabilities of all that is locked (SERVICE=osv; ADVISORIES=: a clone of PyPA's)
	.venv/bin/python container/audit.py $(if $(value SERVICE),--service $(call of,SERVICE)) $(if $(value ADVISORIES),--advisories $(call of,ADVISORIES)) $(ARGS)
	$(if $(value ADVISORIES),@echo 'npm has no such folder: not asked about $(NPM_LOCKS)',\
		for folder in $(NPM_LOCKS); do npm audit --package-lock-only --prefix "$$folder"; done)

sbom: setup ## Write what the image and the page carry to sbom.cdx.json (CycloneDX); fails where a version is not the locked one
	@$(call whole,.venv/bin/python container/sbom.py,sbom.cdx.json)

croissant: release-tools ## Describe the images of this workspace in Croissant's format: data/croissant.json
	.venv/bin/python -m flows.croissant

licenses: setup ## List the licences of what the image and the page carry in docs/licenses.md; fails where one is not accepted
	@$(call whole,.venv/bin/python container/licenses.py,docs/licenses.md)

format: setup ## Format the code and apply safe lint fixes
	ruff check --fix .
	ruff format .

clean: ## Remove what the pipeline and the tools made; data/raw, DVC's cache and .venv stay
	git clean -fdXq -- data/normalized models reports
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --quiet
CUDA_PACKAGES := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
# Where jsonschema finds this grammar of web addresses, every process with Prefect builds it: more than a second.
SLOW := lark rfc3987-syntax
names = $$(sed -nE 's/^([a-z0-9._-]+).*==.*/--no-emit-package \1/p' $(1))
lock: setup ## Resolve pyproject.toml into the lock files (ARGS=--upgrade: newer versions)
	$(COMPILE) $(ARGS) -o requirements.lock
	$(COMPILE) $(ARGS) --extra dev --constraints requirements.lock $(call names,requirements.lock) -o requirements-dev.lock
	$(COMPILE) $(ARGS) --extra openvino --extra opencv --constraints requirements.lock \
		$(call names,requirements.lock) -o requirements-runtimes.lock
	$(COMPILE) $(ARGS) --extra release --constraints requirements.lock --constraints requirements-dev.lock --no-emit-package pip \
		$(SLOW:%=--no-emit-package %) $(call names,requirements.lock) $(call names,requirements-dev.lock) -o requirements-release.lock
	$(COMPILE) --constraints requirements.lock \
		--excludes <(printf '%s\n' $(CUDA_PACKAGES) onnxruntime-gpu) \
		--overrides <(grep -o '^onnxruntime==[^ ]*' requirements.lock) \
		--no-emit-package torch --no-annotate -o requirements-cpu.lock
	python -m digits.common.versions requirements.lock requirements-runtimes.lock
	@! grep -E '^(cuda|nvidia|onnxruntime-gpu|triton)' requirements-cpu.lock || \
		{ echo 'requirements-cpu.lock: the packages above are for CUDA: add them to CUDA_PACKAGES.'; exit 1; }

# Run once per lock file. `.variant` says that the environment itself is whole; install.py sees to its packages.
$(INSTALLED): $(LOCK) requirements-dev.lock
	@test -n '$(LOCK)' || { echo VARIANT=$(call quoted,$(VARIANT)) is unknown: use default or cpu.; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
		{ echo 'Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is not one (choose with make PYTHON=…).'; exit 1; }
	$(if $(OFFER_CPU),@echo 'No NVIDIA GPU is here: `make setup VARIANT=cpu` downloads $(SIZE_cpu) instead.')
	@test "$$(cat .venv/.variant 2>/dev/null)" = $(VARIANT) || \
		{ $(PYTHON) -m venv --clear .venv; echo $(VARIANT) > .venv/.variant; }
	@echo 'Installing $(LOCK) and requirements-dev.lock into .venv: $(SIZE_$(VARIANT)), less what the cache has.'
	$(INSTALL) $(LOCK) requirements-dev.lock
	$(INSTALL_TORCH_$(VARIANT))
	@.venv/bin/python -m pip check
	@touch $@
# In a lock file of their own: neither a run nor the image needs them.
$(RELEASE_TOOLS): $(INSTALLED) requirements-release.lock
	$(INSTALL) requirements-release.lock
	@touch $@
INSTALLER ?= uv
INSTALL = .venv/bin/python install.py --with $(call of,INSTALLER)
SIZE_default = 3.6 GB to download on Linux
SIZE_cpu = about 600 MB
INSTALL_TORCH_cpu = $(INSTALL) --index-url $(call of,TORCH_CPU_INDEX) $(TORCH_CPU)
# Where nobody has chosen yet, and on Linux alone: elsewhere the lock file's markers leave CUDA out.
NVIDIA ?= $(wildcard /dev/nvidiactl /dev/dxg)
OFFER_CPU = $(if $(or $(filter-out file,$(origin VARIANT)),$(wildcard .venv/.variant),$(NVIDIA)),,$(wildcard /proc/version))
