# SPDX-License-Identifier: Apache-2.0
# Everything runs in .venv, which `make setup` builds once.

PYTHON ?= python3
CONFIG ?= demo
SEED   ?= 1
JOBS   ?= 2

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.stamp
FPGA  := $(VENV)/.stamp-fpga
CODE  := hw sw sim fpga tests
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/gcnloom

# $(call stage,title,command): a header, the command, its time; stops at the first failure.
define stage
	@printf '== %s\n' '$(1)'; begin=$$(date +%s); $(2); \
	code=$$?; printf '== %s: %s, %s s\n' '$(1)' \
	"$$([ $$code -eq 0 ] && echo ok || echo "failed ($$code)")" "$$(($$(date +%s) - begin))"; \
	exit $$code
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench synth clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 8

setup: $(STAMP)  ## build .venv with everything that tests and simulation need

demo: setup  ## train a GCN on the digits through simulated hardware
	@$(BIN)/gcnloom train --data digits --device rtl --config demo --hidden 16 --epochs 100 \
	  --seed 0 --report --checkpoint build/demo/checkpoint.npz --force \
	  --json build/demo/result.json

test: lint  ## lint, types, then all tests
	$(call stage,types,$(BIN)/mypy)
	$(call stage,tests,$(BIN)/python -m pytest -n $(JOBS))

lint: setup  ## style and format
	$(call stage,style,$(BIN)/ruff check $(CODE))
	$(call stage,format,$(BIN)/ruff format --check $(CODE))

bench: setup  ## simulated cycles a second of CONFIG (demo)
	$(call stage,bench $(CONFIG),$(BIN)/python -m gcnloom_sim.measure speed --config $(CONFIG))

synth: $(FPGA)  ## place and route CONFIG (demo) for an ECP5 with SEED (1); report in build/
	$(call stage,route $(CONFIG),$(BIN)/python -m gcnloom_fpga route $(CONFIG) --seed $(SEED) \
	  -o build/$(CONFIG)-$(SEED))

clean:  ## remove reports and cached builds; .venv stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache $(CACHE)
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "gcnloom needs Python 3.11 or later; try: make setup PYTHON=python3.11" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(call stage,setup,$(BIN)/python -m pip install --quiet -e '.[test]')
	@touch $@

$(FPGA): $(STAMP)
	$(call stage,setup fpga,$(BIN)/python -m pip install --quiet -e '.[fpga]')
	@touch $@
