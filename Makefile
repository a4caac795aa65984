# Everything a clone needs is made by make: `make run`, `make test`. Nothing is written outside this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Tried in this order; the first that is 3.11 or newer is taken.
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python

VENV := .venv
BIN := $(VENV)/bin
# CI gives one that runs what failed once more.
PYTEST := $(BIN)/pytest
# Lists what was installed. An environment that is a link is somebody's own and left as it is.
SETUP := $(if $(shell test -L $(VENV) && echo link),,$(VENV)/.set-up)
# Scripts of an environment name the folder it was made in, so one that was moved or copied has to be made anew.
STATE := $(shell [ "$$(cat $(VENV)/.place 2>/dev/null)" = "$(CURDIR)" ] || { echo moved; exit; }; \
  [ ! -e "$(VENV)/.set-up" ] || while read -r each; do [ -e "$(VENV)/$$each" ] || { echo damaged; exit; }; \
  done < "$(VENV)/.set-up"; echo whole)

export UV_CACHE_DIR := $(CURDIR)/$(VENV)/uv-cache
export PIP_CACHE_DIR := $(CURDIR)/$(VENV)/pip-cache
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
# One thread per process: small networks are slower with more, and results are reproducible.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
unexport PYTHONPATH PYTHONHOME

# etcd and kube-apiserver for the tests that need a real API server: yours, or what `make control-plane` built.
CONTROL_PLANE := $(CURDIR)/.control-plane
ifneq ($(wildcard $(CONTROL_PLANE)/kube-apiserver),)
export KUBEBUILDER_ASSETS ?= $(CONTROL_PLANE)
endif

# prometheus and promtool for the tests of alerts and dashboard, likewise.
PROMETHEUS := $(CURDIR)/.prometheus
ifneq ($(wildcard $(PROMETHEUS)/promtool),)
export PROMETHEUS_ASSETS ?= $(PROMETHEUS)
endif

CRD := helm/rl-platform/files/trainingjobs.rlplatform.io.yaml

.PHONY: help setup run test test-ray test-long test-crash-nightly test-planted-bugs control-plane test-cluster e2e e2e-readme e2e-soak test-learning check lint style types layers reports crd chart docs prometheus wheel constraints clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /make \1\t/' | expand -t 22

setup: $(SETUP)

ifneq ($(STATE),whole)
.PHONY: $(SETUP)
endif
ifneq ($(SETUP),)
$(SETUP): pyproject.toml constraints.txt
	@rm -f $@
	@new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if [ $(STATE) != whole ] || ! $(BIN)/python -c "$$new_enough" 2>/dev/null || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  found=; python=; \
	  for each in $(PYTHONS); do \
	    command -v $$each >/dev/null 2>&1 || continue; \
	    if $$each -c "$$new_enough" 2>/dev/null; then python=$$each; break; fi; \
	    found="$$found $$each is $$($$each --version 2>&1 | head -n 1);"; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "error: rl-platform needs Python 3.11 or newer; found:$${found:- no python at all}" \
	      "install one, or name it with: make PYTHON=/path/to/python3.11 ..." >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up $(VENV) with $$($$python --version) (once; some minutes and about 6 GB, most of it PyTorch)"; \
	  [ ! -d $(VENV) ] || find $(VENV) -mindepth 1 -maxdepth 1 ! -name '*-cache' -exec rm -rf {} +; \
	  $$python -m venv $(VENV); \
	  echo "$(CURDIR)" > $(VENV)/.place; \
	fi
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --constraint constraints.txt --group dev --editable '.[train,operator,ray]'
	@cd $(VENV) && printf '%s\n' bin/* lib/python*/site-packages/[!_]* > .set-up
endif

run: $(SETUP) ## train PPO on CartPole-v1 from helm/examples/cartpole-ppo.yaml
	@$(BIN)/rlp run helm/examples/cartpole-ppo.yaml --overwrite

test: $(SETUP) ## every check and every quick test
	@failed=0; \
	$(MAKE) --no-print-directory --keep-going lint || failed=1; \
	$(PYTEST) -n 2 --dist loadfile --durations 15 \
	  -m "not ray and not long and not learning and not soak and not cluster and not e2e" || failed=1; \
	exit $$failed

test-ray: $(SETUP) ## rollout workers, replay and learners as real Ray processes, killed and resized
	@$(PYTEST) -n 2 --dist loadfile --durations 15 -m "ray and not learning and not soak"

