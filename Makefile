# make demo   the whole walk on this machine        make test   every test (a missing part is a named skip)
# make setup  only .venv, from hashed requirements  make check  format, lint, types, imports
# make fuzz   the keystore parsers, MINUTES=10    make chaos  kill -9 and worse, KILLS=1000 or MINUTES=10
.PHONY: demo setup dev check test fuzz chaos clean
.DEFAULT_GOAL := demo

PYTHON ?= python3
RUN := .venv/.run.stamp
DEV := .venv/.dev.stamp

demo: $(RUN)
	@.venv/bin/openmid demo $(DEMO)

setup: $(RUN)

dev: $(DEV)

$(RUN): requirements/run.txt pyproject.toml scripts/need
	@scripts/need $(PYTHON)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

check: $(DEV)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Three on two cores: many tests wait for processes of theirs.
test: $(DEV)
	.venv/bin/pytest -n 3 --dist loadgroup $(TEST)

fuzz:
	fuzz/run $(or $(MINUTES),10)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache

chaos: $(DEV)
	.venv/bin/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(KILLS),--kills $(KILLS)) $(CHAOS)
