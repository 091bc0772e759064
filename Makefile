# Shortcuts for developers; CONTRIBUTING.md explains them. PYTHON names the interpreter of your virtual environment.
PYTHON ?= python

.PHONY: build test sanitize lint format bench clean

build:  ## editable install with every extra that the tests need
	$(PYTHON) -m pip install -e ".[test]"

test:
	$(PYTHON) -m pytest

sanitize:  ## kernels and their tests under AddressSanitizer and UBSan, in a build folder of its own
	mkdir -p build/sanitize && cp -r bioneuro build/sanitize/ && rm -f build/sanitize/bioneuro/_core*.so
	$(PYTHON) setup.py -q egg_info --egg-base build/sanitize
	BIONEURO_SANITIZE=address,undefined BIONEURO_DEBUG=1 $(PYTHON) setup.py -q build_ext --build-lib build/sanitize --build-temp build/sanitize-tmp --force
	cd build/sanitize && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=. \
	    $(PYTHON) -m pytest -q -p no:cacheprovider ../../tests -k "kernels or layouts or synapses or bindings"

lint:
	$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && clang-format --dry-run -Werror csrc/*.[ch]

format:
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format . && clang-format -i csrc/*.[ch]

bench:
	$(PYTHON) -m benchmarks.report

clean:
	rm -rf build dist *.egg-info bioneuro/*.so
