# What people type. Each target is one line here and a script in tools/.

.DEFAULT_GOAL := help
.PHONY: help up web dev test setup lint fmt reference chaos bench bench-page screenshots fuzz fuzz-api engines check-monitoring check-accounts check-backup check-tracks add-field check-deploy deb check-deb sbom bare-test cluster-test

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

up: ## Build and start a node with simulated devices, and print commands to paste
	@tools/up.sh

web: ## Build the live page (needs Node.js with npm); the next cargo build puts it into the program
	@tools/web.sh

dev: ## A node and the page that start again when their sources change (page on port 5173)
	@tools/dev.sh

test: ## Everything that must hold: format, dependencies, lints, unit and end-to-end tests
	@tools/test.sh

bare-test: ## The README's two commands in a bare Debian root (as root; an hour and more)
	@tools/bare-test.sh

setup: ## Install the servers that the tests start (Debian and Ubuntu)
	@tools/setup.sh

lint: ## Format check, dependency check and clippy
	@tools/test.sh lint

fmt: ## Format the code
	@cargo fmt --all
	@if command -v npm >/dev/null; then tools/web.sh fmt; fi

reference: ## Write the documents that are generated from the code: settings, optional fields, OpenAPI
	@NEMESES_WRITE_REFERENCE=1 cargo nextest run --workspace -E '(test(reference) | test(example_file)) & not binary(devices) & not binary(mappings)'

chaos: ## The long form of the suite that kills and cuts things (hours)
	@tools/chaos.sh

bench: ## Measure against the parts it is made of; writes docs/benchmarks.md
	@tools/bench.sh

bench-page: ## Measure the live page in Chromium; writes its part of docs/benchmarks.md
	@tools/web.sh bench

screenshots: ## Pictures of every view of the page that make up has started, into docs/images
	@tools/web.sh screenshots

fuzz: ## Fuzz every target for FUZZ_SECONDS each (60 by default); needs cargo-fuzz
	@tools/fuzz.sh

engines: ## The pipeline on MariaDB 11.8, Redis 8, Valkey 8 and 9, Mosquitto 2.0.21 and 2.1 (15 min and a build; ENGINE=... for one)
	@tools/setup.sh && tools/engines.sh $(ENGINE)

check-monitoring: ## Load rules and dashboards into a real Prometheus over real stations
	@tools/setup.sh && cargo build --locked --package nemeses && tools/check-monitoring.py

check-accounts: ## The accounts of deploy/accounts on a real MariaDB and a real Redis
	@tools/setup.sh && cargo build --locked --package nemeses && tools/check-accounts.py

check-backup: ## Back up and restore under load, as docs/operations.md says
	@tools/setup.sh && cargo build --locked --package nemeses && tools/check-backup.py

check-tracks: ## Real tracks through a node, held against gpxpy (docs/accuracy.md; downloads the tracks)
	@tools/setup.sh && cargo build --locked --package nemeses && $${CARGO_TARGET_DIR:-target}/export-check/bin/python tools/check-tracks.py

add-field: ## Add an optional field of positions in a copy: at most 10 files, and the suites pass (CONTRIBUTING.md)
	@tools/setup.sh && tools/add-field.py

check-deploy: ## Docker, compose, systemd, Kubernetes and AWS files, as far as they can be checked offline
	@tools/check-deploy.sh

deb: ## The Debian package, into target/debian (installs cargo-deb into target/tools if it is missing)
	@tools/deb.sh

check-deb: ## Build the package, install it into a folder, start the node from it, purge it
	@tools/setup.sh && cargo build --locked --package nemeses && tools/check-deb.py

sbom: ## What the program is made of, in CycloneDX, into target/sbom
	@tools/sbom.py target/sbom/nemeses.cdx.json

cluster-test: ## Lose machines under load: nodes, Sentinel, Redis Cluster, Galera, replica, scaling (SCENARIO=... for some)
	@tools/setup.sh redis-sentinel:redis-sentinel redis-cli:redis-tools ip:iproute2 rsync:rsync && cargo build --locked --package nemeses && tools/cluster-test.py $(SCENARIO)

fuzz-api: ## Hold a node against its OpenAPI document at length (API_EXAMPLES a route, 500 by default)
	@tools/fuzz-api.sh
