# The developer's commands. Each installs what it needs and can run on a machine that has only Rust.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run ui test test-rust test-object test-xet test-db test-load test-clients test-python test-api test-ui check format proto \
	dist test-dist manifests screenshots fuzz bench-quick bench-xet

help: ## shows this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ui ## builds the hub and starts it with its built-in settings
	@scripts/need cc
	cargo run --locked --release --bin modelhub -- serve

ui: ## builds the dashboard, which is compiled into the hub
	@scripts/need node npm
	scripts/ui

# Two lanes, as half of the tests wait for others most of the time; then what measures memory, alone. All that they need
# is installed first: apt does one thing at a time.
test: ## everything below
	@scripts/need cc python3 ca-certificates node npm strace postgresql openssl chromium tinyproxy
	@scripts/rust-component rustfmt
	$(MAKE) --no-print-directory ui
	scripts/lanes "test-rust test-xet test-db" "test-clients test-object test-python test-api test-ui"
	$(MAKE) --no-print-directory test-load

test-rust: ## format check and all Rust tests
	@scripts/need cc openssl
	@scripts/rust-component rustfmt
	cargo fmt --all --check
	cargo test --locked

test-xet: ## downloads through Xet, checked against the Xet crates; builds them
	@scripts/need cc
	cargo test --locked -p xet-tests

test-object: ## what goes to an object store and comes back, with a real S3 server; builds it
	@scripts/need cc
	cargo test --locked -p object-tests

test-db: ## the database on SQLite and PostgreSQL, then the tests that depend on it most, on PostgreSQL
	@scripts/need cc postgresql openssl
	cargo test --locked --test db
	IT_DATABASE=postgres cargo test --locked -p modelhub --test it -- $(ON_POSTGRES)
	cargo test --locked -p modelhub --test it -- --ignored agree:: kills:: postgres:: scrub:: workers::

# Files of tests/it: what is found, listed, allowed, kept for later and said when it fails; and the admin API.
ON_POSTGRES := access:: admin:: errors:: import:: offline:: resolve_get:: tree::

test-load: ## memory of the optimised hub under load
	@scripts/need cc
	cargo test --locked --release --test load

test-clients: ## the tests with real clients; ARGS go to pytest
	@scripts/need cc python3 ca-certificates node npm strace openssl tinyproxy
	cargo build --locked --bins
	scripts/test-clients $(ARGS)

test-python: ## the tests of the Python client; ARGS go to pytest
	@scripts/need cc python3 ca-certificates postgresql openssl
	cargo build --locked --bins
	scripts/test-python $(ARGS)

test-api: ## Schemathesis over the admin API; ARGS go to it
	@scripts/need cc python3 ca-certificates
	cargo build --locked --bins
	scripts/test-api $(ARGS)

test-ui: ## the dashboard: types, lints, unit tests, and in a real browser
	@scripts/need cc node npm chromium
	scripts/ui
	cargo build --locked --bins
	cd admin-ui && npm run --silent check && npm run --silent test && npm run --silent e2e

check: ## formats, lints, licences, bans, and what is generated from proto/
	@scripts/need cc c++ python3 ca-certificates node npm
	@scripts/rust-component rustfmt clippy
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --workspace --all-targets -- -D warnings # with the Xet crates
	cargo clippy --locked --test db --test load -- -D warnings # not part of all, as `cargo test` leaves them out
	# Its own workspace: what clippy.toml bans, and the code expects to be told of, is not banned there.
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --bins --examples -- -D warnings -A unfulfilled_lint_expectations
	scripts/deny
	scripts/proto --check
	scripts/lint-python

format: ## formats Rust and Python
	@scripts/need python3
	@scripts/rust-component rustfmt
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	scripts/lint-python --fix

proto: ## checks and formats proto/, and generates the clients' code from it
	@scripts/need python3 ca-certificates node npm
	scripts/proto

dist: ## builds wheels, a tarball, a Debian package and lists of what is inside, into dist/; ARGS=--quick unoptimised
	@scripts/need cc python3 ca-certificates node npm git dpkg-shlibdeps
	scripts/dist $(ARGS)

test-dist: ## installs what make dist has built in clean environments and downloads through it; as root; ARGS go to pytest
	@scripts/need cc python3 ca-certificates git node npm mmdebstrap ip strace prometheus prometheus-blackbox-exporter
	cargo build --locked --bins
	scripts/test-dist $(ARGS)

manifests: ## renders deploy/kubernetes/manifests from the chart
	@scripts/need python3 node npm
	scripts/manifests

screenshots: ## takes screenshots of every screen of the dashboard, of a hub with mock-hf, and renews those in the README
	@scripts/need cc node npm chromium
	scripts/ui
	cargo build --locked --bins
	cd admin-ui && npm run --silent screenshots -- ../.cache/screenshots
	for picture in docs/screenshots/*.png; do cp ".cache/screenshots/$$(basename "$$picture")" "$$picture"; done

fuzz: ## fuzzes the parsers of untrusted input, FUZZ_SECONDS=60 each; ARGS name some of them
	@scripts/need cc c++
	scripts/fuzz $(or $(FUZZ_SECONDS),60) $(ARGS)

bench-quick: ## a short benchmark against a mock upstream
	@scripts/need cc python3
	bench/quick/run

bench-xet: ## downloads through Xet against plain HTTP, with one client
	@scripts/need cc python3 ca-certificates
	bench/xet/run
