# What a person does with this project; `make help` lists it.
# Everything is set up in the checkout, in .venv; uv is used where it is on PATH and is not required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements.lock
RELEASE := .venv-release
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' gateway/__init__.py)
REVISION = $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
# Many tests wait for processes and clocks: two at a time take little more than half as long, on two cores as well.
IN_PARALLEL := -n 2 --dist loadfile

.PHONY: help setup run test lint check format sdl released explorer bench image sbom lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## Install everything into .venv

# A lock is complete: nothing is resolved (--no-deps). pip would look for `coverage[toml]` anew, and refuse the newer one.
$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv (about a minute)…"
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $(LOCK); \
	else \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $(LOCK); \
	fi
	@$(BIN)/python -c "import pathlib, sysconfig; \
		pathlib.Path(sysconfig.get_path('purelib'), 'blue-faas-gateway.pth').write_text('$(CURDIR)\n')"
	@printf '#!/bin/sh\nexec "$(CURDIR)/$(BIN)/python" -P -m gateway "$$@"\n' > $(BIN)/blue-gateway && chmod +x $(BIN)/blue-gateway
	@touch $@

run: setup ## Start the whole platform on this machine (ARGS="--port 9000 --runner python …")
	@exec $(BIN)/python -m gateway local $(ARGS)

test: setup ## Run the tests that need Python alone
	$(BIN)/python -m pytest -q -m "not ci" $(IN_PARALLEL) $(ARGS)

lint: setup ## Format, lint, types, import contracts, and whether the printed schema is current
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python -m gateway schema | diff -u schema/schema.graphql - || { echo "schema/schema.graphql is not current: make sdl"; exit 1; }

check: lint ## Everything a change has to pass: lint, and the tests with branch coverage
	$(BIN)/python -m pytest -q -m "not ci" $(IN_PARALLEL) --cov --cov-report=term:skip-covered $(ARGS)

format: setup ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

sdl: setup ## Print the schema into schema/schema.graphql
	$(BIN)/python -m gateway schema > schema/schema.graphql

released: setup ## When the version is raised: keep the schema that goes out with it, which later ones are compared with
	@{ echo "# $$($(BIN)/python -m gateway --version) as it was released (make released)"; \
		$(BIN)/python -m gateway schema; } > tests/schema/released.graphql

explorer: ## Build the explorer's assets from gateway/web/explorer (needs Node 20)
	cd gateway/web/explorer && npm ci --ignore-scripts && npm run build

bench: setup ## Measure what the README says
	$(BIN)/python -m benchmarks $(ARGS)

image: ## Build the container image (needs Docker; TAG=… names it)
	docker build --pull --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
		--tag $(or $(TAG),blue-gateway:$(VERSION)) .

sbom: setup $(RELEASE)/.installed ## Write dist/sbom.cdx.json: what the image is made of, in CycloneDX
	$(RELEASE)/bin/python -m release.sbom --out dist/sbom.cdx.json \
		--packages "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

$(RELEASE)/.installed: release/tools.lock
	$(PYTHON) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header --quiet

lock: ## Resolve the dependencies again (needs uv)
	$(COMPILE) pyproject.toml --extra local --group dev --upgrade -o $(LOCK)
	$(COMPILE) pyproject.toml --constraint $(LOCK) --upgrade -o release/runtime.lock
	$(COMPILE) --group build --upgrade -o release/build.lock
	$(COMPILE) --group release --upgrade -o release/tools.lock
	$(COMPILE) tests/helm/requirements.in --upgrade -o tests/helm/requirements.lock

clean: ## Remove what was set up and built, but not .blue, the local platform's data
	rm -rf $(VENV) $(RELEASE) .venv-helm .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov build dist
