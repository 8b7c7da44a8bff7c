# `make book` makes the environment, executes the notebooks and builds the pages; `make test` tests.
PROFILE     ?= demo
MANIFEST    ?=
RUN         ?=
TORCH_INDEX ?=
SNAKEMAKE   ?=
TABLE       ?=
VENV        ?= .venv
PYTHON      := $(VENV)/bin/python
READY       := $(VENV)/.brainage

export BRAINAGE_RUNS ?= $(CURDIR)/runs
# Threads that wait must not spin: beside another process they would take its core.
export OMP_WAIT_POLICY := PASSIVE
export npm_config_update_notifier := false

.PHONY: book batch slurm test lint lab bench accept clean

book: $(READY)
	@exec $(PYTHON) workflow/book.py --profile $(PROFILE) --manifest "$(MANIFEST)" --run "$(RUN)" $(SNAKEMAKE)

# The book once for each row of a table (columns run, profile, manifest, seed), and a page beside.
batch: $(READY)
	@exec $(PYTHON) workflow/batch.py "$(TABLE)" $(SNAKEMAKE)

test: $(READY)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m "not slow and not book" -n logical --maxprocesses 4

lint: $(READY)
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
	$(VENV)/bin/lint-imports && $(PYTHON) workflow/check_notebooks.py

lab: $(READY)
	JUPYTER_CONFIG_DIR=.jupyter $(PYTHON) -m jupyter lab --no-browser $(if $(filter 0,$(shell id -u)),--allow-root)

# All but scaling.py and accuracy.py, which take hours: see "The paper's scale" and "How accurate".
bench: $(READY)
	@for file in $(filter-out benchmarks/scaling.py benchmarks/accuracy.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$file"; $(PYTHON) $$file || exit 1; done

# Slurm on this one machine, with a job that is cancelled and a controller that is killed.
slurm: $(READY)
	tests/slurm/run.sh --kill

accept: $(READY)
	$(PYTHON) workflow/accept.py

# Removes one run (demo unless PROFILE or RUN says otherwise) and caches; other runs stay.
clean:
	rm -rf "$(BRAINAGE_RUNS)/$(or $(RUN),$(basename $(notdir $(PROFILE))))" .pytest_cache .ruff_cache .hypothesis

# torch first and alone: its CPU build (TORCH_INDEX) satisfies the pin that the rest repeats.
$(READY): pyproject.toml constraints.txt book/package-lock.json
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet $$(grep ^torch== constraints.txt) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	$(PYTHON) -m pip install --quiet -e '.[dev]' -c constraints.txt
	$(PYTHON) -m ipykernel install --sys-prefix --name brainage --display-name "Brain Age" >/dev/null
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --prefix book --ignore-scripts --no-audit --no-fund
	touch $@
