import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Chats under any history")
struct ChatHistoryTests {
    /// The same numbers for the same seed, on every machine.
    struct Seeded: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    /// What clients have seen, checked as it happens.
    struct Witness {
        /// Frames that are not answered yet, by id.
        var open: [Int64: ConnectionID] = [:]
        /// The last text of each sender that each receiver got.
        var last: [ConnectionID: [String: Int]] = [:]
        var questions: [(request: UInt64, chat: String)] = []
        /// The chats that the master has been told of.
        var known: Set<String> = []
        var gone: Set<ConnectionID> = []

        mutating func see(_ action: ChatAction) {
            switch action {
            case .acknowledge(let connection, .exchange(let id)), .acknowledgeConfirmed(let connection, .exchange(let id)),
                .refuse(let connection, .exchange(let id), _), .redirect(let connection, .exchange(let id), _):
                #expect(open.removeValue(forKey: id) == connection, "frame \(id) answered twice, or to somebody else")
            case .deliver(let connection, let chat, .session, let payload):
                #expect(!gone.contains(connection), "delivered to a connection that has gone")
                let parts = String(decoding: payload.bytes, as: UTF8.self).split(separator: " ")
                let (sender, number) = (String(parts[0]), Int(parts[1]) ?? 0)
                #expect(sender != connection.description, "a message came back to its sender")
                let before = last[connection, default: [:]].updateValue(number, forKey: chat + " " + sender) ?? -1
                #expect(before < number, "messages were overtaken")
            case .deliver: break
            case .wait, .acknowledge, .acknowledgeConfirmed, .refuse, .redirect: Issue.record("what only clients of MQTT cause")
            case .askMaster(let request, let chat): questions.append((request, chat))
            case .tellMaster(.held(let summary)): known.insert(summary.chat)
            case .tellMaster(.closed(let chat, _)): known.remove(chat)
            case .report: break
            }
        }
    }

    @Test("Each frame is answered once, order is kept, nobody hears himself, and nothing is left behind", arguments: 1...40)
    func history(seed: UInt64) {
        var random = Seeded(state: seed)
        let limits = ChatSettings.Limits(perConnection: 3, heldMessages: 4, heldBytes: 400, waiting: 5, memory: 2000)
        var house = ChatHouse(ChatSettings(members: Int.random(in: 2...4, using: &random), rejoin: 5, idle: 30, limits: limits))
        var witness = Witness()
        var clients = (0..<6).map { client($0, $0) }
        var (now, id) = (1000.0, Int64(0))
        func run(_ event: ChatEvent) { for action in house.handle(event, now: now) { witness.see(action) } }
        for step in 0..<600 {
            let number = Int.random(in: 0..<clients.count, using: &random)
            let client = clients[number]
            let chat = ["a", "b", "c", "d"].randomElement(using: &random) ?? "a"
            switch random.next() % 16 {
            case 0..<9:
                id += 1
                witness.open[id] = client.connection
                let key: ChatKey = [.create, .create, .session, .session, .session, .session, .destroy][Int(random.next() % 7)]
                run(.request(ChatRequest(client, .exchange(id: id), chat: chat, key, ChatPayload(text: "\(client.connection) \(step)"))))
            case 9, 10:
                // The connection is lost; the client comes back on another.
                for (frame, owner) in witness.open where owner == client.connection { witness.open[frame] = nil }
                witness.gone.insert(client.connection)
                run(.left(client.connection))
                clients[number] = self.client(number, 10 + step)
            case 11, 12, 13:
                guard let question = witness.questions.popLast() else { continue }
                let answer: ChatAssignment = [.granted, .granted, .elsewhere("w:1"), .unavailable][Int(random.next() % 4)]
                run(.answer(chat: question.chat, request: question.request, answer))
            case 14 where random.next() % 8 == 0:
                run(random.next() % 2 == 0 ? .close(chat: chat) : .moved(chat: chat, to: "w:2"))
                witness.known.remove(chat)
            default:
                now += Double(random.next() % 3000) / 1000
                run(.tick)
            }
            #expect(house.heldBytes >= 0 && house.heldBytes <= limits.memory)
        }
        #expect(witness.known == Set(house.summaries().map(\.chat)))
        now += 100
        run(.tick)
        now += 100
        run(.tick)
        #expect(witness.open.isEmpty)
        #expect(house.count == 0)
        #expect(house.heldBytes == 0)
        #expect(house.isEmpty)
    }

    /// Odd clients have a uid.
    private func client(_ number: Int, _ slot: Int) -> ChatMember {
        ChatMember(ConnectionID(loop: 0, slot: UInt32(slot), generation: 1), uid: number % 2 == 0 ? "" : "u\(number)")
    }
}
