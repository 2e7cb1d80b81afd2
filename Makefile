# Shortcuts. The README's own commands are plain pip and python, so that they work everywhere.
.PHONY: help install check test test-slow lint format types bench picture ci

help:  ## list the shortcuts
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install:  ## install with everything the tests need
	python -m pip install -c constraints.txt -e ".[test]"

check: lint types test  ## what must be clean before a commit

lint:  ## ruff
	ruff check . && ruff format --check .

format:  ## let ruff lay out the code
	ruff format . && ruff check --fix .

types:  ## mypy
	mypy

test:  ## the fast tests
	python -m pytest -m "not slow"

test-slow:  ## all tests
	python -m pytest

bench:  ## measure speed: everything, briefly
	python -m newbie bench all --quick

picture:  ## one picture with the bundled model
	python create.py --prompt prompts/duo.xml

ci:  ## everything, in a fresh virtual environment
	.ci/run