test-long: $(SETUP) ## whole runs: from a wheel, to an object store, with servers that go away, as the README says
	@$(PYTEST) -n 2 --dist loadfile --durations 15 -m "long and not ray"

control-plane: $(CONTROL_PLANE)/etcd $(CONTROL_PLANE)/kube-apiserver ## build etcd and kube-apiserver for the tests (needs Go 1.26)

$(CONTROL_PLANE)/etcd: tests/apiserver/control-plane/etcd/go.sum
	@tests/apiserver/control-plane/build $@ go.etcd.io/etcd/server/v3

$(CONTROL_PLANE)/kube-apiserver: tests/apiserver/control-plane/apiserver/go.sum
	@tests/apiserver/control-plane/build $@ k8s.io/kubernetes/cmd/kube-apiserver

prometheus: $(PROMETHEUS)/prometheus $(PROMETHEUS)/promtool ## build prometheus and promtool for the tests (needs Go 1.26)

$(PROMETHEUS)/%: tests/helm/prometheus/go.sum
	@tests/apiserver/control-plane/build $@ github.com/prometheus/prometheus/cmd/$* $(CURDIR)/tests/helm/prometheus

test-cluster: $(SETUP) ## on the cluster that KUBECONFIG names, with KubeRay and the training image RLP_TEST_IMAGE
	@$(PYTEST) -m cluster tests/cluster

e2e: $(SETUP) ## from helm install to a served model, and faults, on the cluster that KUBECONFIG names
	@$(PYTEST) -m e2e -s $(or $(TESTS),tests/e2e --ignore tests/e2e/test_readme.py)

e2e-readme: $(SETUP) ## the README's commands for a cluster, on one that has no TrainingJob
	@$(PYTEST) -m e2e -s tests/e2e/test_readme.py

e2e-soak: $(SETUP) ## the same faults for 30 minutes: pods of driver and operator deleted at random
	@RLP_E2E_FAULT_SECONDS=1800 $(PYTEST) -m e2e -s tests/e2e/test_pods_deleted_at_random.py

test-crash-nightly: $(SETUP) ## the crash tests with hundreds of faults of each class (an hour)
	@RLP_FAULT_RUNS=400 $(BIN)/pytest -n 2 --timeout 3600 tests/simulation

test-planted-bugs: $(SETUP) ## plant bugs in a copy of the operator and see the tests notice
	@$(BIN)/python -m tests.simulation.planted_bugs

test-learning: $(SETUP) ## train to the published scores, with several seeds each
	@$(BIN)/pytest -m learning

check: $(SETUP) ## the checks alone: style, types, layers, dead and duplicate code, sizes, contracts
	@$(MAKE) --no-print-directory --keep-going lint
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/contracts -m "not learning and not soak and not slow and not long"

lint: style types layers reports

style: $(SETUP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted as ruff does: run $(BIN)/ruff format ." >&2; exit 1; }

types: $(SETUP)
	@$(BIN)/mypy
	@$(BIN)/mypy --explicit-package-bases helm/authoring helm/rl-platform/files docs

layers: $(SETUP)
	@$(BIN)/lint-imports --no-logo

reports: $(SETUP)
	@failed=0; \
	for each in sizes duplicates dead_code; do $(BIN)/python -m tests.contracts.$$each || failed=1; done; \
	exit $$failed

crd: $(SETUP) ## renew the CustomResourceDefinition in the chart from the models
	@mkdir -p $(dir $(CRD))
	@$(BIN)/rlp schema --crd > $(CRD).new && mv $(CRD).new $(CRD)

chart: crd ## renew what is made in the chart: values, their schema and table, the operator's roles
	@$(BIN)/python -m helm.authoring.write

docs: $(SETUP) ## renew docs/trainingjob.md from the models
	@$(BIN)/python -m docs.reference

wheel: $(SETUP) ## build dist/*.whl
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

constraints: $(SETUP) ## renew the pinned versions in constraints.txt
	@$(BIN)/uv pip compile pyproject.toml --extra train --extra operator --extra ray --group dev --universal --python-version 3.11 \
	  --no-annotate --no-header --upgrade --quiet --output-file constraints.txt

include benchmarks/benchmark.mk

clean: ## remove what make made: .venv, caches, runs/ is kept
	@rm -rf $(VENV) .venv-* .control-plane .prometheus build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
