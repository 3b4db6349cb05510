import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Members that lose their connection, and chats that end by themselves")
struct ChatAbsenceTests {
    let ann = member(1, "ann"), bob = member(2, "bob")

    @Test("A member comes back by its uid on another connection, and gets what it missed in order")
    func rejoins() {
        let house = HouseScript()
        house(create(ann))
        house(create(bob))
        #expect(house(.left(connection(2))) == [.report(.left(chat: "c", bob))])
        #expect(house.answers(send(ann, "one")) == ["1/2:200"])
        house(send(ann, "two"))
        let back = member(9, "bob")
        #expect(
            house(create(back), at: 1059) == [
                .acknowledge(connection(9), .exchange(id: 1)), .report(.rejoined(chat: "c", back)),
                .deliver(connection(9), chat: "c", .session, ChatPayload(text: "one")),
                .deliver(connection(9), chat: "c", .session, ChatPayload(text: "two")),
            ])
        #expect(house.sent(send(ann, "three")) == ["9<three"])
        #expect(house.sent(send(back, "four")) == ["1<four"])
    }

    @Test(
        "A place is kept for its uid; one without uid goes to the next without; no place is given twice",
        arguments: [
            (member(2, "bob"), member(9, "bob"), 200), (member(2, "bob"), member(9, "cat"), 409), (member(2, "bob"), member(9), 409),
            (member(2), member(9), 200), (member(2), member(9, "cat"), 409),
        ])
    func places(_ gone: ChatMember, _ newcomer: ChatMember, _ status: Int) {
        let house = HouseScript()
        house(create(ann))
        house(create(gone))
        house(.left(gone.connection))
        let code = status == 200 ? "" : " chat.full"
        #expect(house.answers(create(newcomer)) == ["9/1:\(status)\(code)"])
        #expect(house.answers(create(member(10, "cat"))) == ["10/1:409 chat.full"])
    }

    @Test("A member whose old connection is not seen to be lost has its place on the new one")
    func takesOver() {
        let house = HouseScript()
        house(create(ann))
        house(create(bob))
        let back = member(9, "bob")
        #expect(house.answers(create(back)) == ["9/1:200"])
        #expect(house.answers(send(bob, "x")) == ["2/2:403 chat.not_member"])
        #expect(house(.left(connection(2))) == [])
        #expect(house.sent(send(ann, "hi")) == ["9<hi"])
    }

    @Test("Nothing is kept of a connection whose place another one has taken")
    func forgetsTheOld() {
        let house = HouseScript()
        house(create(bob))
        house(create(member(9, "bob")))
        house(destroy(member(9, "bob")))
        #expect(house.house.isEmpty)
    }

    @Test("A member that says later who it is is known by that when it comes back")
    func refreshes() {
        let house = HouseScript()
        house(create(ann))
        house(create(member(2)))
        house(create(bob))
        house(.left(connection(2)))
        #expect(house.answers(create(member(9))) == ["9/1:409 chat.full"])
        #expect(house.answers(create(member(9, "bob"))) == ["9/1:200"])
    }

    @Test("Who does not come back in time loses the place, and who comes after that starts anew")
    func expires() {
        let house = HouseScript()
        house(create(ann))
        house(create(bob))
        house(.left(connection(2)))
        house(send(ann, "missed"))
        #expect(house(.tick, at: 1059.9) == [])
        #expect(
            house(.tick, at: 1060) == [
                .report(.expired(chat: "c", bob)), .report(.undelivered(chat: "c", to: bob, messages: [ChatPayload(text: "missed")])),
                .tellMaster(.held(ChatSummary(chat: "c", createdAt: 1000, members: 1))),
            ])
        #expect(house.house.heldBytes == 0)
        #expect(house.sent(create(member(9, "cat"))) == [])
        #expect(house.sent(send(ann, "hi")) == ["9<hi"])
    }

    @Test("Of those who have no uid, the first to go is taken for the first to come back")
    func unnamed() {
        let house = HouseScript()
        house(create(member(1)))
        house(create(member(2)))
        house(.left(connection(2)), at: 1001)
        house(send(member(1), "for two"))
        house(.left(connection(1)), at: 1002)
        #expect(house.sent(create(member(4)), at: 1003) == ["4<for two"])
        #expect(house.sent(create(member(5))) == [])
    }

    @Test("Who loses its place to another connection of its uid is told, and a newcomer is told of those who are away")
    func replaced() {
        let house = HouseScript(members: 3)
        house(create(ann))
        house(create(member(2, "bob", notices: true)))
        #expect(house.sent(create(member(9, "bob"))) == [#"2?{"event":"replaced"}"#])
        house(.left(connection(9)))
        #expect(
            house.sent(create(member(4, "cat", notices: true))) == [
                #"4?{"event":"present","uid":"ann"}"#, #"4?{"event":"present","uid":"bob","online":false}"#,
            ])
    }

    @Test("A message that can never be held says how large it may be")
    func tooLarge() {
        let house = HouseScript(limits: ChatSettings.Limits(heldBytes: 1000))
        house(create(ann))
        let actions = house(send(ann, String(repeating: "x", count: 2000)))
        guard case .refuse(_, _, let error)? = actions.last else {
            Issue.record("not refused")
            return
        }
        #expect(error.help == "at most 1000 bytes are held for a member")
    }

    @Test("A chat that all have left is over when nobody has come back")
    func deserted() {
        let house = HouseScript()
        house(create(ann))
        house(.left(connection(1)))
        #expect(
            house(.tick, at: 1061).suffix(2) == [
                .report(.closed(ChatView(id: "c", members: [], createdAt: 1000), .deserted)), .tellMaster(.closed(chat: "c", createdAt: 1000)),
            ])
        #expect(house.house.count == 0)
    }

    @Test("Those who asked for it, and only those, are told who joined, left, came back and did not", arguments: [true, false])
    func notices(isOn: Bool) {
        let house = HouseScript(members: 3, notices: isOn)
        let reader = member(1, "ann", notices: true)
        house(create(reader))
        house(create(member(3, "java")))
        let told =
            house.sent(create(bob)) + house.sent(.left(connection(2))) + house.sent(create(member(9, "bob")))
            + house.sent(.left(connection(9))) + house.sent(.tick, at: 1100)
        let expected = ["joined", "left", "rejoined", "left", "expired"].map { #"1?{"event":"\#($0)","uid":"bob"}"# }
        #expect(told == (isOn ? expected : []))
    }

    @Test(
        "An idle chat closes, one in which somebody sends does not, and 0 is never",
        arguments: [
            (100.0, false, true), (100.0, true, false), (0.0, false, false),
        ])
    func idles(idle: Double, sends: Bool, closes: Bool) {
        let house = HouseScript(idle: idle)
        house(create(ann))
        house(create(bob))
        if sends { house(send(ann, "hi"), at: 1050) }
        let view = ChatView(id: "c", members: [.init(uid: "ann", isOnline: true), .init(uid: "bob", isOnline: true)], createdAt: 1000)
        let actions = house(.tick, at: 1101)
        #expect(actions.contains(.report(.closed(view, .idle))) == closes)
        #expect(house.house.count == (closes ? 0 : 1))
        if sends { #expect(house.sent(.tick, at: 1150) == ["1!c", "2!c"]) }
    }

    @Test("One tick looks at a bounded number of chats; the others' turn comes with the next")
    func boundedTick() {
        let house = HouseScript(idle: 100)
        let count = ChatHouse.checksPerTick + 10
        for number in 0..<count { house(create(member(number), chat: "c\(number)")) }
        house(.tick, at: 1101)
        #expect(house.house.count == 10)
        // A chat that takes the id of one whose turn has not come is not taken for it.
        let last = house.house.summaries()[0].chat
        house(.close(chat: last))
        house(create(member(1), chat: last))
        house(.tick)
        #expect(house.house.summaries().map(\.chat) == [last])
        house(.tick, at: 1202)
        #expect(house.house.isEmpty)
    }

    @Test(
        "What is held is bounded by number and by bytes: the oldest makes way and is counted",
        arguments: [
            (ChatSettings.Limits(heldMessages: 3), ["c", "d", "e"], 2),
            (ChatSettings.Limits(heldBytes: 2 * 65), ["d", "e"], 3),
            (ChatSettings.Limits(memory: 4 * 65), ["b", "c", "d", "e"], 1),
        ])
    func bounds(_ limits: ChatSettings.Limits, _ kept: [String], _ lost: Int) {
        let house = HouseScript(limits: limits)
        house(create(ann))
        house(create(bob))
        house(.left(connection(2)))
        var undelivered = 0
        for text in ["a", "b", "c", "d", "e"] {
            for case .report(.undelivered(_, let member, let messages)) in house(send(ann, text)) {
                #expect(member == bob)
                undelivered += messages.count
            }
        }
        #expect(undelivered == lost)
        #expect(house.house.heldBytes == kept.count * 65)
        #expect(house.sent(create(member(9, "bob"))) == kept.map { "9<\($0)" })
        #expect(house.house.heldBytes == 0)
    }

    @Test("A message that reaches nobody and can't be held is refused; one that reaches somebody is not")
    func refusesWhatIsLost() {
        let house = HouseScript(members: 3, limits: .init(heldBytes: 70))
        house(create(ann))
        house(create(bob))
        house(.left(connection(2)))
        let long = String(repeating: "x", count: 100)
        #expect(house.answers(send(ann, long)) == ["1/2:503 limit.memory"])
        house(create(member(3)))
        #expect(house.answers(send(ann, long)) == ["1/2:200"])
    }
}
