# `make run` and `make test` install what is missing, so that a fresh Debian 12 with Swift 6.3 is enough.

SWIFT ?= swift
PYTHON ?= python3
# Beside swift in its toolchain.
DOCC ?= docc
PREFIX ?= /usr/local
# The runtime is linked in: the binary needs no Swift on the machine, and starts in less memory.
RELEASE := -c release --static-swift-stdlib
BUILD_PACKAGES := libcrypt-dev libcurl4-openssl-dev liblua5.4-dev libsqlite3-dev libssl-dev libuv1-dev libwslay-dev liblz4-dev libsnappy-dev zlib1g-dev
# debhelper makes the Debian package.
PACKAGING_PACKAGES := debhelper dpkg-dev
TEST_PACKAGES := chromium curl mosquitto mosquitto-clients node-mqtt prometheus python3-venv $(PACKAGING_PACKAGES) adduser fish groff iproute2 lintian mandoc systemd zsh
FORMATTED := Package.swift Sources Tests Benchmarks examples/swift-client

.PHONY: all build run test tidy format format-check unit-test end-to-end examples swift-client docc fuzz fuzz-briefly fuzz-rules fuzz-rules-briefly fuzz-mqtt fuzz-mqtt-briefly bench bench-briefly install deb package-test clean packages test-packages

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
test: test-packages tidy unit-test build end-to-end examples
	@$(MAKE) --no-print-directory -j 2 --output-sync fuzz-rules-briefly fuzz-briefly fuzz-mqtt-briefly
	@$(MAKE) --no-print-directory bench-briefly
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

## The real binary, with clients that were written apart from it; five files at a time: most of them wait most of the time.
end-to-end: build
	@scripts/pytest -n 5 --dist loadfile --ignore Tests/EndToEnd/installing/test_package.py Tests/EndToEnd

## The Debian package, from lintian to purge; as root, in a copy of the machine. Two minutes, and so not a part of `make test`.
package-test: build test-packages
	@scripts/pytest Tests/EndToEnd/installing/test_package.py

examples: build
	.build/release/shunt rule test examples/recipes
	@set -e; for example in examples/*/run; do echo "== $$example"; $$example; done

## The example package examples/swift-client, built by itself and run at a master and a worker. It takes minutes: SwiftNIO is built anew.
swift-client: build
	$(SWIFT) build --package-path examples/swift-client --scratch-path .build/swift-client
	SWIFT_CLIENT=.build/swift-client/debug/swift-client scripts/pytest Tests/EndToEnd/test_swift_client.py

## The pages of the library ShuntClient, in .build/ShuntClient.doccarchive; a link that leads nowhere is an error. It builds the library anew.
docc: packages
	mkdir -p .build/docc/symbols .build/docc/client
	$(SWIFT) build --scratch-path .build/docc --target ShuntClient -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir \
	    -Xswiftc $(CURDIR)/.build/docc/symbols
	cp .build/docc/symbols/ShuntClient.symbols.json .build/docc/client/
	$(DOCC) convert Sources/ShuntClient/ShuntClient.docc --additional-symbol-graph-dir .build/docc/client \
	    --output-path .build/ShuntClient.doccarchive --fallback-display-name ShuntClient --fallback-bundle-identifier shunt.ShuntClient \
	    --warnings-as-errors

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

## schemathesis over the admin API's document: `make fuzz-api EXAMPLES=500 SEED=7` for more requests and others.
fuzz-api: build test-packages
	EXAMPLES=$(or $(EXAMPLES),100) SEED=$(or $(SEED),$$(date +%s)) scripts/pytest Tests/EndToEnd/admin_api/test_fuzz.py

bench-briefly: build test-packages
	$(SWIFT) build $(RELEASE) --product shunt-bench
	Benchmarks/compare start rules tls websocket --rounds 1 --messages 200000

## Throughput, latency, memory and start-up, beside peers in the same run.
bench: build
	@scripts/packages libnginx-mod-stream mosquitto nats-server nginx openssl redis-server valgrind
	$(SWIFT) build $(RELEASE) --product shunt-bench
	Benchmarks/compare

## The binary, units, configuration, manual pages, completions, plugins, examples: below PREFIX, and SYSCONFDIR for the configuration. DESTDIR
## goes before each path. docs/install.md tells the rest.
install: build
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" SYSCONFDIR="$(SYSCONFDIR)" packaging/install

## A Debian package, in .build/packages.
deb: build
	@scripts/packages $(PACKAGING_PACKAGES)
	@packaging/deb

clean:
	rm -rf .build
