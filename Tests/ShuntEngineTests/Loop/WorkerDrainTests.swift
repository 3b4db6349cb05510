import ShuntCore
import ShuntEngine
import Testing

/// Who is sent away when, for loops that are only numbers.
struct WorkerDrainTests {
    /// Loops with so many producers and others, which go as they are told.
    private struct Loops {
        var left: [(producers: Int, others: Int)]
        var sent: [Int]
        /// Messages that a rule of the first loop delays.
        var delayed = 0

        init(_ left: [(producers: Int, others: Int)]) {
            self.left = left
            sent = left.map { _ in 0 }
        }

        mutating func carryOut(_ step: DepartureStep, _ loop: Int) -> DepartureTally {
            var tally = DepartureTally()
            tally.number = step.number
            tally.sentBefore = sent[loop]
            tally.begun = min(step.limit, left[loop].producers)
            left[loop].producers -= tally.begun
            if step.stage != .producers {
                let others = min(step.limit - tally.begun, left[loop].others)
                left[loop].others -= others
                tally.begun += others
            }
            sent[loop] += tally.begun
            (tally.sent, tally.connections) = (sent[loop], left[loop].producers + left[loop].others)
            if step.stage == .forced, loop == 0 { (tally.givenUp, delayed) = (delayed, 0) }
            tally.delayed = loop == 0 ? delayed : 0
            tally.isOver = left[loop].producers == 0 && (step.stage == .producers || left[loop].others == 0)
            return tally
        }
    }

    /// Lets so many tenths of a second pass.
    private func run(
        _ drain: inout WorkerDrain, _ loops: inout Loops, from start: Double = 0, tenths: Int, hasRoom: Bool = true,
        each: (Int, DepartureStep) -> Void = { _, _ in }
    ) -> [WorkerDrain.Action] {
        var told: [WorkerDrain.Action] = []
        for tenth in 1...tenths {
            for action in drain.tick(now: start + Double(tenth) / 10, hasRoom: hasRoom, chatsTo: "w:1") {
                guard case .step(let loop, let step) = action else { continue }
                each(tenth, step)
                told += drain.took(loops.carryOut(step, Int(loop)), from: loop)
            }
        }
        return told
    }

