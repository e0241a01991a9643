# What can be done here. `make help` lists it; every target installs the system packages that it needs (as root, or through sudo).

SHELL := /bin/bash
S := builder/scripts

.PHONY: help setup build test lint demo demo-builder bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: ## Install every system package that any target needs
	@$(S)/setup all

build: ## Build the programs (release)
	@$(S)/setup build
	cargo build --release --workspace

test: ## Run all tests
	@$(S)/setup test
	cargo test --workspace

lint: ## Check formatting, lints and shell scripts
	@$(S)/setup lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@$(S)/lint-scripts

demo: ## Deploy the example app with a real image to a local cloud and show every step (under 5 minutes after set-up)
	@integ-tests/scripts/demo

demo-builder: ## Index a real image in a local registry with the builder alone
	@$(S)/demo

bench: build ## Measure CPU, time and memory on a real 750 MB image
	@$(S)/setup bench
	@$(S)/bench

clean: ## Remove everything that was built, made images included
	rm -rf target
