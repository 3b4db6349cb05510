import ExchangeCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntClient

private let (a, b, c) = (HostPort("a", 1), HostPort("b", 1), HostPort("c", 1))
private let m = HostPort("m", 1)
private let gone = ShuntError(.connectionLost, "gone")

@Suite("A session with one worker")
struct WorkerSessionTests {
    @Test("asks a master, connects to the least loaded worker, greets it in order, and sends what has waited")
    func begins() {
        var run = Run(.masters([m]), greetings: 2)
        #expect(run.submit("x").isEmpty)
        #expect(run.on(.start) == [.ask(m)])
        #expect(run.on(.listed([a, b])) == [.connect(a)])
        #expect(run.on(.connected) == [.send(run.greeting(0, id: 1)), .watch(id: 1)])
        #expect(run.on(.answered(id: 1, nil)) == [.send(run.greeting(1, id: 2)), .watch(id: 2)])
        #expect(run.on(.answered(id: 2, nil)) == [.report(.attached(a, isBack: false)), .send(run.frame("x", id: 3))])
        #expect(run.on(.answered(id: 3, nil)) == [.complete("x", nil)])
        #expect(run.on(.answered(id: 3, nil)).isEmpty, "a surplus acknowledgement is nobody's")
    }

    @Test(
        "goes on to the next worker when one is not there, does not answer, hangs up, or can not take it now",
        arguments: [
            WorkerSession<String>.Event.unreachable(gone), .overdue(id: 1), .lost(gone),
            .answered(id: 1, Refusal(status: 503, text: "Service Unavailable")),
            .answered(id: 1, Refusal(status: 500, text: "register device failed")),
        ])
    func nextWorker(event: WorkerSession<String>.Event) {
        var run = Run(.masters([m]))
        _ = run.on(.start)
        _ = run.on(.listed([a, b]))
        if case .unreachable = event {} else { _ = run.on(.connected) }
        #expect(run.on(event).filter { $0 != .hangUp } == [.connect(b)])
        #expect(run.on(.unreachable(gone)) == [.pause(.milliseconds(100))])
        #expect(run.on(.pauseOver) == [.ask(m)])
        #expect(run.on(.askFailed(gone)) == [.pause(.milliseconds(200))])
    }

    @Test("ends with the last reason when its patience is over")
    func impatient() {
        var run = Run(.workers([a]))
        _ = run.on(.start)
        #expect(run.on(.unreachable(gone)) == [.pause(.milliseconds(100))])
        run.now = .milliseconds(900)
        #expect(run.on(.pauseOver) == [.connect(a)])
        _ = run.submit("x")
        #expect(run.on(.unreachable(gone)) == [.complete("x", SendFailure(.notSent, gone)), .hangUp, .end(gone)])
        #expect(run.on(.start).isEmpty)
        #expect(run.submit("y").count == 1, "later ones are told at once")
    }

    @Test(
        "ends at once when it is refused for good",
        arguments: [
            (400, ErrorCode.refused), (403, .ruleRejected), (409, .chatFull),
        ])
    func refused(status: Int, code: ShuntCore.ErrorCode) {
        var run = Run(.workers([a, b]))
        _ = run.on(.start)
        _ = run.on(.connected)
        let refusal = Refusal(status: status, text: "no")
        #expect(refusal.code == code)
        #expect(run.on(.answered(id: 1, refusal)) == [.hangUp, .end(refusal.error(at: "a:1"))])
    }

    @Test("does without an optional greeting, unless it is refused for good")
    func optional() {
        for (status, goesOn) in [(500, true), (503, true), (403, false)] {
            var run = Run(.workers([a]), greetings: 2, isFirstOptional: true)
            _ = run.on(.start)
            _ = run.on(.connected)
            let actions = run.on(.answered(id: 1, Refusal(status: status, text: "no")))
            #expect(actions.contains(.send(run.greeting(1, id: 2))) == goesOn)
        }
    }

    // MARK: Redirects

