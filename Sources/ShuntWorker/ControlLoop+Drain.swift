import ExchangeCodec
import Glibc
import ShuntCore
import ShuntEngine
import ShuntJSON
import Synchronization

/// Sending clients to other workers, as operators command it.
extension LoopPeers {
    func performDrainCommands() {
        commands.set(.drain) { [self] arguments, done in
            guard let request = try? RecordJSON.decode(DrainRequest.self, from: arguments), request.isRight else {
                return done(.failure(ShuntError(.requestInvalid, "this is not how a worker is drained", help: #"send {"rate": 200}"#)))
            }
            setDraining(true) { control, tallies in
                control.beginDrain(request, tallies)
                done(control.drainAnswer)
            }
        }
        commands.set(.undrain) { [self] _, done in
            setDraining(false) { control, _ in
                control.endDrain()
                done(control.drainAnswer)
            }
        }
        commands.set(.drainState) { [self] _, done in onControl { done($0.drainAnswer) } }
        commands.set(.shed) { [self] arguments, done in
            guard let request = try? RecordJSON.decode(ShedRequest.self, from: arguments), request.isRight else {
                return done(.failure(ShuntError(.requestInvalid, "this is not how clients are given away", help: #"send {"clients": 100}"#)))
            }
            onControl { control in
                do throws(ShuntError) {
                    try control.beginShedding(request.clients, .movable, rate: request.rate)
                    done(control.drainAnswer)
                } catch {
                    done(.failure(error))
                }
            }
        }
    }

    /// - Parameter done: called on the control loop, once no loop lets new clients in, or all do, with what is on each.
    private func setDraining(
        _ isDraining: Bool, _ done: @escaping @Sendable (ControlLoop, [UInt8: DepartureTally]) -> Void
    ) {
        let tallies = Tallies(count)
        onEach { [self] loop in
            loop.engine.setDraining(isDraining)
            guard let all = tallies.add(loop.sendAway(DepartureStep(.producers, limit: 0)), of: loop.loop.index) else { return }
            onControl { done($0, all) }
        }
    }

    /// What is on each loop.
    private final class Tallies: Sendable {
        private let told = Mutex<[UInt8: DepartureTally]>([:])
        private let count: Int

        init(_ count: Int) { self.count = count }

        /// - Returns: what is on all loops, once each has told it.
        func add(_ tally: DepartureTally, of loop: UInt8) -> [UInt8: DepartureTally]? {
            told.withLock { told in
                told[loop] = tally
                return told.count == count ? told : nil
            }
        }
    }
}

extension DrainRequest {
    var isRight: Bool { (1...Self.maximumRate).contains(rate ?? 1) && (0...1e9).contains(forceAfter ?? 0) }
}

extension ShedRequest {
    var isRight: Bool { clients > 0 && (1...DrainRequest.maximumRate).contains(rate ?? 1) }
}

extension ControlLoop {
    /// The worker takes no new clients from now on, and the present ones are sent away. The master hears of it before the operator does.
    func beginDrain(_ request: DrainRequest, _ tallies: [UInt8: DepartureTally]) {
        drains += 1
        drain = WorkerDrain(.empty(request), loops: peers.count, after: drain, number: drains, now: loop.now)
        for (index, tally) in tallies { drain?.begins(with: tally, on: index) }
        logger.notice("draining: no new clients, the present ones are sent away", metadata: ["rate": "\(request.rate ?? DrainRequest.usualRate)"])
        tellState()
    }

    /// The worker takes clients again. Clients that are about to go still go.
    func endDrain() {
        guard drain?.isDraining == true else { return }
        drain = nil
        logger.notice("taking clients again")
        tellState()
    }

    /// Gives some clients to other workers.
    func beginShedding(_ count: Int, _ whom: DepartureStage, rate: Int? = nil) throws(ShuntError) {
        guard drain?.isDraining != true else { throw ShuntError(.requestInvalid, "this worker drains: all of its clients go") }
        drains += 1
        drain = WorkerDrain(.shed(count, whom), rate: rate, loops: peers.count, number: drains, now: loop.now)
        logger.notice("sending clients to other workers", metadata: ["clients": "\(count)"])
    }

    /// A master of message-channel tells how many connections the worker should have (exchange protocol §9.7, §10.5). Clients go that have
    /// subscribed nothing. Counts of workers are never quite the same, so a few more are no reason to move anybody.
    func balance(to target: Int) {
        guard followsBalance, drain == nil else { return }
        let excess = WorkerFigures(peers.figures()).connections - target
        guard excess > max(10, target / 10) else { return }
        try? beginShedding(excess, .producers)
    }

    func tickDrain() {
        guard drain != nil else { return }
        askRoom()
        let other = peers.neighbours.nextWorker()
        for action in drain?.tick(now: loop.now, hasRoom: other != nil, chatsTo: other) ?? [] { carryOut(action) }
    }

    private func took(_ tally: DepartureTally, from index: UInt8) {
        for action in drain?.took(tally, from: index) ?? [] { carryOut(action) }
    }

    private func carryOut(_ action: WorkerDrain.Action) {
        switch action {
        case .step(let index, let step):
            peers.on(index) { [peers] worker in
                let tally = worker.sendAway(step)
                peers.onControl { $0.took(tally, from: index) }
            }
        case .emptied(let exits):
            let (sent, lost) = (drain?.record.sent ?? 0, drain?.record.givenUp ?? 0)
            let losses = lost > 0 ? "; delayed messages that are lost: \(lost)" : ""
            peers.events.add(.workerDrained, "nobody is left; clients and sessions that were sent away: \(sent)\(losses)", now: loop.now)
            logger.notice("drained: nobody is left", metadata: ["sent": "\(sent)", "lost": "\(lost)"])
            tellState()
            // As if the service manager had ended it.
            if exits { kill(getpid(), SIGTERM) }
        case .shed(let sent):
            logger.notice("sent clients to other workers", metadata: ["clients": "\(sent)"])
            drain = nil
        }
    }

    var drainAnswer: Result<[UInt8], ShuntError> {
        var record = drain?.record ?? DrainRecord()
        // Until every loop has told what is left there: as of a tenth of a second ago.
        if drain?.isKnown != true {
            let reports = peers.figures()
            let figures = WorkerFigures(reports)
            (record.connections, record.sessions) = (figures.connections, figures.mqttSessions)
            (record.chats, record.delayed) = (reports.reduce(0) { $0 + $1.routing.chats }, reports.reduce(0) { $0 + $1.routing.delayed })
        }
        guard let json = try? RecordJSON.encode(record) else {
            return .failure(ShuntError(.internalError, "the answer cannot be written as JSON"))
        }
        return .success(json)
    }
}

extension WorkerLoop {
    /// Sends some clients to other workers.
    func sendAway(_ step: DepartureStep) -> DepartureTally {
        var tally = engine.sendAway(step, now: loop.now)
        carryOutActions()
        tally.connections = loop.figures.connections
        return tally
    }
}
