# Every target does all of its own set-up on a fresh Debian or Ubuntu, and costs a second when nothing has changed.
#
#   make demo         train a GPT on real English with our C++ core, read what it writes, measure every op
#   make test         the test suite            (one test: make test ARGS="tests/lm/test_ngram.py -k sums")
#   make test-cpp     the C++ tests: what Python cannot reach, and the thread pool under ThreadSanitizer
#   make test-peers   the tests against PyTorch, transformers, tokenizers, SciPy, scikit-learn …
#   make test-levels  the test suite at the micro-architecture levels below this machine's own
#   make sanitize     the test suite under AddressSanitizer and UndefinedBehaviorSanitizer
#   make lint         ruff, clang-format and lint-pages, checking only   (make format: mend what they find)
#   make types        mypy --strict
#   make stubs        generate the type stubs of the compiled core   (make check-stubs: are they current?)
#   make pages        execute the pages whose source changed   (one: make pages ARGS=day33; all: ARGS=--all)
#   make html         the pages as HTML that needs no script and no network, in build/html
#   make screenshots  pictures of the pages, as HTML and in JupyterLab, in build/screenshots; wants Playwright
#   make lint-pages   the rules of pages that a program can check
#   make check-pages  execute every page and compare with what is committed
#   make break-pages  plant bugs in every page and see each of its assertions fail
#   make notebooks    open the pages in JupyterLab
#   make bench        ops against their NumPy reference   (make bench-peers: whole jobs against torch, and README's table)
#   make clean        remove everything that was built
#
# Set-up lives in .venv; its stamp files say what has been done.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
# A whole suite runs in two processes; with ARGS, which may name a single test, in one.
WHOLE = $(if $(ARGS),,-n 2)

# Folders too: their times change when a file is added or removed.
CORE := pyproject.toml CMakeLists.txt $(shell find cpp cmake -type d -o -name '*.[ch]pp' -o -name '*.cmake' 2>/dev/null)
CXX_FILES = $(shell git ls-files 'cpp/*.cpp' 'cpp/*.hpp' 'tests/*.cpp' 'tests/*.hpp')

export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: help demo test test-cpp test-peers test-levels sanitize lint format types stubs check-stubs pages html screenshots lint-pages check-pages break-pages notebooks bench bench-peers build clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.plot
	$(BIN)/groundup demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(WHOLE) --ignore=tests/peers $(ARGS)

# A development build, in which warnings are errors.
test-cpp: $(VENV)/.requirements
	PATH="$(abspath $(BIN)):$$PATH"; \
	  cmake -S . -B build/cpp -G Ninja -DGROUNDUP_CPP_TESTS=ON -DPython_EXECUTABLE=$(abspath $(BIN)/python) && \
	  cmake --build build/cpp && ctest --test-dir build/cpp --output-on-failure $(ARGS)

# A peer that is missing fails here, where elsewhere it would skip.
test-peers: $(VENV)/.peers
	GROUNDUP_PEERS=required $(BIN)/python -m pytest $(WHOLE) tests/peers $(ARGS)

lint: $(VENV)/.dev lint-pages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	files="$(CXX_FILES)"; [[ -z $$files ]] || $(BIN)/clang-format --dry-run --Werror $$files

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	files="$(CXX_FILES)"; [[ -z $$files ]] || $(BIN)/clang-format -i $$files

types: $(VENV)/.dev
	$(BIN)/mypy

stubs: $(VENV)/.dev
	$(BIN)/python tools/stubs.py

check-stubs: $(VENV)/.dev
	$(BIN)/python tools/stubs.py --check

pages: $(VENV)/.dev
	$(BIN)/python -m tools.press $(ARGS)

html: $(VENV)/.dev
	$(BIN)/python -m tools.press --html build/html $(ARGS)

screenshots: $(VENV)/.dev $(VENV)/.notebooks
	$(BIN)/python -m tools.press --shots build/screenshots $(ARGS)

lint-pages: $(VENV)/.dev
	$(BIN)/python -m tools.press --lint $(ARGS)

check-pages: $(VENV)/.dev
	$(BIN)/python -m tools.press --check $(ARGS)

break-pages: $(VENV)/.dev
	$(BIN)/python -m tools.press --break $(ARGS)

notebooks: $(VENV)/.notebooks
	$(BIN)/groundup learn $(ARGS)

bench: $(VENV)/.built
	$(BIN)/groundup bench $(ARGS)

# Measure whole jobs against the peers and write the README's table; needs a quiet machine.
bench-peers: $(VENV)/.peers
	$(BIN)/groundup bench --peers --json benchmarks/results/peers.json $(ARGS)
	$(BIN)/python tools/readme.py

