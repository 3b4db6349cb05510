import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Chats that the master is asked for, §11.3 and §11.5.3")
struct ChatMasterTests {
    let ann = member(1, "ann"), bob = member(2, "bob")

    private func house(_ limits: ChatSettings.Limits = .init()) -> HouseScript { HouseScript(ChatSettings(limits: limits)) }

    @Test("The first CREATE asks once, with a number of its own; what comes meanwhile waits and runs in order")
    func waits() {
        let house = house()
        #expect(house(create(ann, id: 70)) == [.askMaster(request: 1, chat: "c")])
        #expect(house(send(ann, "early", id: 71)) == [])
        #expect(house(create(bob, id: 80)) == [])
        #expect(house(send(member(3), "x", id: 90)) == [])
        let actions = house(answer(1, .granted))
        #expect(
            actions.filter { if case .report = $0 { false } else if case .tellMaster = $0 { false } else { true } } == [
                .acknowledge(connection(1), .exchange(id: 70)), .acknowledge(connection(1), .exchange(id: 71)),
                .acknowledge(connection(2), .exchange(id: 80)),
                .deliver(connection(2), chat: "c", .session, ChatPayload(text: "early")),
                .refuse(
                    connection(3), .exchange(id: 90),
                    ShuntError(.chatNotMember, "this connection is not in the chat", help: "join it with CREATE first")),
            ])
        #expect(house.house.heldBytes == 0)
        // A client that joins now does not need the master.
        #expect(house.answers(destroy(ann)) == ["1/3:200"])
    }

    @Test(
        "Every frame that has waited gets the answer that there is",
        arguments: [
            (ChatAssignment.elsewhere("w2:4091"), ["1/1:307 w2:4091", "1/2:307 w2:4091", "2/1:307 w2:4091"]),
            (.unavailable, ["1/1:503 master.unavailable", "1/2:503 master.unavailable", "2/1:503 master.unavailable"]),
        ])
    func refused(_ assignment: ChatAssignment, _ answers: [String]) {
        let house = house()
        house(create(ann))
        house(send(ann, "x"))
        house(create(bob))
        #expect(house.answers(answer(1, assignment)) == answers)
        #expect(house.house.count == 0)
        #expect(house.house.heldBytes == 0)
        #expect(house(create(ann)) == [.askMaster(request: 2, chat: "c")])
    }

    @Test(
        "A master that does not answer in time is unavailable; what it answers later is put right",
        arguments: [
            (ChatAssignment.granted, [ChatAction.tellMaster(.closed(chat: "c", createdAt: 1002))]),
            (.elsewhere("w2:4091"), []), (.unavailable, []),
        ])
    func timesOut(_ late: ChatAssignment, _ actions: [ChatAction]) {
        let house = house()
        house(create(ann))
        #expect(house(.tick, at: 1001.9) == [])
        #expect(house.answers(.tick, at: 1002) == ["1/1:503 master.unavailable"])
        #expect(house(answer(1, late)) == actions)
    }

    @Test("An earlier question's answer counts for a later one only if it gives the chat to this worker")
    func staleAnswers() {
        let house = house()
        house(create(ann))
        house(.tick, at: 1002)
        house(create(ann))
        #expect(house(answer(1, .elsewhere("w2:4091"))) == [])
        #expect(house(answer(1, .unavailable)) == [])
        #expect(house.answers(answer(1, .granted)) == ["1/1:200"])
        #expect(house(answer(2, .granted)) == [])
        #expect(house.house.count == 1)
    }

    @Test("Who leaves while the master is asked is forgotten; a chat that nobody is left for is given back")
    func leavesWhileAsked() {
        let house = house()
        house(create(ann))
        house(create(bob))
        house(.left(connection(1)))
        #expect(house.answers(answer(1, .granted)) == ["2/1:200"])
        house(create(ann, chat: "d"))
        #expect(house(.left(connection(1))) == [])
        #expect(house(answer(2, .granted, chat: "d")) == [.tellMaster(.closed(chat: "d", createdAt: 1000))])
        #expect(house.house.count == 1)
        #expect(house.house.heldBytes == 0)
    }

    @Test("DESTROY that has waited ends the chat; what comes after it asks anew")
    func destroyWhileAsked() {
        let house = house()
        house(create(ann, id: 1))
        house(destroy(ann, id: 2))
        house(create(ann, id: 3))
        let actions = house(answer(1, .granted))
        #expect(actions.contains(.acknowledgeConfirmed(connection(1), .exchange(id: 2))))
        #expect(actions.last == .askMaster(request: 2, chat: "c"))
        #expect(house.answers(answer(2, .granted)) == ["1/3:200"])
    }

    @Test("Everything that a house keeps is bounded")
    func bounds() {
        let house = house(.init(chats: 3, perConnection: 2, waiting: 2))
        house(create(ann, chat: "a"))
        house(send(ann, "x", chat: "a"))
        #expect(house.answers(send(ann, "y", chat: "a")) == ["1/2:503 limit.memory"])
        house(create(ann, chat: "b"))
        #expect(house.answers(create(ann, chat: "c")) == ["1/1:503 limit.memory"])
        #expect(house.house.count == 0)
        house(create(bob, chat: "c"))
        #expect(house.answers(create(bob, chat: "d")) == ["2/1:503 limit.memory"])
        // A connection that is in too many chats can't join one that is open either.
        house(answer(3, .granted, chat: "c"))
        #expect(house.answers(create(ann, chat: "c")) == ["1/1:503 limit.memory"])
    }

    @Test("Bytes that wait for the master count against the memory of the loop")
    func memory() {
        let house = house(.init(memory: 300))
        house(create(ann))
        #expect(house.answers(send(ann, String(repeating: "x", count: 200))) == ["1/2:503 limit.memory"])
        #expect(house.answers(send(ann, String(repeating: "x", count: 100))) == [])
        #expect(house.house.heldBytes == 64 + 164)
    }

    @Test("A new master is told every open chat")
    func summaries() {
        let house = HouseScript(members: 3)
        for chat in ["b", "a"] { house(create(ann, chat: chat)) }
        house(create(bob, chat: "a"), at: 2000)
        #expect(
            house.house.summaries() == [
                ChatSummary(chat: "a", createdAt: 1000, members: 2), ChatSummary(chat: "b", createdAt: 1000, members: 1),
            ])
    }
}
