# Everything that is done with the source: `make run` to try it, `make test` before proposing a change.

SHELL := /bin/sh
# What cargo builds: `dev` starts soonest; `make run PROFILE=release` serves fastest.
PROFILE ?= dev
CARGO_DENY := cargo deny --log-level error
SCHEMATHESIS := PYTHONDONTWRITEBYTECODE=1 python3 tests/schemathesis/run.py
LAB_TEST := PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/lab python3 -m unittest
# Within 15 minutes on two cores: a whole fleet by Puppet, the same by Salt, and a guest that boots and is asked to shut down.
LAB_TESTS_OF_CI := lab_whole_test lab_salt_whole_test lab_boot_test
PYTHON_TEST := PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -s tests/agents

.DEFAULT_GOAL := help
.PHONY: help run build test check rust-test agents-test test-full test-lab test-lab-full lab lab-down bench advisories fuzz \
	schemathesis sbom fmt clean setup-run setup-test

help: ## Say what can be done
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: setup-run ## Install what is missing, build, and serve a demo fleet on 127.0.0.1:8000
	@cargo build --profile $(PROFILE) --locked
	@exec target/$(patsubst dev,debug,$(PROFILE))/virtapi serve --demo $(ARGS)

build: setup-run ## Build the program for production: target/dist/virtapi
	cargo build --profile dist --locked

test: setup-test check rust-test agents-test ## Install what the tests need, and run them, with real agents
	@echo "make test: all passed"

check: ## Formatting, lints, documentation, licences
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	$(CARGO_DENY) check licenses bans sources

rust-test: ## The tests in Rust
	cargo test --locked

agents-test: setup-test ## The tests of the Puppet module
	cargo build --locked
	$(PYTHON_TEST) -p 'puppet_*test.py'

test-full: setup-test ## Also what takes minutes: puppetserver with real certificates, JRuby
	scripts/setup-puppet --full
	cargo build --locked
	$(PYTHON_TEST) -p 'puppetserver*_test.py'

test-lab: ## What CI has time for of real hypervisors and storage nodes in namespaces, converged by Puppet and by Salt; needs root
	@scripts/setup-lab
	cargo build --locked
	$(LAB_TEST) -v $(LAB_TESTS_OF_CI)

test-lab-full: ## All that is tested so, which takes about an hour; needs root
	@scripts/setup-lab
	cargo build --locked
	$(LAB_TEST) discover -s tests/lab -p '*_test.py'

lab: ## Two hypervisors and three storage nodes beside a server, converged by a Salt master or (BY=puppet) Puppet, to look at; needs root
	@scripts/setup-lab
	cargo build --locked
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/lab.py up $(BY)

lab-down: ## Remove every trace of it
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/lab/lab.py down

bench: ## Measure against nginx and pgbench, side by side; as root, runs of Puppet as well
	scripts/bench

advisories: setup-test ## Known security problems of the dependencies; fetches the advisory database
	$(CARGO_DENY) check advisories

schemathesis: setup-run ## Ask a server all that its description says, as each role, for longer: SECONDS=60 SEED=random
	@scripts/setup-schemathesis
	cargo build --locked
	$(SCHEMATHESIS) --examples 50 --shares 5 --seconds $(or $(SECONDS),60) --seed $(or $(SEED),random)

fuzz: setup-run ## Feed the readers of bodies and filters with what breaks others: SECONDS=60 for each
	@scripts/setup-fuzz
	scripts/fuzz $(or $(SECONDS),60)

sbom: setup-run ## Write what the program is made of: target/sbom/virtapi.cdx.json (CycloneDX)
	@scripts/sbom

fmt: ## Format the source
	cargo fmt

clean: ## Remove what was built; the demo's data stays in ./data
	cargo clean

setup-run:
	@scripts/setup-run

setup-test: setup-run
	@scripts/setup-test
