# The house's commands. `make check` is exactly what CI runs.

.PHONY: run check test bench fmt tools

run:
	cargo run --release

# Everything that must hold before a commit. Installs what the tests need; skips nothing.
check: tools
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	$(MAKE) test

# Real servers and the real binary: every test on both engines.
test: tools
	cargo build --workspace --all-targets
	cargo nextest run --workspace --no-fail-fast

# What this machine does, beside the bounds that must hold.
bench: tools
	cargo build --release --package colloquy
	cargo bench --package tests --bench speed

fmt:
	cargo fmt --all

# What the tests start, servers and browser, and nextest, if they are missing.
tools:
	tests/install-tools.sh
	cargo nextest --version > /dev/null 2>&1 || cargo install cargo-nextest --locked
