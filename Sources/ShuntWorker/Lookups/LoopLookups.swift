import ShuntCore

/// Where the rules of one loop look things up: the worker's one service, whose answers come to the loop as jobs.
final class LoopLookups: RuleLookups {
    private let peers: LoopPeers
    private let loop: UInt8

    init(_ peers: LoopPeers, loop: UInt8) { (self.peers, self.loop) = (peers, loop) }

    func allows(_ plugin: String) -> Bool { peers.lookups.allows(plugin) }
    func patience(of plugin: String) -> Double { peers.lookups.patience(of: plugin) }

    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep {
        let (peers, loop) = (peers, loop)
        return peers.lookups.lookUp(lookup, of: plugin, on: loop, timeLimit: timeLimit) { answer in
            peers.on(loop) { $0.lookedUp(call, answer) }
        }
    }
}
