import ShuntCore

/// Where the rules of one loop look things up, in one version: the worker's one service, whose answers come to the loop as jobs.
final class LoopLookups: RuleLookups {
    private let peers: LoopPeers
    private let loop: UInt8
    private let permits: [String: LookupService.Permit]

    init(_ peers: LoopPeers, loop: UInt8, permits: [String: LookupService.Permit]) {
        (self.peers, self.loop, self.permits) = (peers, loop, permits)
    }

    func allows(_ plugin: String) -> Bool { permits[plugin] != nil }
    func patience(of plugin: String) -> Double { permits[plugin]?.settings.wait.seconds ?? 0 }

    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep {
        let (peers, loop) = (peers, loop)
        return peers.lookups.lookUp(lookup, of: plugin, by: permits[plugin], on: loop, timeLimit: timeLimit) { answer in
            peers.on(loop) { $0.lookedUp(call, answer) }
        }
    }
}
