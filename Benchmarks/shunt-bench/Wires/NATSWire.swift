/// The protocol of nats-server, without acknowledgements. Consumers subscribe without a queue group, as its clients do where each shall
/// get all.
struct NATSWire: Wire {
    func greeting(client: Int) -> [UInt8] {
        Array(#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"name":"bench-\#(client)","lang":"swift","version":"1"}"#.utf8)
            + Array("\r\n".utf8)
    }

    var welcome: Welcome { .line }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (Array("SUB \(subject(topic)) 1\r\nPING\r\n".utf8), "PONG\r\n".utf8.count)
    }

    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (Array("UNSUB 1\r\nPING\r\n".utf8), "PONG\r\n".utf8.count)
    }

    func publish(topic: String, payload: [UInt8], id: Int64) -> [UInt8] {
        Array("PUB \(subject(topic)) \(payload.count)\r\n".utf8) + payload + Array("\r\n".utf8)
    }

    func deliverySize(topic: String, payload: [UInt8]) -> Int {
        "MSG \(subject(topic)) 1 \(payload.count)\r\n".utf8.count + payload.count + 2
    }

    var acknowledgementSize: Int { 0 }

    /// Levels are parted by dots; `*` is one level, `>` all that follow.
    private func subject(_ topic: String) -> String {
        String(topic.map { ["/": ".", "+": "*", "#": ">"][$0] ?? $0 })
    }
}
