import ShuntClient

/// Publishes ten orders by a worker that a master names, and prints what a consumer gets of them: `swift-client [MASTER]`.
@main
struct SwiftClient {
    static func main() async throws {
        let address = CommandLine.arguments.dropFirst().first ?? "127.0.0.1:4088"
        guard let master = HostPort(address) else {
            throw ShuntError(.usage, "'\(address)' is no address", help: "a master's, such as 127.0.0.1:4088")
        }
        let route = ClientRoute.masters([master])
        let consumer = try await Consumer.subscribe(ConsumerConfiguration(route: route, topic: "orders/#", group: "billing"))
        let producer = try await Producer.connect(ProducerConfiguration(route: route))

        let receiving = Task {
            var count = 0
            for try await message in consumer {
                print("\(message.topic) \(message.key ?? "-"): \(String(decoding: try message.unpackedPayload(), as: UTF8.self))")
                count += 1
                if count == 10 { break }
            }
        }
        for number in 1...10 { try await send(number, by: producer) }
        try await receiving.value
        producer.close()
        consumer.close()
    }

    /// Sends an order, and says what became of it where it was not acknowledged.
    private static func send(_ number: Int, by producer: Producer) async throws {
        let order = OutgoingMessage(topic: "orders/eu", json: #"{"id":\#(number)}"#, key: "eu-\(number % 2)")
        do {
            try await producer.send(number > 5 ? order.packed(by: .gzip) : order)
        } catch let failure as SendFailure {
            switch failure.outcome {
            case .refused(let refusal) where refusal.code == .topicNoSubscriber: print("nobody has subscribed \(order.topic)")
            case .refused(let refusal): print("refused: \(refusal)")
            case .unknown: print("order \(number) may have arrived, or not: \(failure)")
            case .notSent: print("order \(number) has not left: \(failure)")
            }
            throw failure
        }
    }
}
