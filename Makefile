# occ_lock: optimistic concurrency control for PostgreSQL
#
# `make`, `make install` and `make installcheck` are PGXS as everywhere, for the server that PG_CONFIG names.
# All other goals install what they miss, work on a copy of that server and leave nothing behind: see `make help`.

# Empty, unless this is a VPATH build: make -f /where/the/sources/are/Makefile
HERE := $(filter-out ./,$(dir $(firstword $(MAKEFILE_LIST))))

EXTENSION = occ_lock
MODULE_big = occ_lock
DATA = occ_lock--1.0.sql occ_lock--1.0--1.1.sql occ_lock--1.1.sql occ_lock--1.1--1.2.sql occ_lock--1.2.sql
OBJS = $(patsubst $(HERE)%.cpp,%.o,$(sort $(wildcard $(HERE)src/*.cpp)))

REGRESS = \
	install \
	inline \
	guard_integer \
	guard_time \
	clock \
	guard_uuid \
	ignore \
	keys \
	keys_not_btree \
	partitions \
	inheritance \
	views_and_foreign_tables \
	statements \
	naming \
	referential \
	triggers \
	ddl \
	enable \
	disable \
	arguments \
	settings \
	privileges \
	attacks \
	conflicts \
	deletes \
	set_functions \
	set_presets \
	set_input \
	set_keys \
	set_values \
	snapshot \
	set_tables \
	set_privileges \
	set_guards \
	large_values \
	reentrancy \
	retry \
	etag \
	merge \
	auto_enable

ISOLATION = \
	auto_enable \
	delete \
	delete_checked \
	enable \
	enforce_warn \
	etag \
	etag_altered \
	first_writer_rolls_back \
	foreign_keys \
	gets_through \
	inlined \
	ignored_columns \
	key_change \
	merge \
	order_cancelled_twice \
	orm \
	partitions \
	reevaluation \
	retry \
	retry_procedure \
	savepoints \
	select_for_update \
	set_beside_locks \
	set_check \
	set_compare_and_set \
	set_deadlock_free \
	set_identity \
	set_lock_strength \
	set_update \
	several_rows \
	strict \
	tables \
	three_writers \
	timestamp_version \
	unstated \
	upsert \
	writer_writer

REGRESS_OPTS = --inputdir=$(or $(HERE),.) --load-extension=$(EXTENSION)
ISOLATION_OPTS = --inputdir=$(HERE)test/isolation --load-extension=$(EXTENSION)
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config

# A PostgreSQL error is a longjmp and runs no destructors, so exceptions, RTTI and with them libstdc++ stay out.
OUR_CXXFLAGS = -std=gnu++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wall -Wextra -Werror=switch

# These need neither PGXS nor a compiler to start with, only bash.
OWN_GOALS = help bootstrap demo shell test unit regress isolation tap examples test-clients fuzz fuzz-quick fuzz-inputs fuzz-parsers fuzz-sql sanitize memcheck soak soak-quick soak-planted bench bench-quick bench-batch bench-hot-row test-matrix test-pg-upgrade deb deb-check lint tidy format
PGXS_GOALS = all install uninstall installcheck prove_installcheck clean
.PHONY: $(OWN_GOALS) $(PGXS_GOALS)

all: ## Build for PG_CONFIG (default: pg_config)
install: ## Install into that server
installcheck: ## Run the regression and isolation tests on a running server (PGHOST, PGPORT)
clean: ## Remove everything built

help: ## List these goals
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# exec, so that a signal to make reaches the script. A script gets no jobserver, so don't tell the make in it of one.
RUN = @exec env MAKEFLAGS='$(filter-out --jobserver%,$(MAKEFLAGS))'

bootstrap: ## Install what is missing to build and test, by Debian package name; print the PG_CONFIG to use
	$(RUN) test/bootstrap clang-format libgtest-dev libipc-run-perl pgbouncer python3-django python3-psycopg2 shellcheck

demo: ## See updates get lost without the guard, and none with it
	$(RUN) test/server demo/run

shell: ## Open psql on a private server that has the extension
	$(RUN) test/server test/shell

test: ## Run all of the tests below, on private servers
	$(RUN) test/run

unit: ## The version arithmetic (GoogleTest, no server)
	$(RUN) test/bootstrap libgtest-dev >/dev/null
	@mkdir -p build
	@$(CXX) -std=gnu++20 -g -Wall -Wextra -fsanitize=undefined -fno-sanitize-recover=all -Isrc \
		test/unit/*.cpp -lgtest -lgtest_main -pthread -o build/unit
	@build/unit

# The five that follow run with inlined guards and without: INLINE=on or INLINE=off.
regress: ## One session: sql/ against expected/ (REGRESS=name for one)
	$(RUN) test/server make -s installcheck ISOLATION=

isolation: ## Several sessions: test/isolation/ (ISOLATION=name for one)
	$(RUN) test/server make -s installcheck REGRESS=

tap: ## Whole servers: test/t/ (PROVE_TESTS=test/t/name.pl for one)
	$(RUN) test/bootstrap libipc-run-perl pgbouncer >/dev/null
	$(RUN) test/server make -s prove_installcheck PROVE_FLAGS="--verbose --jobs 3"

examples: ## The six systems that were locked by hand: examples/ (EXAMPLES=1_update_safely for one)
	$(RUN) test/bootstrap python3-django python3-psycopg2 >/dev/null
	$(RUN) test/server test/examples $(EXAMPLES)

test-clients: ## Drivers and frameworks that people use: test/clients/ (CLIENTS=libpq for one)
	@test/clients/install
	$(RUN) test/server test/clients/run $(CLIENTS)

# Every case runs both ways, so not among the five.
fuzz: ## Random cases: inlined, by trigger, by a model in PL/pgSQL (FUZZ_SECONDS=300, FUZZ_SEED=1 to start there)
	$(RUN) test/bootstrap python3-psycopg2 >/dev/null
	$(RUN) test/server test/fuzz/run

fuzz-quick: ## Sixty of them, always the same
	$(RUN) test/bootstrap python3-psycopg2 >/dev/null
	$(RUN) FUZZ_SEED=1 FUZZ_CASES=60 test/server test/fuzz/run

fuzz-inputs: ## Random input for every function: never XX000, a crash or half a batch (FUZZ_SECONDS=60)
	$(RUN) test/bootstrap python3-psycopg2 >/dev/null
	$(RUN) test/server test/fuzz/inputs

fuzz-parsers: ## libFuzzer with sanitizers on the parsers that know nothing of PostgreSQL (FUZZ_SECONDS=60)
	$(RUN) test/fuzz/parsers

fuzz-sql: ## sqlsmith for an hour against guarded tables: no crash, no XX000 (SMITH_SECONDS=600 for ten minutes)
	$(RUN) test/bootstrap sqlsmith >/dev/null
	$(RUN) test/server test/fuzz/smith

sanitize: ## regress and isolation with AddressSanitizer and UndefinedBehaviorSanitizer (SANITIZE_GOALS=fuzz-inputs for others)
	$(RUN) test/sanitize sanitizers $(SANITIZE_GOALS)

memcheck: ## regress in valgrind, as built for use (slow; REGRESS="install etag" for two of them)
	$(RUN) test/sanitize memcheck regress

soak: ## Clients that write by every means, faults, and a proof that nothing was lost (SOAK_SECONDS=600, or SOAK=faults for one)
	$(RUN) test/bootstrap pgbouncer python3-psycopg2 >/dev/null
	$(RUN) test/server test/soak/run $(SOAK)

soak-quick: ## A minute of it
	$(RUN) test/bootstrap pgbouncer python3-psycopg2 >/dev/null
	$(RUN) SOAK_SECONDS=60 test/server test/soak/run

soak-planted: ## The same on builds with bugs planted in them, which it must find (half an hour; SOAK=name for one)
	$(RUN) test/soak/planted $(SOAK)

bench: ## What keeping versions costs, beside other ways: tables, and docs/performance.svg (under ten minutes)
	$(RUN) bench/run

bench-quick: ## The same in a minute, instruction counts only; fails if one is over its limit
	$(RUN) test/bootstrap valgrind >/dev/null
	$(RUN) test/server bench/quick

bench-batch: ## What a batch of a thousand rows costs, beside the same by hand
	$(RUN) test/server bench/batch

bench-hot-row: ## What eight clients on one row get done: locks, SERIALIZABLE, and the guard with occ.retry()
	$(RUN) test/server bench/hot_row

test-matrix: ## All of that on Debian 12, 13 and testing, in chroots (MATRIX=trixie for one; MATRIX_GOALS="regress tap"; MATRIX_FRESH=1)
	$(RUN) test/matrix $(MATRIX)

test-pg-upgrade: ## pg_upgrade from the oldest PostgreSQL installed here to the newest; installs into both, so best in a chroot
	$(RUN) test/pg_upgrade

deb: ## Debian packages of HEAD, in build/deb
	$(RUN) test/package

deb-check: ## ... installed and tested as autopkgtest does it; best in a chroot: MATRIX_GOALS=deb-check make test-matrix
	$(RUN) test/package install

lint: ## Format, warnings, symbols, and that no test is left out
	$(RUN) REGRESS='$(REGRESS)' ISOLATION='$(ISOLATION)' test/lint

tidy: ## clang-tidy and cppcheck over src/ (slow, so not part of lint)
	$(RUN) test/tidy

format: ## clang-format the sources in place
	$(RUN) test/bootstrap clang-format >/dev/null
	@clang-format -i $(wildcard src/*.cpp src/*.hpp test/*/*.cpp test/*/*.hpp)

ifneq ($(filter-out $(OWN_GOALS),$(or $(MAKECMDGOALS),all)),)

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
INCLUDEDIR_SERVER := $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)

# libpq-dev brings a pg_config too, which names files that only postgresql-server-dev-NN has.
ifeq ($(and $(wildcard $(PGXS)),$(wildcard $(INCLUDEDIR_SERVER)/postgres.h)),)
$(error $(PG_CONFIG) leads to no PostgreSQL server headers: install postgresql-server-dev-NN or run "make bootstrap")
endif

OCC_LOCK_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(HERE)$(EXTENSION).control)

# -isystem, because server headers warn under our flags and use `register`, which C++20 has dropped.
PG_CPPFLAGS = -isystem $(INCLUDEDIR_SERVER) -DOCC_LOCK_VERSION='"$(OCC_LOCK_VERSION)"'
PG_CXXFLAGS = $(OUR_CXXFLAGS)
EXTRA_CLEAN = build .built-for

include $(PGXS)

# PostgreSQL has COPT for C only, and the bitcode rule does not know PG_CXXFLAGS either.
override CXXFLAGS += $(COPT)
BITCODE_CXXFLAGS += $(OUR_CXXFLAGS) $(COPT)

# PostgreSQL's own flags are for GCC if it was built with GCC.
ifneq ($(findstring clang,$(CXX)),)
override CXXFLAGS += -Wno-unknown-warning-option
endif

# Objects for one server version are no good for another, so a change of PG_CONFIG builds them again.
BUILT_FOR := $(shell $(PG_CONFIG) --version)
ifneq ($(BUILT_FOR),$(shell cat .built-for 2>/dev/null))
$(shell echo '$(BUILT_FOR)' >.built-for)
endif

ifneq ($(HERE),)
$(shell mkdir -p src)
endif

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(HERE)src/*.hpp) $(HERE)Makefile $(HERE)$(EXTENSION).control .built-for

# Not part of installcheck, because not every machine has the Perl modules.
prove_installcheck:
	$(prove_installcheck)

endif
