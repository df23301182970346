# What a person runs here; each target installs what it needs. CI runs `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
export PATH := $(CURDIR)/.tools/bin:$(PATH)

SOCKETIO := loadtest/peers/socketio
NODE_PROJECTS := tests/clients/node tests/browser $(SOCKETIO)
SCRIPTS := .ci/run loadtest/profile.sh $(wildcard tests/setup/*.sh)
REFERENCE := relay/CONFIGURATION.md
WRITE_REFERENCE := cargo run --quiet --package agent-relay -- config --markdown

.PHONY: help run test bench micro chaos ms4 rolling simulate setup fmt fmt-check lint unit docs scripts generated generated-check clients peers

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

run: ## a relay with its console page on this machine; no other server needed
	cargo run --quiet --package agent-relay -- serve --dev

test: setup fmt-check scripts lint docs generated-check unit clients peers ## everything that CI runs

bench: ## the relay beside bare servers, and peers that are installed (loadtest/PEERS.md), in turn: prints the table and writes loadtest/RESULTS.md; half an hour with three peers; SWARM=1 make bench adds 50,000 agents
	@tests/setup/rust.sh
	@tests/setup/redis.sh
	@tests/setup/node.sh $(SOCKETIO) || echo 'bench: without Socket.IO' >&2
	cargo build --release --quiet --package agent-relay --package relay-loadtest
	target/release/relay-loadtest bench $(if $(SWARM),--swarm) --markdown loadtest/RESULTS.md

micro: ## what codec, queue, router and limiter cost by themselves, in nanoseconds
	@tests/setup/rust.sh
	cargo bench --package relay-protocol --package agent-relay --bench codec --bench queue --bench router --bench limiter

chaos: ## real processes under faults from seeds, then the MS4 table: SEED=7 make chaos is one timeline, TIMELINES=200 make chaos a soak
	@tests/setup/rust.sh
	@tests/setup/redis.sh
	cargo build --quiet --package agent-relay --package relay-tests
	target/debug/relay-chaos timelines $(if $(SEED),,--markdown tests/chaos/TIMELINES.md)
	$(if $(SEED)$(TIMELINES),,$(MAKE) ms4)

ms4: ## recovery times and losses: crash, fail-over, partition, region; ROUNDS=20 make ms4 for more
	@tests/setup/rust.sh
	@tests/setup/redis.sh
	cargo build --quiet --package agent-relay --package relay-tests
	target/debug/relay-chaos recovery --markdown tests/chaos/RECOVERY.md

rolling: ## ten rolling restarts of three relays under 2,000 agents that talk: nothing lost, twice or out of order, all back in 10 s
	@tests/setup/rust.sh
	@tests/setup/redis.sh
	RELAY_TEST_AGENTS=2000 RELAY_TEST_RESTARTS=10 cargo test --release --quiet --package relay-tests --test e2e -- --nocapture rolling_restarts

SEEDS ?= 10000
FROM ?= 1
simulate: ## SEEDS runs of the simulation in each mode, from seed FROM: relays, clients and all that goes wrong in one thread each
	@tests/setup/rust.sh
	cargo run --release --quiet --package relay-simulation -- --seeds $(SEEDS) --from $(FROM)

setup: ## what the tests need: tools found on the machine, else in .tools
	@tests/setup/rust.sh
	@tests/setup/redis.sh
	@tests/setup/python.sh
	@tests/setup/node.sh $(NODE_PROJECTS)
	@tests/setup/chromium.sh >/dev/null

fmt: ## formats the Rust code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

lint: ## clippy, its warnings errors
	cargo clippy --workspace --all-targets --quiet -- --deny warnings

unit: ## the Rust tests, those of whole relays included; all run, whatever fails
	cargo test --workspace --quiet --no-fail-fast

docs: ## the documentation, its warnings errors
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private_intra_doc_links' cargo doc --workspace --no-deps --features agent-relay/test-util --quiet

scripts:
	shellcheck $(SCRIPTS)

generated: ## writes the files that are made from the code
	$(WRITE_REFERENCE) > $(REFERENCE)

generated-check:
	@$(WRITE_REFERENCE) | diff -u $(REFERENCE) - || { echo 'out of date: run make generated' >&2; exit 1; }

peers: ## the load generator at a real Socket.IO, over Redis: nothing may be lost
	@cargo run --quiet --package relay-loadtest -- run direct --peer=socketio --redis --agents=20 --depth=4 --duration=1
	@cargo run --quiet --package relay-loadtest -- run fan-out --peer=socketio --redis --agents=20 --duration=1

clients: ## the golden vectors in other languages
	@told=$$(node --test tests/clients/node/vectors.test.mjs 2>&1) || { echo "$$told"; exit 1; }; tail -n 8 <<< "$$told"
	relay-python tests/clients/python/vectors.py
