import ExchangeCodec
import Logging
import ShuntCore
import ShuntEngine

/// What the master is told of clients, a portion of one loop at a time.
extension ControlLoop {
    /// The master wants to know all clients, and what changes.
    func askedClients(_ list: Int64) {
        peers.onEach { $0.engine.beginClientNews() }
        carryOut(clients.begin(list: list, loops: peers.count))
    }

    /// The master has taken a report.
    func tookClients(_ isRefused: Bool) {
        if isRefused { endClients() } else { carryOut(clients.taken()) }
        answerSettled()
    }

    /// No master wants to know any more.
    func endClients() {
        guard clients.isOn else { return }
        clients.end()
        peers.onEach { $0.engine.endClientNews() }
    }

    func carryOut(_ action: ClientReports.Action?) {
        switch action {
        case .ask(let loop)?: peers.takeClients(of: loop, list: clients.current)
        case .send(let body)?: carryOut(link.tellClients(body, now: self.loop.now))
        case nil: break
        }
    }

    /// What a loop has to tell.
    func took(_ portion: ClientPortion, from loop: UInt8, list: Int64) {
        carryOut(clients.took(portion, from: loop, list: list))
        answerSettled()
    }

    /// The worker has lost the master that serves, or has found it.
    func cutOff(_ isCutOff: Bool) {
        peers.onEach { $0.setCutOff(isCutOff) }
        let text: Logger.Message =
            isCutOff ? "no master serves this worker: nobody is let into chats until one does" : "a master serves this worker again"
        logger.log(level: isCutOff ? .warning : .info, text)
    }
}

extension LoopPeers {
    /// Asks a loop for what it has to tell of clients; the control loop is told.
    func takeClients(of index: UInt8, list: Int64) {
        on(index) { [self] loop in
            let portion = loop.engine.takeClients()
            onControl { $0.took(portion, from: index, list: list) }
        }
    }
}
