# Two commands: `make demo` and `make test`. Both set up what they need, and are safe to repeat.

.PHONY: help demo test setup build check bench instructions deny

help:
	@echo "make demo    set up, build, run the whole job on the sample library, print a passage"
	@echo "make test    set up, run all tests"
	@echo "make check   formatting, lints and documentation, as CI has them"
	@echo "make bench   set up, bring the peers, measure side by side with them (half an hour)"
	@echo "make instructions  hold each stage's instructions against those kept (needs valgrind)"
	@echo "make deny    licences and sources of all dependencies (needs cargo-deny)"

setup:
	@scripts/setup.sh

build: setup
	cargo build --release

demo: build
	target/release/seseragi demo

test: setup
	cargo test

check: setup
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# The parts alone: cargo bench
bench: setup
	@scripts/bench/peers/setup.sh
	cargo build --release --workspace
	scripts/bench/run.py --write

instructions: setup
	scripts/count-instructions.sh

deny:
	cargo deny check licenses bans sources
