import Glibc
import ShuntCore

// What the subscription index costs: nanoseconds to find a topic's route and choose its members, bytes a subscription and a route.
// `routing-bench` prints one line a case.

/// Monotonic nanoseconds.
func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Resident bytes of this process.
func resident() -> Int {
    var text = [CChar](repeating: 0, count: 128)
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    guard fgets(&text, 128, file) != nil else { return 0 }
    var place = 0
    while text[place] != 32 { place += 1 }
    return Int(strtol(Array(text[place...]), nil, 10)) * sysconf(Int32(_SC_PAGESIZE))
}

struct Bench {
    var index = SubscriptionIndex()
    var chosen: ContiguousArray<Recipient> = []
    var last: UInt64 = 0

    mutating func subscribe(_ filter: String, group: String = "all", connection: UInt32) {
        last += 1
        _ = index.insert(
            Subscription(
                id: SubscriptionID(raw: last), connection: ConnectionID(loop: 0, slot: connection, generation: 0), filter: filter,
                group: group))
    }

    mutating func unsubscribe(_ filter: String, group: String = "all", connection: UInt32) {
        _ = index.remove(connection: ConnectionID(loop: 0, slot: connection, generation: 0), filter: filter, group: group, key: nil)
    }

    /// Sends a message to each topic in turn.
    /// - Returns: nanoseconds a message.
    mutating func send(_ topics: [[UInt8]], messages: Int, meanwhile: (inout Bench, Int) -> Void = { _, _ in }) -> Double {
        let start = nanoseconds()
        var reached = 0
        var route = RouteReference.none
        var at = 0
        for message in 0..<messages {
            topics[at].withUnsafeBytes { topic in
                route = index.route(of: topic, last: route) { _ in .none }
                index.select(route, key: nil, into: &chosen)
            }
            reached += chosen.count
            at = at + 1 == topics.count ? 0 : at + 1
            // An event of a loop has some 64 messages.
            if message % 64 == 63 {
                index.trimRoutes()
                meanwhile(&self, message)
            }
        }
        precondition(reached > 0)
        return Double(nanoseconds() - start) / Double(messages)
    }
}

func sensors(_ count: Int, from first: Int = 0) -> [[UInt8]] {
    (first..<first + count).map { Array("site/\($0 % 97)/sensor/\($0)/temp".utf8) }
}

func line(_ what: String, _ value: Double, _ unit: String) { print("\(what): \(Int(value.rounded())) \(unit)") }

/// A case in a process of its own: what one gives back would hide what the next one takes.
let cases: [(name: String, run: () -> Void)] = [
    (
        "topics",
        {
            var bench = Bench()
            bench.subscribe("site/+/sensor/+/temp", connection: 1)
            line("one topic again and again", bench.send(sensors(1), messages: 5_000_000), "ns a message")
            line("1,000 topics in turn", bench.send(sensors(1000), messages: 2_000_000), "ns a message")
        }
    ),
    (
        "new",
        {
            var bench = Bench()
            bench.subscribe("site/+/sensor/+/temp", connection: 1)
            let topics = sensors(60_000)
            let before = resident()
            line("60,000 new topics", bench.send(topics, messages: 60_000), "ns a message")
            line("memory of a route", Double(resident() - before) / 60_000, "bytes")
            line("the same topics again", bench.send(topics, messages: 600_000), "ns a message")
            let busy = bench.send(topics, messages: 600_000) { bench, message in
                // At a million messages a second, 400 patterns a second.
                guard message % 2496 < 64 else { return }
                let number = message / 2496
                bench.subscribe("site/\(number % 97)/alarm/+", connection: 2)
                bench.unsubscribe("site/\((number + 96) % 97)/alarm/+", connection: 2)
            }
            line("the same while patterns come and go", busy, "ns a message")
        }
    ),
    (
        "many",
        {
            var bench = Bench()
            bench.subscribe("site/+/sensor/+/temp", connection: 1)
            line("300,000 topics in turn", bench.send(sensors(300_000), messages: 1_200_000), "ns a message")
        }
    ),
    (
        "literals",
        {
            let before = resident()
            var bench = Bench()
            for number in 0..<300_000 { bench.subscribe("device/\(number)/commands", connection: UInt32(number / 100)) }
            line("300,000 literal subscriptions", Double(resident() - before) / 300_000, "bytes each")
            withExtendedLifetime(bench) {}
        }
    ),
    (
        "patterns",
        {
            let before = resident()
            var bench = Bench()
            for number in 0..<10_000 { bench.subscribe("site/\(number)/+/temp", connection: UInt32(number / 100)) }
            line("10,000 patterns", Double(resident() - before) / 10_000, "bytes each")
            withExtendedLifetime(bench) {}
        }
    ),
]

if CommandLine.arguments.count > 1 {
    guard let wanted = cases.first(where: { $0.name == CommandLine.arguments[1] }) else {
        print("routing-bench [\(cases.map(\.name).joined(separator: " | "))]")
        exit(64)
    }
    wanted.run()
} else {
    for one in cases {
        var child: pid_t = 0
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(CommandLine.arguments[0]), strdup(one.name), nil]
        fflush(nil)
        guard posix_spawn(&child, "/proc/self/exe", nil, nil, arguments, environ) == 0 else { exit(71) }
        waitpid(child, nil, 0)
        arguments.forEach { free($0) }
    }
}