    @Test("follows a redirect at once, further ones after a pause, and after too many searches anew")
    func redirects() {
        var run = Run(.workers([a]), redirects: 3)
        _ = run.on(.start)
        _ = run.on(.connected)
        #expect(run.redirect(id: 1, to: "b:1") == [.hangUp, .report(.redirected(from: a, to: b)), .connect(b)])
        _ = run.on(.connected)
        #expect(run.redirect(id: 2, to: "c:1") == [.hangUp, .report(.redirected(from: b, to: c)), .pause(.milliseconds(100))])
        #expect(run.on(.pauseOver) == [.connect(c)])
        _ = run.on(.connected)
        #expect(run.redirect(id: 3, to: "b:1") == [.hangUp, .report(.redirected(from: c, to: b)), .pause(.milliseconds(200))])
        #expect(run.on(.pauseOver) == [.connect(b)])
        _ = run.on(.connected)
        #expect(run.redirect(id: 4, to: "c:1") == [.hangUp, .report(.redirected(from: b, to: c)), .pause(.milliseconds(100))])
        #expect(run.on(.pauseOver) == [.connect(a)], "the given worker again")
    }

    @Test("tells once that it is sent to the same worker again and again")
    func repeatedRedirect() {
        var run = Run(.workers([a]))
        _ = run.on(.start)
        _ = run.on(.connected)
        #expect(run.redirect(id: 1, to: "b:1").contains(.report(.redirected(from: a, to: b))))
        _ = run.on(.unreachable(gone))
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        #expect(run.redirect(id: 2, to: "b:1") == [.hangUp, .connect(b)])
    }

    @Test("pauses before it calls a worker that redirects to itself")
    func selfRedirect() {
        var run = Run(.workers([a]))
        _ = run.on(.start)
        _ = run.on(.connected)
        #expect(run.redirect(id: 1, to: "a:1").last == .pause(.milliseconds(100)))
    }

    @Test("takes a redirect to no address, or to a worker that is away, for a worker that does not help", arguments: ["", "x"])
    func uselessRedirect(text: String) {
        var run = Run(.workers([a, b]))
        _ = run.on(.start)
        _ = run.on(.connected)
        #expect(run.redirect(id: 1, to: text) == [.hangUp, .connect(b)])
        _ = run.on(.connected)
        #expect(run.redirect(id: 2, to: "c:1").last == .connect(c))
        #expect(run.on(.unreachable(gone)) == [.pause(.milliseconds(100))])
    }

    @Test("moves where the worker says, and sends what has no answer there")
    func moved() {
        var run = Run(.workers([a]))
        run.attach()
        _ = run.submit("x")
        let actions = run.on(.moved(to: b))
        #expect(actions == [.hangUp, .report(.redirected(from: a, to: b)), .connect(b)])
        _ = run.on(.connected)
        #expect(run.on(.answered(id: 3, nil)) == [.report(.attached(b, isBack: true)), .send(run.frame("x", id: 4))])
    }

