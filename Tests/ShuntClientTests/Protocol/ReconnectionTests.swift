import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

private let (a, b, c) = (HostPort("a", 1), HostPort("b", 1), HostPort("c", 1))
private let (m1, m2) = (HostPort("m1", 1), HostPort("m2", 1))
private let tenth = Backoff(initial: .milliseconds(100), maximum: .milliseconds(400))

@Suite("Backoff")
struct BackoffTests {
    @Test("doubles up to the maximum, and jitter takes off up to a half", arguments: [(0.0, 50), (1.0, 100)])
    func doubles(random: Double, firstMilliseconds: Int) {
        var backoff = tenth
        let waits = (0..<5).map { _ in backoff.next(random: random) }
        #expect(waits == [1, 2, 4, 4, 4].map { .milliseconds(firstMilliseconds * $0) })
        backoff.reset()
        #expect(backoff.next(random: random) == .milliseconds(firstMilliseconds))
    }

    @Test("never overflows")
    func longRun() {
        var backoff = Backoff(initial: .seconds(1), maximum: .seconds(60))
        for _ in 0..<1000 { #expect(backoff.next(random: 1) <= .seconds(60)) }
    }
}

@Suite("The search for a worker")
struct WorkerSearchTests {
    @Test("asks the masters in turn, pauses when none helps, and goes on where it was")
    func masters() {
        var search = WorkerSearch(route: .masters([m1, m2]), backoff: tenth)
        for pause in [100, 200] {
            #expect(search.next(random: 1) == .ask(m1))
            search.askFailed()
            #expect(search.next(random: 1) == .ask(m2))
            search.askFailed()
            #expect(search.next(random: 1) == .pause(.milliseconds(pause)))
        }
    }

    @Test("tries the listed workers in the master's order, and pauses before it asks again")
    func workers() {
        var search = WorkerSearch(route: .masters([m1]), backoff: tenth)
        #expect(search.next(random: 1) == .ask(m1))
        search.listed([b, a])
        #expect(search.next(random: 1) == .connect(b))
        #expect(search.next(random: 1) == .connect(a))
        #expect(search.next(random: 1) == .pause(.milliseconds(100)))
        #expect(search.next(random: 1) == .ask(m1))
    }

    @Test("goes to the next listed worker when one that lasted is lost, then asks at once")
    func lost() {
        var search = WorkerSearch(route: .masters([m1]), backoff: tenth)
        _ = search.next(random: 1)
        search.listed([a, b])
        #expect(search.next(random: 1) == .connect(a))
        search.lost(after: .seconds(5))
        #expect(search.next(random: 1) == .connect(b))
        #expect(search.next(random: 1) == .ask(m1))
    }

    @Test("does not call a worker that hangs up at once all the time")
    func flapping() {
        var search = WorkerSearch(route: .workers([a]), backoff: tenth)
        for pause in [100, 200, 400, 400] {
            #expect(search.next(random: 1) == .connect(a))
            search.lost(after: .milliseconds(1))
            #expect(search.next(random: 1) == .pause(.milliseconds(pause)))
        }
    }

    @Test("with fixed workers goes round them")
    func fixed() {
        var search = WorkerSearch(route: .workers([a, b]), backoff: tenth)
        let steps = (0..<6).map { _ in search.next(random: 1) }
        #expect(
            steps == [
                .connect(a), .connect(b), .pause(.milliseconds(100)), .connect(a), .connect(b), .pause(.milliseconds(200)),
            ])
    }

    @Test("without any address only pauses", arguments: [ClientRoute.masters([]), .workers([])])
    func empty(route: ClientRoute) {
        var search = WorkerSearch(route: route, backoff: tenth)
        #expect(search.next(random: 1) == .pause(.milliseconds(100)))
    }
}

@Suite("The set of a consumer's workers")
struct WorkerSetTests {
    @Test("connects to what is listed, once, and to new ones as they come")
    func listed() {
        var set = WorkerSet(backoff: tenth)
        #expect(set.listed([a, b]) == [.connect(a, after: .zero), .connect(b, after: .zero)])
        #expect(set.listed([b, c, a]) == [.connect(c, after: .zero)])
        #expect(set.listed([a, b, c]).isEmpty)
    }

    @Test("tries a lost worker again while it is listed, later each time, soon again once it has lasted")
    func backoff() {
        var set = WorkerSet(backoff: tenth)
        _ = set.listed([a])
        #expect(set.lost(a, after: .zero, random: 1) == [.connect(a, after: .milliseconds(100))])
        #expect(set.lost(a, after: .zero, random: 1) == [.connect(a, after: .milliseconds(200))])
        #expect(set.lost(a, after: .seconds(9), random: 1) == [.connect(a, after: .milliseconds(100))])
    }

    @Test("leaves a lost worker that is not listed any more, until it is listed again")
    func unlisted() {
        var set = WorkerSet(backoff: tenth)
        _ = set.listed([a, b])
        #expect(set.listed([b]).isEmpty, "its connection stays as long as it lasts")
        #expect(set.lost(a, after: .seconds(9), random: 1).isEmpty)
        #expect(set.lost(a, after: .seconds(9), random: 1).isEmpty)
        #expect(set.listed([a, b]) == [.connect(a, after: .zero)])
    }

