# `make run` and `make test` install what is missing, so that a fresh Debian 12 with Swift 6.3 is enough.

SWIFT ?= swift
PYTHON ?= python3
PREFIX ?= /usr/local
# The runtime is linked in: the binary needs no Swift on the machine, and starts in less memory.
RELEASE := -c release --static-swift-stdlib
BUILD_PACKAGES := libcrypt-dev libcurl4-openssl-dev liblua5.4-dev libsqlite3-dev libssl-dev libuv1-dev libwslay-dev liblz4-dev libsnappy-dev zlib1g-dev
TEST_PACKAGES := chromium curl mosquitto mosquitto-clients node-mqtt python3-venv
FORMATTED := Package.swift Sources Tests Benchmarks

.PHONY: all build run test tidy format format-check unit-test end-to-end examples fuzz fuzz-briefly fuzz-rules fuzz-rules-briefly fuzz-mqtt fuzz-mqtt-briefly bench bench-briefly install clean packages test-packages

all: build

## Installs the Debian packages that are missing.
packages:
	@scripts/packages $(BUILD_PACKAGES)

test-packages: packages
	@scripts/packages $(TEST_PACKAGES)

## Leaves the release binary at .build/release/shunt.
build: packages
	$(SWIFT) build $(RELEASE) --product shunt

## A master and a worker in one process, on config/dev.yaml.
run: build
	@exec .build/release/shunt dev --config config/dev.yaml

## Everything that CI runs.
test: test-packages tidy unit-test build end-to-end examples fuzz-briefly fuzz-rules-briefly fuzz-mqtt-briefly bench-briefly
	@echo "All tests passed."

## Lengths, the code map, unsafe code without a reason, and the English of comments and pages; the layout of Swift code.
tidy: format-check
	$(PYTHON) Tests/Tidy/test_tidy.py
	scripts/tidy

format-check:
	$(SWIFT) format lint --strict --parallel -r $(FORMATTED)

## Lays the Swift code out as format-check wants it.
format:
	$(SWIFT) format -i --parallel -r $(FORMATTED)

unit-test: packages
	$(SWIFT) build --build-tests
	scripts/unit-tests

## The real binary, with clients that were written apart from it; two files at a time.
end-to-end: build
	@scripts/pytest -n 2 --dist loadfile Tests/EndToEnd

examples: build
	.build/release/shunt rule test examples/recipes
	@set -e; for example in examples/*/run; do echo "== $$example"; $$example; done

fuzz-briefly: packages
	$(SWIFT) build $(RELEASE) --product wire-fuzz
	.build/release/wire-fuzz --seconds 10 --seed 1

## Ten minutes over the readers of what comes over the wire.
fuzz: packages
	$(SWIFT) build $(RELEASE) --product wire-fuzz
	.build/release/wire-fuzz --seconds 600 --seed $$(date +%s)

fuzz-rules-briefly: packages
	Tests/RulesFuzz/build .build/rules-fuzz
	.build/rules-fuzz --seconds 40 --seed 1 Tests/RulesFuzz/corpus/*.lua

## Ten minutes of hostile rules over the Lua host, with sanitizers: `make fuzz-rules SECONDS=60 SEED=1` for other times and rules.
fuzz-rules: packages
	Tests/RulesFuzz/build .build/rules-fuzz
	.build/rules-fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),$$(date +%s)) Tests/RulesFuzz/corpus/*.lua

fuzz-mqtt-briefly: build test-packages
	scripts/python Tests/MQTTFuzz/fuzz --seconds 20 --seed 1

## Ten minutes of random conversations with Shunt and with Debian's mosquitto, compared: `make fuzz-mqtt SECONDS=60 SEED=1`.
fuzz-mqtt: build test-packages
	scripts/python Tests/MQTTFuzz/fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),$$(date +%s))

bench-briefly: build test-packages
	$(SWIFT) build $(RELEASE) --product shunt-bench
	Benchmarks/compare start rules tls websocket --rounds 1 --messages 200000

## Throughput, latency, memory and start-up, beside peers in the same run.
bench: build
	@scripts/packages libnginx-mod-stream mosquitto nats-server nginx openssl redis-server valgrind
	$(SWIFT) build $(RELEASE) --product shunt-bench
	Benchmarks/compare

install: build
	install -D -m 755 .build/release/shunt $(DESTDIR)$(PREFIX)/bin/shunt

clean:
	rm -rf .build
