# Two commands for a newcomer: `make demo` shows a run being taken, `make test` runs every test.
# Both make their own virtual environment first; neither needs anything but python3, git and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-test
KEEP ?=
ARGUMENTS ?=
WORKERS ?= 3
SECONDS_OF_FUZZ ?= 600
REQUESTS_BY_CHANCE ?= 1000
EXECUTOR ?= dist/aliecs-executor

.PHONY: demo test test-tools lint types unit fuzz bench executor protocol clean

demo: $(STAMP)
	@KEEP=$(KEEP) $(BIN)/python -m aliecs.cli.demo

test: $(TEST_STAMP) test-tools
	@$(MAKE) --no-print-directory lint types unit

# Servers that tests talk to, fetched once into a folder of the user's. What cannot be had is said.
test-tools: $(TEST_STAMP)
	@$(BIN)/python -m test.tools

lint: $(TEST_STAMP)
	$(BIN)/ruff check aliecs bench docs test twisted

types: $(TEST_STAMP)
	$(BIN)/mypy

# Most tests from end to end wait for processes: several files at a time take half as long. Those of
# one file stay together, since they share what it starts.
unit: $(TEST_STAMP)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGUMENTS)

# Texts made by chance against everything that reads texts; what is found comes with its seed.
fuzz: $(TEST_STAMP)
	$(BIN)/python -m test.fuzz --seconds $(SECONDS_OF_FUZZ)
	ALIECS_REQUESTS_BY_CHANCE=$(REQUESTS_BY_CHANCE) \
		$(BIN)/python -m pytest test/end_to_end/test_rest_by_chance.py \
		test/end_to_end/test_grpc_by_chance.py

# The editable install in its "compat" form: the plain one hides the twistd plugin.
$(STAMP): setup.cfg pyproject.toml
	@echo "Installing AliECS into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		--config-settings editable_mode=compat --editable .
	@touch $@

$(TEST_STAMP): $(STAMP)
	@echo "Installing the test tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off \
		--config-settings editable_mode=compat --editable ".[test]"
	@touch $@

# What many environments in one core leave behind; what tasks cost, simulated ones and real ones, in
# the core and in an executor; what placement, loading, configuration and expressions cost, what
# events do with Kafka, and what many clients cost.
bench: $(TEST_STAMP) test-tools
	$(BIN)/python -m bench.twenty_environments
	$(BIN)/python -m bench.large_environment --tasks 1000
	$(BIN)/python -m bench.large_environment --tasks 10000
	$(BIN)/python -m bench.large_environment --tasks 100000
	$(BIN)/python -m bench.placement
	$(BIN)/python -m bench.real_tasks
	$(BIN)/python -m bench.real_tasks --mesos
	$(BIN)/python -m bench.executor
	$(BIN)/python bench/loading.py
	$(BIN)/python bench/configuration.py
	$(BIN)/python -m bench.expressions
	$(BIN)/python -m bench.kafka
	$(BIN)/python -m bench.subscribers

# The executor as one file, for agents that fetch it: it needs nothing but Python on its host, the
# same version as here.
executor: $(TEST_STAMP)
	@rm -rf build  # what an earlier build has left there would come along
	@mkdir -p $(dir $(EXECUTOR))
	@$(BIN)/python -m shiv --quiet --disable-pip-version-check --compressed \
		--python "/usr/bin/env python$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
		--console-script aliecs-executor --output-file $(EXECUTOR) .
	@rm -rf build
	@echo "$(EXECUTOR) is made."

# Only after a change of a .proto file; what it generates is committed.
protocol: $(TEST_STAMP)
	$(BIN)/python -m aliecs.protocol.generate

clean:
	rm -rf $(VENV) build dist *.egg-info
