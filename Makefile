# make report: the paper. make test: the tests. Each makes .venv from the lock first; nothing else needs typing.
PYTHON ?= python3
VENV   := .venv
PIP    := $(VENV)/bin/python -m pip install --disable-pip-version-check --no-input

.PHONY: report test docs lock clean
# A venv that was begun and failed, as on Debian without python3-venv, is none the next time either.
.DELETE_ON_ERROR:

report: $(VENV)/report.installed
	$(VENV)/bin/python build.py

test: $(VENV)/test.installed
	$(VENV)/bin/python -m pytest

docs: $(VENV)/test.installed
	$(VENV)/bin/python docs/generate.py
	$(VENV)/bin/python -m mkdocs build --strict -f docs/mkdocs.yml

# The light half: tables, verdicts, figures, the report. No torch.
$(VENV)/report.installed: requirements-report.lock | $(VENV)/bin/python
	$(PIP) -r requirements-report.lock
	@touch $@

# All of it: training, notebooks, tests. On Linux torch brings the CUDA libraries, 6 GB on disk.
$(VENV)/test.installed: requirements.lock | $(VENV)/bin/python
	$(PIP) -r requirements.lock
	@touch $@ $(VENV)/report.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("%s is Python %s; 3.11 or newer is needed: make PYTHON=python3.12" % (sys.executable, sys.version.split()[0]))'
	$(PYTHON) -m venv $(VENV)

# The locks from pyproject.toml, the small ones held to the versions of the large one.
lock:
	uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --upgrade --output-file requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --constraint requirements.lock --output-file requirements-report.lock
	uv pip compile pyproject.toml --extra docs --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --constraint requirements.lock --output-file docs/requirements.lock

clean:
	$(VENV)/bin/python build.py clean