    @Test("sends again, in order, what was redirected and what came after it")
    func redirectedMessage() {
        var run = Run(.workers([a]))
        run.attach()
        for text in ["x", "y", "z"] { _ = run.submit(text) }
        _ = run.on(.answered(id: 2, nil))
        #expect(run.redirect(id: 3, to: "b:1").last == .connect(b))
        _ = run.submit("late")
        _ = run.on(.connected)
        #expect(
            run.on(.answered(id: 5, nil)).dropFirst() == [
                .send(run.frame("y", id: 6)), .send(run.frame("z", id: 7)), .send(run.frame("late", id: 8)),
            ])
    }

    // MARK: Losing the worker

    @Test("goes back to its worker after a pause with jitter, then searches, greets again, and is back", arguments: [0.0, 1])
    func comesBack(random: Double) {
        var run = Run(.masters([m]), random: random)
        run.attach(listed: [a])
        run.now = .seconds(10)
        #expect(run.on(.lost(gone)) == [.report(.lost(a, gone)), .pause(.milliseconds(random == 0 ? 50 : 100))])
        #expect(run.on(.pauseOver) == [.connect(a)])
        #expect(run.on(.unreachable(gone)) == [.ask(m)])
        #expect(run.on(.listed([b])) == [.connect(b)])
        _ = run.on(.connected)
        #expect(run.on(.answered(id: 2, nil)) == [.report(.attached(b, isBack: true))])
    }

    @Test("that need not go back asks the masters")
    func doesNotReturn() {
        var run = Run(.masters([m]), returns: false)
        run.attach(listed: [a])
        run.now = .seconds(10)
        _ = run.on(.lost(gone))
        #expect(run.on(.pauseOver) == [.ask(m)])
    }

    @Test("sends what was not acknowledged again, in order, and nothing that was")
    func resends() {
        var run = Run(.workers([a]))
        run.attach()
        for text in ["x", "y", "z"] { _ = run.submit(text) }
        #expect(run.on(.answered(id: 2, nil)) == [.complete("x", nil)])
        _ = run.on(.lost(gone))
        #expect(run.submit("late").isEmpty)
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        #expect(run.on(.answered(id: 3, nil)).isEmpty, "an id of the lost connection is nobody's")
        #expect(
            run.on(.answered(id: 5, nil)).dropFirst() == [
                .send(run.frame("y", id: 6)), .send(run.frame("z", id: 7)), .send(run.frame("late", id: 8)),
            ])
    }

    @Test("that does not resend says that the outcome is unknown, and sends only what had waited")
    func atMostOnce() {
        var run = Run(.workers([a]), resends: false)
        run.attach()
        _ = run.submit("x")
        let failure = SendFailure(.unknown, ShuntError(.connectionLost, "the connection was lost before the answer"))
        #expect(run.on(.lost(gone)).first == .complete("x", failure))
        _ = run.submit("y")
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        #expect(run.on(.answered(id: 3, nil)).dropFirst() == [.send(run.frame("y", id: 4))])
    }

    @Test("waits while its own old place makes the chat full, but not when somebody else's does")
    func ownPlace() {
        var run = Run(.workers([a]))
        run.attach()
        run.now = .seconds(10)
        _ = run.on(.lost(gone))
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        let full = Refusal(status: 409, text: "the chat has 2 members")
        #expect(run.on(.answered(id: 2, full)) == [.hangUp, .connect(a)])
    }

    @Test("keeps to the window, and sends on as answers come")
    func window() {
        var run = Run(.workers([a]), window: 2)
        run.attach()
        let sent = ["x", "y", "z"].map { run.submit($0).count }
        #expect(sent == [1, 1, 0])
        #expect(run.on(.answered(id: 2, nil)) == [.complete("x", nil), .send(run.frame("z", id: 4))])
    }

    @Test("tells a refused message's sender why, and goes on")
    func refusedMessage() {
        var run = Run(.workers([a]))
        run.attach()
        _ = run.submit("x")
        let refusal = Refusal(status: 403, text: "no swearing")
        #expect(run.on(.answered(id: 2, refusal)) == [.complete("x", SendFailure(.refused(refusal), refusal.error(at: "a:1")))])
        #expect(run.submit("y") == [.send(run.frame("y", id: 3))])
    }

    @Test("when closed tells what is unknown and what was not sent, and ends")
    func closed() {
        var run = Run(.workers([a]), window: 1)
        run.attach()
        _ = run.submit("x")
        _ = run.submit("y")
        #expect(
            run.on(.close(gone)) == [
                .complete("x", SendFailure(.unknown, gone)), .complete("y", SendFailure(.notSent, gone)), .hangUp, .end(gone),
            ])
    }

    @Test("loses and repeats no message and keeps the order, whatever happens", arguments: 0..<50)
    func anyEvents(seed: Int) {
        var generator = SplitMix(seed: UInt64(seed))
        var run = Run(.workers([a, b]), patience: .seconds(1_000_000))
        var world = World()
        world.take(run.on(.start))
        for step in 0..<500 {
            run.now += .milliseconds(Int.random(in: 0..<500, using: &generator))
            if Int.random(in: 0..<3, using: &generator) == 0 { world.take(run.submit("\(step)")) }
            if let event = world.event(using: &generator) { world.take(run.on(event)) }
        }
        for _ in 0..<1000 { if let event = world.event(isKind: true, using: &generator) { world.take(run.on(event)) } }
        #expect(world.completed == run.submitted)
        #expect(world.repeated.isEmpty, "acknowledged, and sent again: \(world.repeated)")
    }
}