    @Test func `So many a second go, from all loops together`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100)), loops: 3, now: 0)
        var loops = Loops([(500, 0), (500, 0), (500, 0)])
        _ = run(&drain, &loops, tenths: 50)
        #expect((490...510).contains(loops.sent.reduce(0, +)), "\(loops.sent)")
        #expect((loops.sent.min() ?? 0) > 140, "each loop has had its share: \(loops.sent)")
    }

    @Test func `One that is asked for again before each tick goes on all the same`() {
        var loops = Loops([(10, 10), (0, 5)])
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100)), loops: 2, now: 0)
        for tenth in 1...40 {
            _ = run(&drain, &loops, from: Double(tenth - 1) / 10, tenths: 1)
            drain = WorkerDrain(.empty(DrainRequest(rate: 100)), loops: 2, after: drain, number: tenth, now: Double(tenth) / 10 + 0.05)
        }
        #expect(loops.left.allSatisfy { $0 == (0, 0) }, "\(loops.left)")
    }

    @Test func `Clients are given away once it is known where there is room; producers at once, since Java masters do not tell`() {
        for (whom, before) in [(DepartureStage.movable, 0), (.producers, 10)] {
            var drain = WorkerDrain(.shed(10, whom), rate: 100, loops: 1, now: 0)
            var loops = Loops([(50, 0)])
            _ = run(&drain, &loops, tenths: 5, hasRoom: false)
            #expect(loops.sent == [before])
            let told = run(&drain, &loops, from: 0.5, tenths: 5)
            #expect(loops.sent == [10] && (before == 10 || told == [.shed(sent: 10)]))
        }
    }

    @Test func `A loop that has nobody left leaves its share to the others`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100)), loops: 4, now: 0)
        var loops = Loops([(0, 0), (0, 0), (1000, 0), (0, 0)])
        _ = run(&drain, &loops, tenths: 50)
        #expect((430...510).contains(loops.sent[2]), "\(loops.sent)")
    }

    @Test func `Those that others send to go once no producer is left on any loop`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 1000)), loops: 2, now: 0)
        var loops = Loops([(10, 10), (300, 10)])
        var stages: [DepartureStage] = []
        let told = run(&drain, &loops, tenths: 20) { _, step in if stages.last != step.stage { stages.append(step.stage) } }
        #expect(stages == [.producers, .all])
        #expect(told == [.emptied(exits: false)])
        #expect(drain.record.isEmpty && drain.record.sent == 330)
    }

    @Test func `Nobody is sent away while no other worker takes clients`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100)), loops: 1, now: 0)
        var loops = Loops([(50, 0)])
        _ = run(&drain, &loops, tenths: 20, hasRoom: false) { _, step in #expect(step.limit == 0 && step.chatsTo == nil) }
        #expect(loops.sent == [0])
        #expect(drain.record.waits == "no other worker takes clients")
        _ = run(&drain, &loops, from: 2, tenths: 20)
        #expect(loops.sent == [50])
        #expect(drain.record.waits == nil)
    }

    @Test func `After its patience all go, room or not, and the worker may end`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100, forceAfter: 1, exit: true)), loops: 1, now: 0)
        var loops = Loops([(5, 5)])
        var stages: [DepartureStage] = []
        let told = run(&drain, &loops, tenths: 30, hasRoom: false) { _, step in if stages.last != step.stage { stages.append(step.stage) } }
        #expect(stages == [.producers, .forced])
        #expect(told == [.emptied(exits: true)])
    }

    @Test func `Those that others send to stay while a rule delays a message`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 1000)), loops: 2, now: 0)
        var loops = Loops([(10, 10), (10, 10)])
        loops.delayed = 1
        #expect(run(&drain, &loops, tenths: 20) == [] && loops.left.allSatisfy { $0 == (0, 10) }, "\(loops.left)")
        #expect(drain.record.waits == "messages that rules delay are still to be sent")
        loops.delayed = 0
        #expect(run(&drain, &loops, from: 2, tenths: 20) == [.emptied(exits: false)] && drain.record.sent == 40)
    }

    @Test func `What one of them sends with a delay is waited for, too`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 10)), loops: 1, now: 0)
        var loops = Loops([(0, 100)])
        _ = run(&drain, &loops, tenths: 20)
        loops.delayed = 1
        _ = run(&drain, &loops, from: 2, tenths: 2)
        let left = loops.left[0].others
        _ = run(&drain, &loops, from: 2.2, tenths: 20)
        #expect(left > 50 && loops.left[0].others == left)
    }

    @Test func `After its patience what rules delay is given up`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 1000, forceAfter: 1, exit: true)), loops: 2, now: 0)
        var loops = Loops([(5, 5), (5, 5)])
        loops.delayed = 3
        #expect(run(&drain, &loops, tenths: 9) == [])
        #expect(run(&drain, &loops, from: 0.9, tenths: 9) == [.emptied(exits: true)])
        #expect(drain.record.givenUp == 3 && drain.record.sent == 20)
    }

    @Test func `A worker that gives clients away gives so many and no more`() {
        var drain = WorkerDrain(.shed(37, .movable), rate: 1000, loops: 3, now: 0)
        var loops = Loops([(0, 100), (0, 100), (0, 100)])
        let told = run(&drain, &loops, tenths: 20) { _, step in #expect(step.chatsTo == nil) }
        #expect(loops.sent.reduce(0, +) == 37)
        #expect(told == [.shed(sent: 37)])
        #expect(!drain.isDraining && drain.record.excess == 0)
    }

    @Test func `It ends if there are fewer that may go`() {
        var drain = WorkerDrain(.shed(37, .movable), rate: 1000, loops: 2, now: 0)
        var loops = Loops([(0, 3), (0, 0)])
        #expect(run(&drain, &loops, tenths: 20) == [.shed(sent: 3)])
    }

    @Test(arguments: [1e9, -1e9])
    func `A clock that is set sends nobody away at once`(jump: Double) {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 10)), loops: 1, now: 1e9)
        var loops = Loops([(1000, 0)])
        _ = run(&drain, &loops, from: 1e9 + jump, tenths: 1)
        #expect(loops.sent[0] <= 10)
    }

    @Test(arguments: [900, -900.0])
    func `A clock that is set does not end the patience for those who still wait`(jump: Double) {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 100, forceAfter: 600)), loops: 1, now: 1e9)
        var loops = Loops([(1, 1)])
        _ = run(&drain, &loops, from: 1e9 + jump, tenths: 30) { _, step in #expect(step.stage != .forced) }
        #expect(drain.record.isEmpty)
    }

    @Test func `At a low rate each loop has its turn, whatever the first one gives back`() {
        var drain = WorkerDrain(.empty(DrainRequest(rate: 1)), loops: 2, now: 0)
        var loops = Loops([(0, 0), (5, 0)])
        for tenth in 1...100 {
            for case .step(let loop, let step) in drain.tick(now: Double(tenth) / 10, hasRoom: true, chatsTo: nil) {
                var tally = loops.carryOut(step, Int(loop))
                // A session that is waited for keeps the first from being over.
                if loop == 0 { tally.isOver = false }
                _ = drain.took(tally, from: loop)
            }
        }
        #expect(loops.sent[1] == 5)
    }

    @Test func `What a step of the drain before has done does not count`() {
        var old = WorkerDrain(.empty(DrainRequest(rate: 10_000)), loops: 1, number: 1, now: 0)
        var loops = Loops([(1000, 10)])
        let late = old.tick(now: 0.5, hasRoom: true, chatsTo: nil)
        guard case .step(_, let step)? = late.first else { return #expect(Bool(false)) }
        var new = WorkerDrain(.empty(DrainRequest(rate: 1)), loops: 1, after: old, number: 2, now: 0.5)
        _ = new.tick(now: 0.6, hasRoom: true, chatsTo: nil)
        #expect(new.took(loops.carryOut(step, 0), from: 0) == [] && !new.isKnown)
        _ = run(&new, &loops, from: 1, tenths: 20) { _, step in #expect(step.limit >= 0) }
    }

    @Test func `A worker that is drained anew goes on where it was`() {
        var old = WorkerDrain(.empty(DrainRequest(rate: 1000)), loops: 1, number: 1, now: 0)
        var loops = Loops([(5, 1000)])
        _ = run(&old, &loops, tenths: 5)
        var new = WorkerDrain(.empty(DrainRequest(rate: 10)), loops: 1, after: old, number: 2, now: 0.5)
        _ = run(&new, &loops, from: 0.5, tenths: 3) { _, step in #expect(step.stage == .all) }
    }

    @Test func `The share is the mean, and a few more are no reason to move anybody`() {
        func worker(_ name: String, _ connections: Int, _ state: WorkerRecord.State = .live, _ version: String = "shunt 1") -> WorkerRecord {
            WorkerRecord(
                name: name, host: name, port: 1, state: state, version: version, startedAt: 0, heartbeatAt: 0,
                figures: WorkerFigures(connections: connections))
        }
        let plan = BalancePlan([
            worker("c", 1000), worker("a", 0), worker("b", 540, .live, "message-channel"), worker("d", 9000, .lost), worker("e", 80, .draining),
        ])
        #expect(plan.mean == 514)
        #expect(plan.workers.map(\.worker) == ["a", "b", "c"])
        #expect(plan.workers.map(\.move) == [0, 0, 486])
        #expect(plan.workers.map(\.isShunt) == [true, false, true])
        #expect(BalancePlan([]).workers.isEmpty && BalancePlan([]).mean == 0)
    }
}
