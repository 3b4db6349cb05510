import Testing

@testable import ShuntCore

@Suite("The clients that a worker has refused")
struct RefusedClientsTests {
    private func client(_ host: String, _ user: String = "", _ reason: String = "password", listener: Int = 0) -> RefusedClients.Client {
        var address = PeerAddress(host: host) ?? .unix
        if !address.isUnix { address.port = 5_000 }
        return RefusedClients.Client(address: address, user: user, reason: reason, listener: listener)
    }

    private func listed(_ clients: RefusedClients, _ query: RefusedQuery = RefusedQuery()) -> [String] {
        clients.list(query).latest.map { "\($0.client.address.host) \($0.client.user) \($0.client.reason) \($0.refusals.count)" }
    }

    @Test("Each address, user, reason and listener is counted by itself, the latest first; ports mean nothing")
    func counts() {
        var clients = RefusedClients(capacity: 100)
        let port = PeerAddress(ipv4: 0x0A00_0001, port: 7)
        clients.note(client("10.0.0.1", "ann"), now: 1)
        clients.note(.init(address: port, user: "ann", reason: "password", listener: 0), now: 5)
        clients.note(client("10.0.0.1", "ann", "banned"), now: 2)
        clients.note(client("10.0.0.1", "bob"), now: 3)
        clients.note(client("10.0.0.1", "ann", listener: 1), now: 4)
        let (latest, total) = clients.list(RefusedQuery(limit: 2))
        #expect(total == 4 && latest.map(\.client.listener) == [0, 1])
        #expect(latest.first?.refusals == .init(count: 2, firstAt: 1, lastAt: 5))
        #expect(listed(clients) == ["10.0.0.1 ann password 2", "10.0.0.1 ann password 1", "10.0.0.1 bob password 1", "10.0.0.1 ann banned 1"])
    }

    @Test("A list is of some addresses, or of a user")
    func filters() {
        var clients = RefusedClients(capacity: 100)
        for (time, (host, user)) in [("10.0.0.1", "ann"), ("10.1.0.1", "bob"), ("2001:db8::1", "ann"), ("unix", "ann")].enumerated() {
            clients.note(client(host, user), now: Double(time))
        }
        let table: [(addresses: String?, user: String?, times: [Double])] = [
            (nil, nil, [3, 2, 1, 0]), ("10.0.0.0/8", nil, [1, 0]), ("10.0.0.1", nil, [0]), ("2001:db8::/32", nil, [2]), ("::/0", nil, [2]),
            (nil, "ann", [3, 2, 0]), ("10.0.0.0/8", "ann", [0]), (nil, "an", []),
        ]
        for row in table {
            let found = clients.list(RefusedQuery(addresses: row.addresses.flatMap { AddressRange($0) }, user: row.user))
            #expect(found.latest.map(\.refusals.lastAt) == row.times && found.total == row.times.count, "\(row)")
        }
    }

    @Test("User names are cut and printable: a password, or a token, that was typed there is not shown in full")
    func users() {
        let table = [
            "ann": "ann", "": "", "jürgen": "jürgen", "a\u{1B}[2Jb": "a\\u{1B}[2Jb", "a\nb": "a\\nb", "\u{202E}x": "\\u{202E}x",
            String(repeating: "x", count: 32): String(repeating: "x", count: 32),
            String(repeating: "x", count: 33): String(repeating: "x", count: 32) + "…",
            String(repeating: "ü", count: 17): String(repeating: "ü", count: 16) + "…",
            "a" + String(repeating: "ü", count: 17): "a" + String(repeating: "ü", count: 15) + "…",
        ]
        for (user, shown) in table { #expect(RefusedClients.shown(user) == shown) }
        let long = String(repeating: "x", count: 40)
        var clients = RefusedClients(capacity: 100)
        clients.note(client("10.0.0.1", long), now: 0)
        #expect(clients.list(RefusedQuery(user: long)).total == 1, "whoever asks may give the whole name")
    }

    @Test("A full list stays within its bound: who was refused once long ago makes way, who comes again and again stays")
    func bound() {
        var clients = RefusedClients(capacity: 100)
        for time in 0..<3 { clients.note(client("10.9.9.9", "guesser"), now: Double(time)) }
        for number in 0..<10_000 {
            clients.note(client("10.0.\(number / 256).\(number % 256)"), now: Double(10 + number))
            #expect(clients.count <= 100)
        }
        let all = clients.list(RefusedQuery(limit: 100))
        #expect(all.latest.first?.refusals.lastAt == 10_009 && all.latest.last?.client.user == "guesser" && all.total >= 75)
        // If all have come again and again, those longest ago make way.
        for number in 0..<1_000 { for _ in 0..<2 { clients.note(client("10.1.\(number / 256).\(number % 256)"), now: Double(20_000 + number)) } }
        #expect(clients.count <= 100 && !listed(clients).contains { $0.contains("guesser") })
    }

    @Test("What loops have noted comes together")
    func adds() {
        var one = RefusedClients(capacity: 100)
        var other = RefusedClients(capacity: 100)
        one.note(client("10.0.0.1"), now: 5)
        other.note(client("10.0.0.1"), now: 2)
        other.note(client("10.0.0.2"), now: 9)
        one.add(other.take())
        #expect(other.isEmpty && listed(one) == ["10.0.0.2  password 1", "10.0.0.1  password 2"])
        #expect(one.list(RefusedQuery()).latest.last?.refusals == .init(count: 2, firstAt: 2, lastAt: 5))
    }

    @Test("The lists of several workers are one, the latest first, within the limit")
    func merges() {
        func record(_ at: Double) -> RefusedRecord {
            RefusedRecord(address: "10.0.0.1", user: "", reason: "password", listener: "mqtt", count: 1, firstAt: 0, lastAt: at)
        }
        var list = RefusedList(limit: 3)
        list.add([record(5), record(1)], total: 2, of: "a:1")
        list.add([record(9), record(3)], total: .max, of: "b:1")
        #expect(list.refused.map(\.lastAt) == [9, 5, 3] && list.refused.map(\.worker) == ["b:1", "a:1", "b:1"] && list.total == .max)
    }
}