/// A session with greetings `0`, `1`, … and ids from 1.
private struct Run {
    var session: WorkerSession<String>
    var now = Duration.zero
    let random: Double
    private(set) var submitted: [String] = []

    init(
        _ route: ClientRoute, greetings: Int = 1, isFirstOptional: Bool = false, patience: Duration = .seconds(1),
        returns: Bool = true, redirects: Int = 5, window: Int = 100, resends: Bool = true, random: Double = 1
    ) {
        self.random = random
        session = WorkerSession(
            route: route,
            settings: .init(
                greeting: (0..<greetings).map {
                    .init(frame: Frame(.register, id: 0, text: "\($0)"), isOptional: isFirstOptional && $0 == 0)
                },
                patience: patience, returnPatience: .seconds(1_000_000),
                backoff: Backoff(initial: .milliseconds(100), maximum: .milliseconds(400)), returns: returns,
                redirects: redirects, window: window, resends: resends),
            ids: RequestIDs(seconds: 0, salt: 1))
    }

    mutating func on(_ event: WorkerSession<String>.Event) -> [WorkerSession<String>.Action] {
        session.handle(event, now: now, random: random)
    }

    mutating func submit(_ text: String) -> [WorkerSession<String>.Action] {
        submitted.append(text)
        return on(.submit(.init(frame: frame(text, id: 0), ticket: text)))
    }

    mutating func redirect(id: Int64, to address: String) -> [WorkerSession<String>.Action] {
        on(.answered(id: id, Refusal(status: 307, text: address)))
    }

    /// The first greeting has id 1, so what is submitted then begins with 2.
    mutating func attach(listed: [HostPort] = []) {
        _ = on(.start)
        if !listed.isEmpty { _ = on(.listed(listed)) }
        _ = on(.connected)
        _ = on(.answered(id: 1, nil))
    }

    func greeting(_ number: Int, id: Int64) -> Frame { Frame(.register, id: id, text: "\(number)") }
    func frame(_ text: String, id: Int64) -> Frame { Frame(.chat, id: id, text: text) }
}

/// What a session's actions meet: workers that answer, redirect and fail by chance.
private struct World {
    private var unanswered: [Frame] = []
    private var isConnecting = false
    private var isPausing = false
    private var isConnected = false
    private var acknowledged: Set<String> = []
    private(set) var completed: [String] = []
    private(set) var repeated: [String] = []

    mutating func take(_ actions: [WorkerSession<String>.Action]) {
        for action in actions {
            switch action {
            case .connect: isConnecting = true
            case .pause: isPausing = true
            case .send(let frame):
                if frame.type == .chat, acknowledged.contains(frame.text) { repeated.append(frame.text) }
                unanswered.append(frame)
            case .hangUp:
                unanswered = []
                isConnected = false
            case .complete(let ticket, _): completed.append(ticket)
            case .ask, .watch, .report, .end: break
            }
        }
    }

    mutating func event(isKind: Bool = false, using generator: inout SplitMix) -> WorkerSession<String>.Event? {
        let chance = isKind ? 9 : Int.random(in: 0..<10, using: &generator)
        if isPausing {
            isPausing = false
            return .pauseOver
        }
        if isConnecting {
            isConnecting = false
            isConnected = chance > 2
            return isConnected ? .connected : .unreachable(gone)
        }
        guard isConnected else { return nil }
        if chance == 0 {
            isConnected = false
            unanswered = []
            return .lost(gone)
        }
        if chance == 1 { return .moved(to: b) }
        guard !unanswered.isEmpty else { return nil }
        let frame = unanswered.removeFirst()
        if chance == 2 { return .answered(id: frame.id, Refusal(status: 307, text: "a:1")) }
        if frame.type == .chat { acknowledged.insert(frame.text) }
        return .answered(id: frame.id, nil)
    }
}
