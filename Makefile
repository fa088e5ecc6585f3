# Meridian's commands. `make` alone lists them.
#
# Nothing has to be prepared: Go is enough. Each target finds or installs what it needs, as root and as an
# ordinary user, and says what is missing where it may not install it (scripts/need.sh).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Go from PATH, else from where its own installer puts it.
GO ?= $(shell command -v go 2>/dev/null || { [ -x /usr/local/go/bin/go ] && echo /usr/local/go/bin/go; } || echo go)

# A service account or a container may have no HOME; Go's caches then live in the checkout.
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.cache/home
endif

# A workspace above the checkout or flags set for another project must not change what is built here. The version
# is stamped below, so Go need not ask git, which refuses a checkout that belongs to another user.
export GOWORK := off
export GOFLAGS := $(strip $(GOFLAGS) -mod=readonly -buildvcs=false)

VERSION ?= $(shell [ -e .git ] && git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)

# The linters, of the versions in tools/go.mod, built once for each state of it.
TOOLS := .cache/tools/$(shell cat tools/go.mod tools/go.sum | cksum | cut -d' ' -f1)

# How long `make fuzz` stays with each fuzz test, and `make soak` in all.
FUZZTIME ?= 30s
SOAKTIME ?= 30m
# How long `make observe` looks at ordinary load.
OBSERVETIME ?= 3m
# How much `make soak-cutover` does: transactions in all, business dates, transactions of a big date.
TRANSACTIONS ?= 1000000
DATES ?= 30
BIG_DATE ?= 100000
# How many sequences `make soak-model` asks, and which of its faults `make mutants` plants.
SEQUENCES ?= 10000
ONLY ?= .
# Which packages test, test-fast, cover and fuzz take; those that take longest begin.
PKG ?= ./host/node ./switch ./cmd/meridian ./sandbox ./...

##@ Use

.PHONY: sandbox
sandbox: build postgres ## Start everything on this machine: Postgres, host, test merchants and cards (ARGS="--ephemeral …")
	@exec ./bin/meridian sandbox $(ARGS)

.PHONY: build
build: go ## Build bin/meridian
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/meridian ./cmd/meridian

.PHONY: man
man: build ## Write the manual pages to bin/man
	@./bin/meridian man --directory bin/man

##@ Check

# What counts allocations and bytes: the race detector has some of its own, so these run without it, and first.
COUNTED := ^(TestAllocationsOfASale|TestTapUnwatchedAllocatesNothing|TestIdleConnectionIsSmall|TestSumDoesNotAllocate)$$
COUNTING := ./host ./internal/hsm/mac

# Every test of the module, against a real Postgres that the tests start for themselves. Much of it waits for deadlines,
# so three packages run side by side on two processors. Linking leaves out what only debuggers read, which is half of its
# time, and `make lint` has vetted. The heap grows to five times what lives in it, as a host's does: collecting small ones
# costs a tenth of the rest and more.
.PHONY: test
test: go race postgres prometheus browser ## Run every test, with the race detector, against a real Postgres
	@$(GO) test -trimpath -run '$(COUNTED)' $(COUNTING)
	@GOGC=400 $(GO) test $$(scripts/need.sh race-flag) -vet=off -ldflags=-w -shuffle=on -p 3 -timeout=45m $(PKG)

.PHONY: test-fast
test-fast: go postgres prometheus browser ## Run the tests without the race detector; what has not changed is not run again
	@$(GO) test -short -timeout=5m $(PKG)

# Paths are trimmed as they are in the build, so that what is compiled for the one is there for the other.
.PHONY: lint
lint: export GOFLAGS += -trimpath
lint: go $(TOOLS)/built ## Check format, go vet and golangci-lint, and that each fault of `make mutants` can still be planted
	@unformatted=$$($(TOOLS)/gofumpt -l $$(scripts/go-files.sh)); \
	if [ -n "$$unformatted" ]; then printf 'not formatted (make fmt mends it):\n%s\n' "$$unformatted" >&2; exit 1; fi
	@$(GO) vet ./...
	@GOGC=400 GOMEMLIMIT=4GiB GOLANGCI_LINT_CACHE='$(CURDIR)/.cache/golangci-lint' PATH="$$(dirname "$$(command -v $(GO))"):$$PATH" $(TOOLS)/golangci-lint run
	@scripts/mutants.sh --plant-only

.PHONY: vuln
vuln: go $(TOOLS)/built ## Look for known vulnerabilities (needs vuln.go.dev)
	@PATH="$$(dirname "$$(command -v $(GO))"):$$PATH" $(TOOLS)/govulncheck ./...

.PHONY: fuzz
fuzz: go ## Run each fuzz test for FUZZTIME (30s)
	@GO='$(GO)' scripts/fuzz.sh '$(FUZZTIME)' $(PKG)

.PHONY: soak
soak: go race postgres prometheus browser ## Run the tests over and over in new orders for SOAKTIME (30m), the long variants included
	@GO='$(GO)' scripts/soak.sh '$(SOAKTIME)' $(PKG)

.PHONY: stories
stories: go postgres ## Play every story of `meridian trigger` in every dialect
	@MERIDIAN_TEST_STORIES=1 $(GO) test -v -count=1 -timeout=15m -run '^TestStoriesAreTrue$$' ./sandbox

.PHONY: soak-cutover
soak-cutover: go postgres ## Let a month of TRANSACTIONS (1000000) go by and measure the cutover of its big dates under live sales
	@MERIDIAN_TEST_CUTOVER='$(TRANSACTIONS) $(DATES) $(BIG_DATE)' $(GO) test -v -count=1 -timeout=120m -run '^TestCutoverUnderLoad$$' ./host/node/soak

