# make live    put a host on air          make check   format, lint, types, import contract, unit tests: about a minute
# make setup   only install               make test    everything CI runs
# make bench   the figures of docs/performance.md        make coverage   make test, and the lines it covers
# make setup-torch       install with the packages of the neural engines (several GB; `studio weights` gets their checkpoints)
# make live LIVEKIT=1    also publish it to a LiveKit server, the studio's own unless LIVEKIT_URL names one
SHELL := /bin/bash
STUDIO := .venv/bin/studio
PYTHON := .venv/bin/python
# What the tests need from the system: a browser, speech with known phonemes, and the sources of a locale.
TEST_PACKAGES := chromium fonts-dejavu-core espeak-ng libespeak-ng1 espeak-ng-data locales

.PHONY: live setup setup-dev setup-torch test coverage check static unit format bench lock clean

live: .venv/.installed
	$(if $(LIVEKIT),$(if $(LIVEKIT_URL),,deploy/livekit.sh))
	$(STUDIO) live $(if $(LIVEKIT),--livekit) $(ARGS)

setup: .venv/.installed
	$(STUDIO) setup

setup-dev: .venv/.installed-dev

setup-torch: .venv/.installed-torch

test: .venv/.installed-test
	-deploy/livekit.sh
	-deploy/s3.sh
	tests/run.sh $(PYTHON) $(ARGS)

coverage:
	COVERAGE=1 $(MAKE) test

# The unit tests run beside mypy, on one core each. `make test` also runs them, with all other tests.
check: .venv/.installed-dev
	+$(MAKE) --jobs 2 --output-sync=target static unit

# mypy's cache outlives the clone: on a new clone of a known tree it takes 9 s of processor time instead of 36.
static: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-cache --no-logo
	$(PYTHON) tests/words.py
	.venv/bin/mypy --cache-dir "$${PERSONA_STUDIO_CACHE:-$$HOME/.cache/persona-studio}/mypy"
	deploy/typescript.sh

unit: .venv/.installed-dev
	$(PYTHON) -m pytest -m unit

format: .venv/.installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.installed-dev
	$(STUDIO) bench $(ARGS)

# Versions and hashes of everything, from pyproject.toml. Torch requires a GPU's libraries; the tests' lock leaves out
# those that a machine without a GPU does not need.
LOCK := uv pip compile --universal --python-version 3.11 pyproject.toml --no-emit-index-url --generate-hashes --no-header -q
lock:
	$(LOCK) -o requirements.lock
	$(LOCK) -o requirements-farm.lock --extra s3 --extra flower
	$(LOCK) -o requirements-dev.lock --extra dev --extra s3 --extra flower
	$(LOCK) -o requirements-torch.lock --extra torch --extra diffusion
	cp requirements-torch.lock requirements-gpu.lock
	$(LOCK) -o requirements-gpu.lock --extra s3 --extra torch --extra diffusion --extra xformers
	cat requirements-dev.lock requirements-torch.lock > requirements-test.lock  # the same versions in all of them
	$(LOCK) -o requirements-test.lock --extra dev --extra s3 --extra flower --extra torch --extra diffusion \
		--excludes deploy/torch-on-a-cpu.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/.installed: requirements.lock pyproject.toml deploy/setup.sh deploy/python.sh
	deploy/setup.sh requirements.lock
	touch $@

.venv/.installed-dev: requirements-dev.lock pyproject.toml deploy/setup.sh deploy/python.sh
	deploy/setup.sh requirements-dev.lock $(TEST_PACKAGES)
	touch $@ .venv/.installed

.venv/.installed-torch: requirements-torch.lock pyproject.toml deploy/setup.sh deploy/python.sh
	deploy/setup.sh requirements-torch.lock
	touch $@ .venv/.installed

# A module is compiled when a test imports it (tests/run.sh); most of these gigabytes are never imported.
.venv/.installed-test: requirements-test.lock pyproject.toml deploy/setup.sh deploy/python.sh
	PIP_COMPILE=0 deploy/setup.sh requirements-test.lock $(TEST_PACKAGES)
	touch $@ .venv/.installed-dev .venv/.installed