build: $(VENV)/.built

clean:
	rm -rf build dist .venv .venv-sanitize .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find python tests tools -name __pycache__ -prune -exec rm -rf {} +
	rm -f python/groundup/_core_*.so

# ------------------------------------------------------------------------------------------------------ set-up

# Ours is an isolated environment: what the user has installed elsewhere is neither seen nor touched.
%/.created: tools/system-packages.sh
	python=$$(tools/system-packages.sh) && "$$python" -m venv $*
	touch $@

# With the build's own requirements at hand pip needs no isolation, so a second build compiles only what changed.
%/.requirements: %/.created pyproject.toml tools/requirements.py
	$*/bin/python tools/requirements.py build run > $*/requirements.txt
	$*/bin/python -m pip --disable-pip-version-check install -q -r $*/requirements.txt
	touch $@

$(VENV)/.built: $(VENV)/.requirements $(CORE)
	PATH="$(abspath $(BIN)):$$PATH" $(PIP) install -q --no-build-isolation --no-deps -e .
	touch $@

# For the picture of the losses.
$(VENV)/.plot: $(VENV)/.built
	$(PIP) install -q "$$($(BIN)/python tools/requirements.py plot)"
	touch $@

# JupyterLab and what the pages show in it.
$(VENV)/.notebooks: $(VENV)/.built
	$(BIN)/python tools/requirements.py notebooks > $(VENV)/requirements-notebooks.txt
	$(PIP) install -q -r $(VENV)/requirements-notebooks.txt
	touch $@

$(VENV)/.dev: $(VENV)/.built
	$(BIN)/python tools/requirements.py dev > $(VENV)/requirements-dev.txt
	cmp -s $(VENV)/requirements-dev.txt $(VENV)/requirements-dev.done || \
	  $(PIP) install -q -r $(VENV)/requirements-dev.txt
	cp $(VENV)/requirements-dev.txt $(VENV)/requirements-dev.done
	touch $@

# torch first: the packages that want it then take what is there.
$(VENV)/.peers: $(VENV)/.dev requirements-peers.txt
	cmp -s requirements-peers.txt $(VENV)/requirements-peers.done || { \
	  $(PIP) install -q "$$(grep '^torch==' requirements-peers.txt)" && \
	  $(PIP) install -q -r requirements-peers.txt; }
	cp requirements-peers.txt $(VENV)/requirements-peers.done
	touch $@

# --------------------------------------------------------------------------------------- levels and sanitizers

# Each has its own environment and build folder, so that the ordinary build stays as it is.
LEVELS := .venv-levels
SANITIZE := .venv-sanitize
RUNTIMES = $(shell $${CXX:-c++} -print-file-name=libasan.so):$(shell $${CXX:-c++} -print-file-name=libstdc++.so)

$(LEVELS)/.built: BUILD := -C build-dir=build/levels \
  -C cmake.define.GROUNDUP_LEVELS="$(if $(filter x86_64,$(shell uname -m)),v2;v3,base)"
$(SANITIZE)/.built: BUILD := -C build-dir=build/sanitize -C cmake.build-type=RelWithDebInfo \
  -C cmake.define.GROUNDUP_SANITIZE=address,undefined

$(LEVELS)/.built $(SANITIZE)/.built: %/.built: %/.requirements $(CORE)
	PATH="$(abspath $*/bin):$$PATH" $*/bin/python -m pip --disable-pip-version-check install -q \
	  --no-build-isolation --no-deps -e . $(BUILD)
	$*/bin/python -m pip --disable-pip-version-check install -q pytest pytest-xdist hypothesis regex
	touch $@

# What pages, pictures and the press do is not the core's, and needs more than these environments have.
CORE_TESTS := $(addprefix --ignore=,tests/peers tests/bench tests/study tests/pages tests/plot \
  python/groundup/plot python/groundup/study)

# The command line knows nothing of levels, and measuring takes minutes.
test-levels: $(LEVELS)/.built
	for level in $$($(LEVELS)/bin/python -c 'import groundup as gu; print(*gu.config()["isa_available"])'); do \
	  GROUNDUP_ISA=$$level $(LEVELS)/bin/python -m pytest -q $(WHOLE) $(CORE_TESTS) --ignore=tests/cli $(ARGS); \
	done

# libstdc++ is preloaded as well, or the first C++ exception aborts; Python itself leaks on purpose; tests ask for
# more memory than there is. Only Python's own output is captured, so that a report of the sanitizer shows.
sanitize: $(SANITIZE)/.built
	LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  $(SANITIZE)/bin/python -m pytest $(WHOLE) $(CORE_TESTS) -p no:cacheprovider --capture=sys $(ARGS)
