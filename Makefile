# What can be done here. `make help` lists it; every target installs the system packages that it needs (as root, or through sudo).

SHELL := /bin/bash
S := builder/scripts

.PHONY: help setup build check test lint deny fuzz package image reproducible demo demo-builder bench bench-start clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: ## Install every system package that any target needs
	@.ci/setup all

build: ## Build the programs (release) and the constructs with them
	@.ci/setup build
	integ-tests/scripts/prepare release

check: setup-lint cdk-construct/node_modules/.package-lock.json ## What to run before each commit: formats, lints, types, unit tests (a minute, once built)
	@$(SIDE_BY_SIDE) lint-rust lint-constructs lint-scripts
	cargo test --locked --workspace --lib --bin soci-builder

test: ## Run all tests: constructs (TypeScript, Python), packages as installed, then every Rust part, whole deployments included
	@.ci/setup test
	integ-tests/scripts/prepare debug
	cd cdk-construct && npm test && npm run test:newest
	cdk-construct/scripts/package ../target/packages
	cdk-construct/scripts/check-sbom ../target/packages
	cdk-construct/scripts/test-python ../target/packages
	integ-tests/scripts/installed target/packages
	cargo test --locked --workspace --doc
	.ci/test-programs --workspace

lint: setup-lint cdk-construct/node_modules/.package-lock.json ## Check formatting, lints, scripts, and what is generated
	@$(SIDE_BY_SIDE) lint-rust lint-generated lint-scripts

# Targets that may run at once, each printed as a whole.
SIDE_BY_SIDE := $(MAKE) --no-print-directory --jobs=$(shell nproc) --output-sync=target

.PHONY: lint-rust lint-constructs lint-generated lint-scripts
lint-rust:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
lint-constructs:
	cd cdk-construct && npm run lint
lint-generated: lint-constructs
	cd cdk-construct && npm run docgen:check && npm run rosetta:check && npm run integ:check && npm run templates:check && npm run nag:check
lint-scripts:
	@.ci/lint-scripts
	@.ci/check-pipelines

deny: ## Check licences and origins of every dependency (advisories need GitHub: .ci/deny advisories)
	@.ci/setup lint
	.ci/deny

fuzz: ## Run every fuzz target for 10 seconds
	@.ci/setup build
	.ci/fuzz 10

.PHONY: setup-lint
setup-lint:
	@.ci/setup lint

# Only where the lock file is newer: a clean install takes half a minute.
cdk-construct/node_modules/.package-lock.json: cdk-construct/package-lock.json | setup-lint
	cd cdk-construct && npm ci --no-audit --no-fund --loglevel=error

package: ## Build tarball, wheel, SBOM and the template without CDK, with release programs (ARCH=aarch64: for ARM), into cdk-construct/dist
	@.ci/setup build
	integ-tests/scripts/prepare package
	cdk-construct/scripts/package
	cdk-construct/scripts/template
	cdk-construct/scripts/check-programs
	cdk-construct/scripts/check-sizes
	cdk-construct/scripts/check-sbom
	cd cdk-construct/dist && sha256sum js/*.tgz python/*.whl sbom.cdx.json soci-* | tee SHA256SUMS

image: ## Build the container image of soci-builder, static and from scratch, into target/image (ARCH="x86_64 aarch64": for both), and try it
	@.ci/setup image
	builder/container/release-image

reproducible: ## Build the package and the image twice, from cold, in two folders, and compare (10 minutes and more)
	@.ci/setup build
	cdk-construct/scripts/reproducible

demo: ## Deploy the example app with a real image to a local cloud and show every step (under 5 minutes after set-up)
	@integ-tests/scripts/demo

demo-builder: ## Index a real image in a local registry with the builder alone
	@$(S)/demo

bench: build ## Measure CPU, time and memory on a real 750 MB image, per stage on layers of every kind of gzip, and over slow connections
	@.ci/setup bench
	cargo build --locked --release --workspace --examples
	@$(S)/bench
	@$(S)/bench-layers
	@$(S)/bench-slow

bench-start: build ## Measure what an index is good for: the time to a start's files over slow lines, images of 144 MB and 1 GB (10 minutes)
	@.ci/setup bench
	@$(S)/bench-start

clean: ## Remove everything that was built or installed, made images included
	git clean -dfX --quiet
