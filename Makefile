# Every target sets up .venv the first time. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where torch comes from: empty = the usual package index. To force a CPU or CUDA build: make TORCH_INDEX=URL demo
TORCH_INDEX ?=
# Real data, when a data folder lies beside the checkout; without it everything runs on the generated world.
ifndef HIREGRAPH_DATA
HIREGRAPH_DATA := $(abspath $(firstword $(wildcard ../data ../shared/data)))
endif
ifneq ($(strip $(HIREGRAPH_DATA)),)
export HIREGRAPH_DATA
endif
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help install demo test test-long check format bench bench-gpu serve clean

help:
	@echo "make demo       the main job, end to end; prints the result table, writes out/demo/report.{json,html}"
	@echo "make serve      the API on 127.0.0.1:8080 with the demo's artefacts"
	@echo "make check      format, lint, types, import directions, fast tests (under two minutes)"
	@echo "make test       everything CI runs"
	@echo "make test-long  the slow tests as well"
	@echo "make bench      all side-by-side benchmarks, several hours; make bench-graph (index, ...) one of them;"
	@echo "                make bench-gpu the CUDA part"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "torch==2.13.0" -c constraints.txt
	$(BIN)/pip install --quiet --editable ".[dev]" -c constraints.txt
	touch $@

demo: install
	$(BIN)/hiregraph demo

serve: install
	$(BIN)/hiregraph serve

test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow and not gpu and not browser"

test-long: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not gpu and not browser"

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -x -m "not slow and not gpu and not postgres and not browser and not journey" \
		--ignore=tests/bench --ignore=tests/hiregraph --ignore=tests/contracts --ignore=tests/gpu_index/cuda \
		--ignore=tests/sim --ignore=tests/gpu_index/test_index_state_machine.py \
		--ignore=tests/targeting/storage/test_ledger_under_stress.py --ignore=tests/targeting/storage/test_cap_races.py \
		--ignore=tests/targeting/storage/test_power_loss.py --ignore=tests/targeting/http/test_openapi_document.py

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.peers
	$(BIN)/hiregraph bench

bench-gpu: install
	$(BIN)/hiregraph bench --gpu

# The peers of the index benchmarks (FAISS, roaring bitmaps, tantivy); without them their columns say "not measured".
$(VENV)/.peers: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable ".[bench]" -c constraints.txt
	touch $@

# All tables of the index
bench-index: $(VENV)/.peers
	$(BIN)/hiregraph bench index index_single index_clauses index_live index_tighter index_memory index_boosts index_growth

# One table: make bench-graph, bench-link_mining, ... (the names are in bench/run.py)
bench-%: install
	$(BIN)/hiregraph bench $*

clean:
	rm -rf out .cache
