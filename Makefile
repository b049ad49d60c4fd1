# `make` alone says what there is. Everything goes through scripts/bootstrap, which installs what
# is missing the first time and costs nothing afterwards.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON := .venv/bin/python
UV = $(or $(shell command -v uv),.venv/uv/bin/uv)
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml
.PHONY: help demo test bench lint format lock stop clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

demo: ## install what is missing and run the demonstration city at http://127.0.0.1:8000
	@scripts/bootstrap run
	@exec $(PYTHON) main.py demo

test: ## run the tests
	@scripts/bootstrap dev
	@exec $(PYTHON) -m pytest

bench: ## measure the speed and print it as ratios
	@scripts/bootstrap dev
	@exec $(PYTHON) -m tests.bench

lint: ## check style and types
	@scripts/bootstrap dev
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

format: ## lay out the code
	@scripts/bootstrap dev
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

lock: ## pin the newest packages that pyproject.toml allows
	@scripts/bootstrap dev
	@command -v $(UV) >/dev/null || $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .venv/uv uv
	@$(COMPILE) --upgrade -o requirements.lock
	@$(COMPILE) --upgrade --group dev -c requirements.lock -o requirements-dev.lock

stop: ## stop the private PostgreSQL
	@[ ! -x $(PYTHON) ] || exec $(PYTHON) main.py stop

clean: stop ## remove what was installed and built here; the database in .wangge stays
	@rm -rf .venv web/node_modules .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
