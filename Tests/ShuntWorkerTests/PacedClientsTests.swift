import ExchangeCodec
import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntWorker

@Suite("Clients that may send only so much")
struct PacedClientsTests {
    private let client = ConnectionID(loop: 0, slot: 1, generation: 1)
    /// PUBLISH of QoS 0, 5 bytes.
    private let publish: [UInt8] = [0x30, 3, 0, 1, 0x61]
    private let ping: [UInt8] = [0xC0, 0]

    private func listener(_ protocolName: Configuration.Worker.ListenerProtocol, messages: Int = 0, bytes: Int = 0) throws -> ListenerSetup {
        var listener = Configuration.Worker.Listener(protocol: protocolName, listen: .tcp(HostPort("127.0.0.1", 0)))
        (listener.limits.messagesPerSecond, listener.limits.bytesPerSecond) = (messages, bytes)
        return ListenerSetup(name: "test", listener, tls: nil)
    }

    private func portion(_ paced: PacedClients, _ bytes: [UInt8], _ listener: ListenerSetup, now: Double) throws -> PacedClients.Portion {
        let pace = try #require(listener.pace)
        return bytes.withUnsafeBytes { paced.portion(of: $0, from: client, of: listener, pace, now: now) }
    }

    @Test("a client sends as many messages at once as in a second, then waits; what is no message does not count")
    func messages() throws {
        let listener = try listener(.mqtt, messages: 2)
        var paced = PacedClients()
        let bytes = ping + publish + ping + publish + publish + publish
        let first = try portion(paced, bytes, listener, now: 100)
        // The third goes through, and is paid off.
        #expect(first.count == 2 * 2 + 3 * 5 && first.wait == 0.5)
        let isHeld = paced.took(first, from: client, now: 100)
        #expect(isHeld && Array(paced.held) == [client])
        let due = [paced.due(now: 100.4), paced.due(now: 100.5)]
        #expect(due == [[], [client]] && Array(paced.held) == [] && paced.holds == 1)
        #expect(try portion(paced, publish, listener, now: 100.5).wait == 0.5)
        #expect(try portion(paced, publish, listener, now: 101).wait == 0)
        paced.closed(client)
        #expect(try portion(paced, bytes, listener, now: 101).count == 19)
    }

    @Test("bytes are those of messages; a message that is larger than a second's goes through, and is paid off")
    func bytes() throws {
        let listener = try listener(.exchange, bytes: 100)
        var paced = PacedClients()
        let message = Frame(.message, id: 1, value: [UInt8](repeating: 7, count: 300), name: "t").encoded()
        let subscribe = Frame(.subscribe, id: 1, value: [UInt8](repeating: 7, count: 300)).encoded()
        let portion = try portion(paced, subscribe + message + message, listener, now: 0)
        #expect(portion.count == subscribe.count + message.count)
        #expect(portion.wait == Double(message.count - 100) / 100)
        let isHeld = paced.took(portion, from: client, now: 0)
        #expect(isHeld)
    }

    @Test("what is incomplete or no protocol at all is taken as it is", arguments: [0, 1, 4, 16, 17, 18])
    func incomplete(count: Int) throws {
        let exchange = try listener(.exchange, messages: 1), mqtt = try listener(.mqtt, messages: 1)
        let frame = Array(Frame(.message, id: 1, value: [1, 2, 3], name: "t").encoded().prefix(count))
        #expect(try portion(PacedClients(), frame, exchange, now: 0).count == count)
        #expect(try portion(PacedClients(), Array(publish.prefix(count)), mqtt, now: 0).count == min(5, count))
        #expect(try portion(PacedClients(), [UInt8](repeating: 0xFF, count: count), exchange, now: 0).count == count)
        #expect(try portion(PacedClients(), [UInt8](repeating: 0xFF, count: count), mqtt, now: 0).count == count)
    }

    @Test("a listener without limits paces nobody, and counts nobody")
    func none() throws {
        let open = try listener(.mqtt)
        #expect(open.pace == nil && open.gate == nil)
    }
}