    @Test("tells news once: away, and back")
    func news() {
        var set = WorkerSet(backoff: tenth)
        _ = set.listed([a])
        let told = [set.away(a), set.away(a), set.subscribed(a), set.away(a), set.away(a), set.subscribed(a), set.away(b)]
        #expect(told == [true, false, false, true, false, true, false])
    }

    @Test("is bounded")
    func limit() {
        var set = WorkerSet(backoff: tenth, limit: 2)
        #expect(set.listed([a, b, c]).count == 2)
    }
}

@Suite("Keep alive")
struct KeepAliveTests {
    @Test("asks after the idle time, and closes when the answer does not come in time")
    func dead() {
        var keepAlive = KeepAlive(idle: .seconds(60), patience: .seconds(15), now: .seconds(100))
        #expect(keepAlive.check(at: .seconds(100)) == .check(after: .seconds(60)))
        #expect(keepAlive.check(at: .seconds(160)) == .ping(thenCheckAfter: .seconds(15)))
        #expect(keepAlive.check(at: .seconds(174)) == .check(after: .seconds(1)))
        #expect(keepAlive.check(at: .seconds(175)) == .close)
    }

    @Test("counts anything that arrives as an answer")
    func alive() {
        var keepAlive = KeepAlive(idle: .seconds(60), patience: .seconds(15), now: .zero)
        keepAlive.heard(at: .seconds(50))
        #expect(keepAlive.check(at: .seconds(60)) == .check(after: .seconds(50)))
        #expect(keepAlive.check(at: .seconds(110)) == .ping(thenCheckAfter: .seconds(15)))
        keepAlive.heard(at: .seconds(120))
        #expect(keepAlive.check(at: .seconds(125)) == .check(after: .seconds(55)))
    }
}

@Suite("The watch on answers")
struct AnswerWatchTests {
    @Test("calls a worker silent that has left the same message without an answer for too long")
    func silent() {
        var watch = AnswerWatch(timeout: .seconds(30))
        #expect(watch.isSilent(oldest: nil, at: .seconds(100)) == false)
        #expect(watch.isSilent(oldest: 5, at: .seconds(200)) == false)
        #expect(watch.isSilent(oldest: 5, at: .seconds(229)) == false)
        #expect(watch.isSilent(oldest: 6, at: .seconds(231)) == false)
        #expect(watch.isSilent(oldest: 6, at: .seconds(261)) == true)
    }
}

@Suite("A master's answer")
struct AllocationTests {
    @Test("lists the workers, each once, without what is no address")
    func workers() throws {
        let answer = Frame(acknowledging: 1, text: "a:1, b:1,a:1,null:0,,nonsense")
        #expect(try Allocation.workers(in: answer, from: m1) == [a, b])
    }

    @Test(
        "without workers is an error that says so",
        arguments: [
            Frame(acknowledging: 1, status: 500, text: "not found server"), Frame(acknowledging: 1, text: "null:0"),
            Frame(acknowledging: 1),
        ])
    func none(answer: Frame) {
        let error = #expect(throws: ShuntError.self) { try Allocation.workers(in: answer, from: m1) }
        #expect(error?.code == .workerNone)
        #expect(error?.location == "m1:1")
    }
}

@Suite("The buffer before a slow application")
struct DeliveryBufferTests {
    private let one = ReceivedMessage(topic: "t", payload: [1])

    @Test("stops its connections at the limit, and lets them go on when it is taken")
    func pauses() {
        var buffer = DeliveryBuffer<ReceivedMessage, String>(limit: .init(messages: 3, bytes: 1000))
        #expect(buffer.add([one, one], from: "x") == true)
        #expect(buffer.add([one], from: "x") == false)
        #expect(buffer.add([one], from: "y") == false)
        let taken = buffer.take()
        #expect(taken.messages.count == 4 && taken.resumed == ["x", "y"])
        #expect(buffer.isEmpty)
        #expect(buffer.add([one], from: "x") == true)
    }

    @Test("counts bytes as well")
    func bytes() {
        var buffer = DeliveryBuffer<ReceivedMessage, String>(limit: .init(messages: 100, bytes: 1000))
        #expect(buffer.add([ReceivedMessage(topic: "t", payload: Array(repeating: 1, count: 1000))], from: "x") == false)
    }

    @Test("loses news only when it is full")
    func news() {
        var buffer = DeliveryBuffer<ReceivedMessage, String>(limit: .init(messages: 2, bytes: 1000))
        for _ in 0..<3 { buffer.note(one) }
        let taken = buffer.take()
        #expect(taken.messages.count == 2 && taken.resumed.isEmpty)
    }

    @Test("takes nothing after its end, but gives what was there")
    func ends() {
        var buffer = DeliveryBuffer<ReceivedMessage, String>(limit: .init(messages: 3, bytes: 1000))
        _ = buffer.add([one], from: "x")
        buffer.finish(.success(()))
        buffer.finish(.failure(ShuntError(.internalError, "late")))
        #expect(buffer.add([one], from: "x") == false)
        #expect(buffer.take().messages == [one])
        #expect((try? buffer.end?.get()) != nil, "the first end counts")
    }
}
