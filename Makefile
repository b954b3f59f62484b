# Everything a newcomer types. `make demo` and `make test` install what is missing.

DIGITALLZ := target/debug/digitallz
DIGITALLZ_DEMO := target/demo/digitallz
TEST_DATA_DIR := target/test-data

.PHONY: demo test bench-competition bench-forecast bench-process bench-quota bench-score bench-stream chaos fuzz dictionary check packages tools fmt clippy doc deny unused sqlx sqlx-check importing

## Run the whole pipeline in time-lapse and show what comes out.
demo: packages
	cargo build --locked --profile demo -p digitallz
	$(DIGITALLZ_DEMO) demo

## Run every test, on real Postgres and the sandbox: DATABASE_URL where it is set, else a private one.
test: packages
	cargo build --locked -p digitallz
	cargo test --locked --workspace --no-run
	@url="$${DATABASE_URL:-$$($(DIGITALLZ) --data-dir $(TEST_DATA_DIR) db url)}"; \
	  DATABASE_URL="$$url" cargo test --locked --workspace; status=$$?; \
	  [ -n "$$DATABASE_URL" ] || $(DIGITALLZ) --data-dir $(TEST_DATA_DIR) db stop; exit $$status

## Eight collector processes against limits of every kind, 10 minutes undisturbed and 10 with kills (BENCH_SECONDS).
bench-quota: packages
	cargo build --locked --profile demo -p digitallz
	DIGITALLZ_BINARY=$(abspath $(DIGITALLZ_DEMO)) cargo bench --quiet --locked --profile dev -p digitallz --bench quota

## How well series are forecast, by rolling origins inside the training data beside the repository (BENCH_ORIGINS).
bench-forecast:
	cargo bench --quiet --locked --profile demo -p digitallz --bench forecast

## How many series a second get features, teach the experts and are predicted, beside statsforecast (BENCH_SERIES, _PEER).
bench-score:
	@test -x target/peer/bin/python || { python3 -m venv target/peer && target/peer/bin/pip install --quiet statsforecast==2.1.1; } \
	  || echo "statsforecast cannot be installed: it will be left out"
	PEER_PYTHON=$(abspath target/peer/bin/python) cargo bench --quiet --locked --profile release -p digitallz-scorer --bench score

## Read a million SERP entries, beside a plain COPY of the same rows, in empty tables and in grown ones (BENCH_ENTRIES, _GROWTH).
bench-process: packages
	cargo build --locked --profile demo -p digitallz
	DIGITALLZ_BINARY=$(abspath $(DIGITALLZ_DEMO)) cargo bench --quiet --locked --profile dev -p digitallz --bench process

## Measure the memory that a report document of 3 GB needs; DIGITALLZ_BENCH_DOCUMENT_BYTES changes its size.
bench-stream: packages
	cargo build --locked --profile demo -p digitallz
	DIGITALLZ_BINARY=$(abspath $(DIGITALLZ_DEMO)) cargo bench --quiet --locked --profile dev -p digitallz --bench stream

## How well competition is foretold on the pretend world, beside what is possible (COMPETITION_KEYWORDS, _SEED).
bench-competition:
	cargo bench --quiet --locked --profile dev -p digitallz --bench competition

## Kill workers and crash Postgres during a crawl of 5,000 jobs; DIGITALLZ_CHAOS_SEED, _JOBS and _KILLS change it.
chaos: packages
	cargo build --locked --profile demo -p digitallz
	DIGITALLZ_BINARY=$(abspath $(DIGITALLZ_DEMO)) cargo bench --quiet --locked --profile dev -p digitallz --bench chaos

## Change the answers made by hand at random and hold what is read against a second reader, FUZZ_SECONDS (600) per resource.
fuzz:
	cargo bench --quiet --locked --profile demo -p digitallz-processor --bench fuzz

## What continuous integration runs besides the tests.
check: packages tools fmt clippy doc deny unused sqlx-check

packages:
	@deploy/install-packages

tools:
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@command -v cargo-machete >/dev/null || cargo install --locked cargo-machete

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --locked --workspace --all-targets -- --deny warnings

doc:
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Advisories need a database from the network; `cargo deny check advisories` looks at them where there is one.
deny:
	cargo deny --offline --log-level error check bans licenses sources

unused:
	cargo machete

## Renew the committed metadata of the queries in .sqlx, after a query or a migration changed.
sqlx: packages
	@deploy/query-metadata renew

## Renew docs/data-dictionary.md from the comments in the database, after a migration.
dictionary: packages
	cargo build --locked -p digitallz
	@mkdir -p docs
	rm -rf target/dictionary-data
	$(DIGITALLZ) --data-dir target/dictionary-data db dictionary > target/data-dictionary.md
	rm -rf target/dictionary-data
	mv target/data-dictionary.md docs/data-dictionary.md

## Renew the matrix in docs/importing.md from the tables of header names.
importing:
	DIGITALLZ_UPDATE_DOCS=1 cargo test --locked -p digitallz-processor --lib imports::matrix_tests

sqlx-check: packages
	@deploy/query-metadata check
