# make report   a real incident on a real PostgreSQL, investigated; prints the path of the HTML report
# make test     every check: linters, types, layers, tests
# make quick    the tests without the slow ones
# make lint     the linters, types and layers alone
# make bench    the benchmarks beside their peers, ten to fifteen minutes; SIZES=1k,10k and TOPICS="start catalog" choose a part
# make pictures the README's pictures, taken anew from a real report
# make clean    removes .venv, caches and build leftovers; keeps reports/
#
# Any of them makes .venv first when it is missing or older than what it is made from.
# PYTHON=/path/to/python chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := scratch,lab,demo,pdf,publish,notify,dev
OLD_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: pictures report test quick lint bench clean
.DEFAULT_GOAL := report

report: $(STAMP)
	@$(BIN)/rcakit demo

# A file stays together, since its tests share what they set up; tests/conftest.py says how many workers there are.
# -n 0 in TESTS shows one test after another.
test: lint
	$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder $(TESTS)

quick: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py $(TOPICS) $(if $(SIZES),--sizes $(SIZES))

pictures: $(STAMP)
	$(BIN)/python docs/pictures.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is used when present, because it is faster; pip is always enough.
$(STAMP): pyproject.toml constraints.txt Makefile
	@python='$(PYTHON)'; \
	for name in $${python:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
	  "$$name" -c '$(OLD_ENOUGH)' 2>/dev/null && found="$$name" && break; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  echo "rcakit needs Python 3.11 or newer; found none as $${python:-python3 or python3.11 to python3.14}." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python" >&2; exit 2; \
	fi; \
	"$$found" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$$found cannot make virtual environments (on Debian: apt install python3-venv)." >&2; exit 2; }; \
	echo "Installing into $(VENV) with $$("$$found" --version); the first time takes a minute or two."; \
	"$$found" -m venv $(VENV) && \
	if command -v uv >/dev/null && uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[$(EXTRAS)]'; \
	then :; else \
	  $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'; \
	fi
	@touch $@
