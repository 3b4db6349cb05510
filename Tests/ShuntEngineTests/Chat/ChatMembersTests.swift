import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Members of a chat, §11.5")
struct ChatMembersTests {
    let ann = member(1, "ann"), bob = member(2, "bob"), cat = member(3, "cat")

    @Test("Who creates and who joins is acknowledged once, and the master and the hooks are told")
    func createAndJoin() {
        let house = HouseScript()
        #expect(
            house(create(ann, id: 7)) == [
                .acknowledge(connection(1), .exchange(id: 7)), .report(.opened(chat: "c", by: ann)),
                .tellMaster(.held(ChatSummary(chat: "c", createdAt: 1000, members: 1))),
            ])
        #expect(
            house(create(bob, id: 8)) == [
                .acknowledge(connection(2), .exchange(id: 8)), .report(.joined(chat: "c", bob)),
                .tellMaster(.held(ChatSummary(chat: "c", createdAt: 1000, members: 2))),
            ])
        #expect(house(create(ann, id: 9)) == [.acknowledge(connection(1), .exchange(id: 9))])
    }

    @Test("A message goes to every other member, never back to its sender, as it was packed (Q11)", arguments: 2...5)
    func everyOther(members: Int) {
        let house = HouseScript(members: members)
        for number in 1...members { house(create(member(number))) }
        let payload = ChatPayload([1, 2, 3], format: .json, compression: .lz4)
        let actions = house(.request(ChatRequest(member(2), .exchange(id: 5), chat: "c", .session, payload)))
        let others = (1...members).filter { $0 != 2 }
        let deliveries: [ChatAction] = others.map { .deliver(connection($0), chat: "c", .session, payload) }
        #expect(actions == deliveries + [.acknowledge(connection(2), .exchange(id: 5))])
    }

    @Test("What is sent before anybody has joined waits for the first who does, in order (§11.5.4)")
    func early() {
        let house = HouseScript(members: 3)
        house(create(ann))
        #expect(house.answers(send(ann, "one", id: 4)) == ["1/4:200"])
        house(send(ann, "two"))
        #expect(house.sent(create(bob)) == ["2<one", "2<two"])
        #expect(house.sent(create(cat)) == [])
        #expect(house.house.heldBytes == 0)
    }

    @Test(
        "Frames that can't be: an error of their own, and nothing else changes",
        arguments: [
            (send(member(3), "x"), "3/2:403 chat.not_member"), (leave(member(3)), "3/4:403 chat.not_member"),
            (destroy(member(3)), "3/3:403 chat.not_member"),
            (create(member(3, "cat")), "3/1:409 chat.full"), (create(member(3)), "3/1:409 chat.full"),
            (send(member(1, "ann"), "x", chat: "d"), "1/2:404 chat.unknown"),
            (destroy(member(1, "ann"), chat: "d"), "1/3:404 chat.unknown"),
        ])
    func refusals(_ event: ChatEvent, _ answer: String) {
        let house = HouseScript()
        house(create(ann))
        house(create(bob))
        let before = house.house.summaries()
        #expect(house.answers(event) == [answer])
        #expect(house.house.summaries() == before)
        #expect(house.sent(send(ann, "hi")) == ["2<hi"])
    }

    @Test("LEAVE frees the place at once; the last to leave ends the chat")
    func leaves() {
        let house = HouseScript()
        house(create(member(1, "ann", notices: true)))
        house(create(bob))
        #expect(
            house(leave(bob)) == [
                .acknowledge(connection(2), .exchange(id: 4)), .report(.left(chat: "c", bob)),
                .deliver(connection(1), chat: "c", .notice, ChatPayload(Array(#"{"event":"left","uid":"bob","for_good":true}"#.utf8), format: .json)),
                .tellMaster(.held(ChatSummary(chat: "c", createdAt: 1000, members: 1))),
            ])
        #expect(house.answers(send(bob, "x")) == ["2/2:403 chat.not_member"])
        #expect(house.answers(create(cat)) == ["3/1:200"])
        house(leave(cat))
        #expect(
            house(leave(ann)).suffix(2) == [
                .report(.closed(ChatView(id: "c", members: [], createdAt: 1000), .deserted)), .tellMaster(.closed(chat: "c", createdAt: 1000)),
            ])
        #expect(house.house.isEmpty)
    }

    @Test("Ids and uids that only look the same are different ones")
    func exactNames() {
        let house = HouseScript(members: 3)
        house(create(ann, chat: "caf\u{e9}"))
        #expect(house.answers(create(bob, chat: "cafe\u{301}")) == ["2/1:200"])
        #expect(house.house.count == 2)
        house(create(member(4, "\u{e9}")))
        house(create(member(5, "e\u{301}")))
        #expect(house.sent(send(member(5, "e\u{301}"), "hi")) == ["4<hi"])
    }

    @Test("Who registers while in a chat is known by that uid when it comes back; a uid that another member has is not taken")
    func named() {
        let house = HouseScript()
        house(create(member(1)))
        house(create(bob))
        house(.named(connection(1), uid: "bob"))
        house(.named(connection(1), uid: "ann"))
        house(.left(connection(1)))
        #expect(house.answers(create(member(9, "ann"))) == ["9/1:200"])
        #expect(house.sent(send(bob, "hi")) == ["9<hi"])
    }

    @Test("DESTROY goes to the others with its value, is acknowledged, and the id is free again")
    func destroys() {
        let house = HouseScript()
        house(create(ann))
        house(create(bob))
        let view = ChatView(id: "c", members: [.init(uid: "ann", isOnline: true), .init(uid: "bob", isOnline: true)], createdAt: 1000)
        #expect(
            house(destroy(ann)) == [
                .acknowledge(connection(1), .exchange(id: 3)), .deliver(connection(2), chat: "c", .destroy, ChatPayload(text: "c")),
                .report(.closed(view, .destroyed(by: ann))), .tellMaster(.closed(chat: "c", createdAt: 1000)),
            ])
        #expect(house.answers(send(bob, "x")) == ["2/2:404 chat.unknown"])
        #expect(house.answers(create(bob)) == ["2/1:200"])
        // The connections of the chat that is over have no part in the new one.
        #expect(house(.left(connection(1))) == [])
    }

    @Test("An operator's end, and a chat that counts elsewhere, reach all members")
    func ends() {
        let house = HouseScript()
        let reader = member(2, "bob", notices: true)
        house(create(ann))
        house(create(reader))
        #expect(house.sent(.close(chat: "c")) == ["1!c", "2!c"])
        #expect(house(.close(chat: "c")) == [])
        house(create(ann))
        house(create(reader))
        #expect(house.sent(.moved(chat: "c", to: "w2:4091")) == ["1!c", #"2?{"event":"moved","to":"w2:4091"}"#])
        house(create(ann))
        // The owner is another worker, so the master is not told that the chat is over.
        #expect(
            house(.moved(chat: "c", to: "w2:4091")) == [
                .deliver(connection(1), chat: "c", .destroy, ChatPayload(text: "c")),
                .report(.closed(ChatView(id: "c", members: [.init(uid: "ann", isOnline: true)], createdAt: 1000), .moved(to: "w2:4091"))),
            ])
    }

    @Test(
        "A name that is no chat id, and a key that is none, are refused",
        arguments: [
            (nil, "CREATE", "the chat frame has no chat id"), ([], "CREATE", "the chat frame has no chat id"),
            (Array(repeating: 0x61, count: 257), "CREATE", "the chat id has 257 bytes"),
            ([0x61, 0, 0x62], "CREATE", "the chat id has a NUL in it"), ([0xC3, 0x28], "CREATE", "the chat id is not UTF-8"),
            ([0x61], nil, "the chat frame has no key"),
            ([0x61], "create", "the chat frame's key is unknown"),
        ] as [([UInt8]?, String?, String)])
    func names(_ name: [UInt8]?, _ key: String?, _ message: String) {
        let error = #expect(throws: ShuntError.self) { try request(name, key) }
        #expect(error?.code == .chatInvalid)
        #expect(error?.message == message)
    }

    @Test("The longest chat id is taken")
    func longestName() throws {
        let made = try request(Array(repeating: 0x61, count: 256), "SESSION")
        #expect(made == ChatRequest(ann, .exchange(id: 9), chat: String(repeating: "a", count: 256), .session, ChatPayload(text: "v")))
    }

    private func request(_ name: [UInt8]?, _ key: String?) throws -> ChatRequest {
        let key = key.map { Array($0.utf8) }
        var view = FrameView(id: 9, type: .chat, format: .text, size: 0)
        var bytes: [UInt8] = [0]
        func append(_ part: [UInt8]?) -> FrameRange {
            guard let part else { return .absent }
            defer { bytes += part }
            return FrameRange(offset: UInt32(bytes.count), length: UInt32(part.count))
        }
        view.value = append(Array("v".utf8))
        view.name = append(name)
        view.key = append(key)
        return try bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { throw ShuntError(.internalError, "no bytes") }
            return try ChatRequest(view, in: start, from: ann)
        }
    }
}
