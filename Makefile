# Two commands for a fresh clone, without root: `make walk` and `make test`. A third one, `make faults`,
# runs the long fault injections that `make test` leaves out, and `make test-browser` looks at the
# page of the viewer in a real browser. `make docs` builds the documentation site, `make test-docs` does
# what its pages say, `make dist` builds what is released, and `make test-lowest` tests with the oldest
# libraries that setup.py allows.

PYTHON ?= python3
VENV ?= .venv
# What pip is told to install as torch. PyPI's build brings CUDA along, gigabytes of it; the CPU build
# is enough for the tests: make test TORCH='torch --index-url https://download.pytorch.org/whl/cpu'
TORCH ?= torch==2.13.0
ARGS ?=
# Who walks: make walk ROBOT=hopper
ROBOT ?= walker2d
# Tests that run at a time, each file in one process, in the order of test/conftest.py.
WORKERS ?= 3
FAST = -m 'not slow and not browser' -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Tests of what README and pages say, and of the examples.
PAGES = test/docs test/tutorials
# The oldest Python has wheels of the oldest libraries; newer ones do not.
LOWEST_PYTHON ?= python3.10
LOWEST = .venv-lowest
# What runs on a robot and on the computer beside it, and one short training.
LOWEST_TESTS ?= test/facts test/planning test/sim test/data test/learning/test_export.py \
	test/nodes/test_planner_node.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: walk test lint test-docs test-browser test-lowest faults docs dist clean

walk: $(VENV)/.walk
	$(VENV)/bin/diffusion_planner walk --robot $(ROBOT) $(ARGS)

test: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/python -m pytest $(FAST) $(addprefix --ignore=,$(PAGES)) $(ARGS)

test-docs: $(VENV)/.test
	$(VENV)/bin/python -m pytest $(FAST) $(PAGES) $(ARGS)

# What ROS's linters check, and types; `make test` runs ruff alone.
lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/flake8
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest test/package/test_linters.py

# The page of the viewer in a real browser; skipped, with the reason, where there is none.
test-browser: $(VENV)/.test
	$(VENV)/bin/pip install --quiet --editable '.[browser]'
	$(VENV)/bin/python test/support/browser/get_chromium.py
	$(VENV)/bin/python -m pytest -m browser -rs $(ARGS)

faults: $(VENV)/.test
	$(VENV)/bin/python -m pytest -m 'slow and not browser' $(ARGS)

# The site, in build/docs; a warning is an error, and so is a link that leads nowhere.
docs: $(VENV)/.docs
	$(VENV)/bin/python -m sphinx -W --keep-going -q docs build/docs $(ARGS)
	@echo "open $(CURDIR)/build/docs/index.html"

test-lowest: $(LOWEST)/.test
	$(LOWEST)/bin/python -m pytest $(FAST) $(LOWEST_TESTS) $(ARGS)

# The archive first, and the wheel from it, in environments of pip's own: nothing of an earlier build
# comes along.
dist: $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet build
	$(VENV)/bin/python -m build --outdir dist .

# A stamp file says that the environment holds what a target needs. The package is installed in
# place, so that the tests and the walk run the checkout.
$(VENV)/.walk: setup.py pyproject.toml | $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet --editable '.[sim,ros,view]'
	touch $@

$(VENV)/.test: $(VENV)/.walk
	$(VENV)/bin/pip install --quiet $(TORCH)
	$(VENV)/bin/pip install --quiet --editable '.[sim,ros,view,train,test]'
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(VENV)/bin/pip install --quiet --editable '.[lint]'
	touch $@

$(VENV)/.docs: $(VENV)/.test
	$(VENV)/bin/pip install --quiet --editable '.[docs]'
	touch $@

# What is installed stays: the last line adds the tools of the tests, which may be new.
$(LOWEST)/.test: setup.py pyproject.toml
	$(LOWEST_PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct \
		--editable '.[sim,ros,view,train,compare,mcap,recordings]' $(TORCH)
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST) --editable '.[test]'
	touch $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else f"Python {v[0]}.{v[1]} found, expected 3.10 to 3.13; name one with make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip  # that of Python 3.10 searched for 10 minutes

clean:
	rm -rf $(VENV) $(LOWEST) build dist install log walk soak diagnosis *.egg-info
