/// The protocol of redis: publish and subscribe, where the sender of each message is told how many got it.
struct RedisWire: Wire {
    func greeting(client: Int) -> [UInt8] { [] }

    var welcome: Welcome { .nothing }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        let answer = "*3\r\n" + Self.bulk("subscribe") + Self.bulk(topic) + ":1\r\n"
        return (Self.command(["SUBSCRIBE", topic]), answer.utf8.count)
    }

    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        let answer = "*3\r\n" + Self.bulk("unsubscribe") + Self.bulk(topic) + ":0\r\n"
        return (Self.command(["UNSUBSCRIBE", topic]), answer.utf8.count)
    }

    func publish(topic: String, payload: [UInt8], id: Int64) -> [UInt8] {
        Self.command(["PUBLISH", topic, String(decoding: payload, as: UTF8.self)])
    }

    func deliverySize(topic: String, payload: [UInt8]) -> Int {
        ("*3\r\n" + Self.bulk("message") + Self.bulk(topic) + Self.bulk(String(decoding: payload, as: UTF8.self))).utf8.count
    }

    /// `:1` with its line end. Loads with more consumers than nine of a topic have longer answers, and are not measured.
    var acknowledgementSize: Int { 4 }

    private static func command(_ words: [String]) -> [UInt8] {
        Array(("*\(words.count)\r\n" + words.map(bulk).joined()).utf8)
    }

    private static func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }
}
