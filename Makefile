# Needs Python 3.11+ and make; everything else comes with `make setup`, into .venv and .lockstep.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
# What `make test-long` takes its tests from.
LONG   ?= tests/long tests/line
# Test processes side by side, each with a broker of its own.
JOBS   ?= 2
# Chosen so that together they draw as many kinds of fault as five can.
SEEDS  ?= 89,37,2,106,1

.PHONY: setup demo test test-long check format faults bench clean

setup: $(STAMP)

# The lock file carries hashes, so pip refuses anything else than what was reviewed.
$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Lockstep needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.11 and try again.")'
	@test -x $(BIN)/python || { echo "setup: creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing the locked dependencies"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/lockstep --version
	@# The broker's jars, once: everything after this works without a network. Not needed with a Kafka of your own.
	@$(BIN)/python -c 'from streams.kafka_runtime import resolve; resolve(progress=lambda line: print("setup:", line))' || \
		echo "setup: the embedded broker's jars are still missing; they are fetched when it is first started"
	@touch $@

demo: $(STAMP)
	@$(BIN)/lockstep demo $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder $(ARGS)

# -s: a long run says what it measured.
test-long: $(STAMP)
	@$(BIN)/python -m pytest $(LONG) -m long -s $(ARGS)

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# What needs minutes of a broken Kafka, then five drills of a minute each; `lockstep drill --help` for others.
faults: $(STAMP)
	@$(BIN)/python -m pytest -m faults tests/kafka tests/faults
	@$(BIN)/lockstep drill --seeds $(SEEDS) --minutes 1 $(ARGS)

bench: $(STAMP)
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) .lockstep .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
