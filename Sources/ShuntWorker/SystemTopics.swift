import ShuntCore
import ShuntEngine
import ShuntReactor

/// What a worker publishes of itself below `$SYS/broker`, in the names and units that mosquitto has and tools know.
struct SystemTopics {
    private let version: String
    private let startedAt: Double
    /// What was published last: a value that has not changed is not published again.
    private var published: [String: String] = [:]
    private var loads: [Load] = [
        Load(name: "messages/received") { $0.received }, Load(name: "messages/sent") { $0.sent },
        Load(name: "bytes/received") { $0.bytesReceived }, Load(name: "bytes/sent") { $0.bytesSent }, Load(name: "connections") { $0.accepted },
    ]
    private var lookedAt: Double?
    private var mostClients = 0

    /// - Parameter now: seconds since 1970.
    init(version: String, now: Double) {
        self.version = version
        startedAt = now
    }

    /// The figures of all loops, added up.
    struct Totals: Equatable {
        var connected = 0
        var absent = 0
        var received = 0
        var sent = 0
        var dropped = 0
        var bytesReceived = 0
        var bytesSent = 0
        var accepted = 0
        var retained = 0
        var retainedBytes = 0
        var subscriptions = 0
        var waiting = 0
        var waitingBytes = 0
        var inflight = 0
    }

    /// An average per minute over one, five and fifteen minutes.
    private struct Load {
        let name: String
        let count: (Totals) -> Int
        var last = 0
        var averages = [0.0, 0.0, 0.0]

        static let minutes = [1.0, 5.0, 15.0]

        init(name: String, count: @escaping (Totals) -> Int) {
            self.name = name
            self.count = count
        }

        mutating func look(_ totals: Totals, after seconds: Double) {
            let now = count(totals)
            let perMinute = Double(now - last) * 60 / seconds
            last = now
            for place in averages.indices {
                // An exponential average: after so many minutes, 63 % of a change has arrived.
                let weight = 1 - Self.decay(seconds / (60 * Self.minutes[place]))
                averages[place] += (perMinute - averages[place]) * weight
            }
        }

        /// The exponential of -x, for small positive x, closely enough for an average.
        private static func decay(_ x: Double) -> Double {
            var (term, sum) = (1.0, 1.0)
            for power in 1...8 {
                term *= x / Double(power)
                sum += term
            }
            return 1 / sum
        }
    }

    /// The topics below `$SYS/broker` that have changed, with their new values.
    mutating func changes(_ totals: Totals, now: Double) -> [(topic: String, value: String)] {
        if let lookedAt, now > lookedAt { for place in loads.indices { loads[place].look(totals, after: now - lookedAt) } }
        lookedAt = now
        mostClients = max(mostClients, totals.connected)
        var values: [(String, String)] = [
            ("version", "shunt version \(version)"), ("uptime", "\(Int(max(0, now - startedAt))) seconds"),
            ("clients/connected", "\(totals.connected)"), ("clients/disconnected", "\(totals.absent)"),
            ("clients/total", "\(totals.connected + totals.absent)"), ("clients/maximum", "\(mostClients)"),
            ("messages/received", "\(totals.received)"), ("messages/sent", "\(totals.sent)"),
            ("messages/inflight", "\(totals.inflight)"), ("messages/stored", "\(totals.waiting + totals.retained)"),
            ("publish/messages/received", "\(totals.received)"), ("publish/messages/sent", "\(totals.sent)"),
            ("publish/messages/dropped", "\(totals.dropped)"),
            ("bytes/received", "\(totals.bytesReceived)"), ("bytes/sent", "\(totals.bytesSent)"),
            ("retained messages/count", "\(totals.retained)"), ("store/messages/count", "\(totals.waiting + totals.retained)"),
            ("store/messages/bytes", "\(totals.waitingBytes + totals.retainedBytes)"), ("subscriptions/count", "\(totals.subscriptions)"),
        ]
        for load in loads {
            for (place, minutes) in ["1min", "5min", "15min"].enumerated() {
                values.append(("load/\(load.name)/\(minutes)", Self.twoDecimals(load.averages[place])))
            }
        }
        let changed = values.filter { published[$0.0] != $0.1 }
        for (topic, value) in changed { published[topic] = value }
        return changed
    }

    private static func twoDecimals(_ value: Double) -> String {
        let hundredths = Int((min(value, 1e15) * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 / 10)\(hundredths % 10)"
    }
}

extension SystemTopics.Totals {
    init(_ reports: [LoopReport]) {
        for report in reports {
            let (routing, loop) = (report.routing, report.loop)
            connected += routing.mqttClients
            absent += routing.absentSessions
            received += routing.requests
            sent += loop.delivered
            dropped += routing.dropped + routing.lostInSessions + routing.expiredInSessions + loop.droppedSlow
            bytesReceived += routing.requestBytes
            bytesSent += loop.bytesOut
            accepted += loop.accepted
            retained += routing.retained
            retainedBytes += routing.retainedBytes
            subscriptions += routing.subscriptions
            waiting += routing.waiting
            waitingBytes += routing.heldBytes
            inflight += routing.inflight
        }
    }
}