.PHONY: soak-model
soak-model: go postgres ## Ask the switch and the model of it SEQUENCES (10000) random sequences and want the same of both
	@GO='$(GO)' scripts/soak-model.sh '$(SEQUENCES)'

.PHONY: observe
observe: go postgres prometheus ## Let a Prometheus watch a sandbox: no alert for OBSERVETIME (3m), dashboards with data, alerts when things break
	@MERIDIAN_TEST_PROMETHEUS='$(OBSERVETIME)' $(GO) test -v -count=1 -timeout=12h -run '^TestObserve$$' ./deploy

.PHONY: mutants
mutants: go postgres ## Plant faults in a copy of the switch and see that its tests find each (ONLY=REGEX for some)
	@GO='$(GO)' scripts/mutants.sh '$(ONLY)'

.PHONY: bench
bench: build postgres ## Measure the host beside its database (ARGS="--rounds 1 …"); takes a quarter of an hour, and 15 GB of disk
	@./bin/meridian bench $(ARGS)

.PHONY: bench-compare
bench-compare: build ## Set one run of `make bench ARGS='--output json >FILE'` beside another (BEFORE=FILE AFTER=FILE)
	@./bin/meridian bench compare '$(BEFORE)' '$(AFTER)'

# How many sales bench-stored has in the database, and what it measures beside them.
STORED ?= 20000000
BESIDE ?= TPC-B|ledger path|^sales, 64 connections

.PHONY: bench-stored
bench-stored: build postgres ## Measure over STORED (20000000) sales and over next to none; takes an hour, and 20 GB in TMPDIR
	@mkdir -p .cache
	@./bin/meridian bench --output json --only '$(BESIDE)' $(ARGS) >.cache/bench-empty.json
	@./bin/meridian bench --output json --only '$(BESIDE)' --stored '$(STORED)' $(ARGS) >.cache/bench-stored.json
	@./bin/meridian bench compare .cache/bench-empty.json .cache/bench-stored.json

.PHONY: leaks
leaks: go postgres ## Send 10,000 messages to a sandbox and look for card data and keys in everything it keeps
	@MERIDIAN_TEST_LEAK_MESSAGES=$${MERIDIAN_TEST_LEAK_MESSAGES:-10000} $(GO) test -timeout=60m -count=1 -v -run '^TestNothingLeaks$$' ./sandbox

# Which commit bench-codec compares with, how often and how long.
REF ?= main

.PHONY: bench-codec
bench-codec: go ## Compare the message path's benchmarks with those of REF (main), run by run in turn
	@GO='$(GO)' scripts/bench-codec.sh '$(REF)'

.PHONY: console-pages
console-pages: go postgres ## Time every page of the console with TRANSACTIONS_BEHIND (100000) transactions behind it, and show the slowest one's plans
	@MERIDIAN_TEST_CONSOLE_PAGES=$${TRANSACTIONS_BEHIND:-100000} $(GO) test -v -count=1 -timeout=30m -run '^TestPagesUnderHistory$$' ./console

.PHONY: console-watching
console-watching: go postgres ## Measure what 50 viewers of the live messages cost a host, as a ratio of one run
	@MERIDIAN_TEST_WATCHING=$${ROUNDS:-7} $(GO) test -v -count=1 -timeout=30m -run '^TestWatchingCosts$$' ./cmd/meridian

.PHONY: cover
cover: go postgres prometheus browser ## Measure test coverage; .cache/cover.html shows it line by line
	@mkdir -p .cache
	@$(GO) test -timeout=8m -covermode=atomic -coverpkg=./... -coverprofile=.cache/cover.out $(PKG)
	@$(GO) tool cover -html=.cache/cover.out -o .cache/cover.html
	@$(GO) tool cover -func=.cache/cover.out | tail -n 1

##@ Change

.PHONY: fmt
fmt: go $(TOOLS)/built ## Format the code and sort the imports
	@PATH="$$(dirname "$$(command -v $(GO))"):$$PATH" $(TOOLS)/golangci-lint fmt

# Each of these tests compares a page with what the program has, and writes it instead when asked to.
.PHONY: docs
docs: go postgres ## Write docs/reference and the dashboards anew from the program
	@MERIDIAN_TEST_UPDATE=1 $(GO) test -count=1 -run '^TestReference' ./cmd/meridian ./internal/config ./host/dialect ./host/wire
	@$(GO) test -count=1 -run '^(TestHost|TestDashboardsAreGenerated)$$/^reference$$' ./deploy -update

.PHONY: tools
tools: go $(TOOLS)/built ## Build the linters, once for each version

.PHONY: clean
clean: ## Remove what was built; a sandbox's data (.meridian) stays
	@rm -rf bin .cache

.PHONY: help
help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

# What other targets stand on.
.PHONY: go race postgres prometheus browser
go:
	@GO='$(GO)' scripts/need.sh go
race:
	@GO='$(GO)' scripts/need.sh race
postgres:
	@scripts/need.sh postgres
prometheus:
	@scripts/need.sh prometheus
browser: # the console's pages are tried in a real one
	@scripts/need.sh browser

$(TOOLS)/built: tools/go.mod tools/go.sum
	@GO='$(GO)' scripts/need.sh go
	@echo 'building the linters (a minute or two, once)' >&2
	@mkdir -p $(TOOLS)
	@$(GO) -C tools build -ldflags='-s -w' -o ../$(TOOLS)/ tool
	@touch $@
