# make live    put a host on air          make test    everything CI runs
# make setup   only install               make bench   the figures in the README
# make live LIVEKIT=1    and publish it to a LiveKit server, its own unless LIVEKIT_URL names one
SHELL := /bin/bash
STUDIO := .venv/bin/studio
PYTHON := .venv/bin/python
# What OpenCV's wheel needs from the system, and what the tests need: a browser, and speech with known phonemes.
PACKAGES := libgl1 libglib2.0-0
TEST_PACKAGES := chromium fonts-dejavu-core libespeak-ng1 espeak-ng-data

.PHONY: live setup setup-dev test check format bench lock clean

live: .venv/.installed
	$(if $(LIVEKIT),$(if $(LIVEKIT_URL),,deploy/livekit.sh))
	$(STUDIO) live $(if $(LIVEKIT),--livekit) $(ARGS)

setup: .venv/.installed
	$(STUDIO) setup

setup-dev: .venv/.installed-dev

test: .venv/.installed-dev check
	-deploy/livekit.sh
	$(PYTHON) -m pytest $(ARGS)

check: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: .venv/.installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: .venv/.installed-dev
	$(STUDIO) bench $(ARGS)

# Versions and hashes of everything, from pyproject.toml.
lock:
	uv pip compile --universal --python-version 3.11 pyproject.toml -o requirements.lock --no-emit-index-url --generate-hashes --no-header -q
	uv pip compile --universal --python-version 3.11 pyproject.toml --extra dev --extra s3 --extra flower -o requirements-dev.lock --no-emit-index-url --generate-hashes --no-header -q

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/.installed: requirements.lock pyproject.toml deploy/setup.sh
	deploy/setup.sh requirements.lock $(PACKAGES)
	touch $@

.venv/.installed-dev: requirements-dev.lock pyproject.toml deploy/setup.sh
	deploy/setup.sh requirements-dev.lock $(PACKAGES) $(TEST_PACKAGES)
	touch $@ .venv/.installed
