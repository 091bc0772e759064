# Shortcuts for developers; CONTRIBUTING.md explains them. PYTHON names the interpreter of your virtual environment.
PYTHON ?= python

.PHONY: help build test docs pictures results-page sanitize sanitize-threads fuzz valgrind coverage lint-tools lint format bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## *' '{printf "  make %-16s %s\n", $$1, $$2}'

build:  ## editable install with every extra that the tests need
	$(PYTHON) -m pip install -e ".[test]"

test:  ## the tests, on every core
	$(PYTHON) -m pytest -n auto --dist worksteal

docs:  ## the documentation site, into build/docs; warnings are errors
	rm -rf docs/api/generated
	$(PYTHON) -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/docs
	@echo build/docs/index.html

pictures:  ## draw the pictures of README.md and docs anew (about two minutes)
	$(PYTHON) -m docs.make.bell && $(PYTHON) -m docs.make.concepts && $(PYTHON) -m docs.make.gallery

results-page:  ## tables of README.md and docs/results.md from docs/data; LEDGERS=FOLDER takes FOLDER/<data set>/ONE in before
	$(PYTHON) -m docs.make.results_page $(if $(LEDGERS),--take $(LEDGERS))

sanitize:  ## kernels and their tests under AddressSanitizer and UBSan, in a build folder of its own
	mkdir -p build/sanitize && cp -r bioneuro build/sanitize/ && rm -f build/sanitize/bioneuro/_core*.so
	$(PYTHON) setup.py -q egg_info --egg-base build/sanitize
	BIONEURO_SANITIZE=address,undefined BIONEURO_DEBUG=1 $(PYTHON) setup.py -q build_ext --build-lib build/sanitize --build-temp build/sanitize-tmp --force
	cd build/sanitize && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=. \
	    $(PYTHON) -m pytest -q -p no:cacheprovider ../../tests -k "kernels or layouts or synapses or bindings"

sanitize-threads:  ## tests with threads under ThreadSanitizer, in a build folder of its own
	mkdir -p build/tsan && cp -r bioneuro build/tsan/ && rm -f build/tsan/bioneuro/_core*.so
	$(PYTHON) setup.py -q egg_info --egg-base build/tsan
	BIONEURO_SANITIZE=thread $(PYTHON) setup.py -q build_ext --build-lib build/tsan --build-temp build/tsan-tmp --force
	cd build/tsan && LD_PRELOAD="$$(gcc -print-file-name=libtsan.so)" TSAN_OPTIONS=suppress_equal_addresses=0:die_after_fork=0:exitcode=0 PYTHONPATH=. \
	    setarch -R $(PYTHON) -m pytest -q -p no:cacheprovider ../../tests/test_synapses_threads.py ../../tests/test_threads.py \
	    ../../tests/test_process.py ../../tests/test_layouts.py -k "thread or fork or at_once"

fuzz:  ## coverage-guided fuzzing of the kernels, with clang; SHARE=.01 for a share of it
	$(PYTHON) -m campaigns.fuzz --share $(or $(SHARE),1)

valgrind:  ## calls of the C core under valgrind (Debian: apt-get install valgrind); SHARE=.1 for fewer hostile ones
	$(PYTHON) -m campaigns.valgrind --share $(or $(SHARE),1)

# Python by all tests, then C by those of the kernels: counting lines of C makes each fit six times as long.
coverage:  ## lines and branches of Python and C that the tests reach, from a build folder of its own
	mkdir -p build/coverage && cp -r bioneuro csrc setup.py pyproject.toml README.md LICENSE build/coverage/
	cd build/coverage && $(PYTHON) setup.py -q build_ext --inplace --force
	cd build/coverage && PYTHONPATH=$$PWD $(PYTHON) -m pytest -q -p no:cacheprovider --cov --cov-config=pyproject.toml --cov-report=term \
	    -n auto --dist worksteal ../../tests $(TESTS)
	cd build/coverage && CFLAGS="--coverage -fprofile-update=atomic" LDFLAGS=--coverage BIONEURO_DEBUG=1 \
	    $(PYTHON) setup.py -q build_ext --inplace --force
	cd build/coverage && PYTHONPATH=$$PWD $(PYTHON) -m pytest -q -p no:cacheprovider -n auto --dist worksteal ../../tests \
	    -k "kernels or layouts or synapses or bindings or threads"
	cd build/coverage && $(PYTHON) -m gcovr --filter csrc/ --merge-lines --print-summary

lint-tools:  ## install what lint needs, the versions of the lint extra in pyproject.toml, without building the package
	$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['lint'], sep='\n')" \
	    | xargs $(PYTHON) -m pip install -q

lint:  ## ruff, clang-format and mypy, without changing anything
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
	clang-format --dry-run -Werror csrc/*.[ch]
	$(PYTHON) -m mypy

format:  ## ruff and clang-format, changing files
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format . && clang-format -i csrc/*.[ch]

bench:  ## the benchmarks of the kernels
	$(PYTHON) -m benchmarks.report

clean:  ## remove what was built
	rm -rf build dist *.egg-info bioneuro/*.so
