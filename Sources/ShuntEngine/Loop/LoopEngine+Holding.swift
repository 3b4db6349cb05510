import ShuntCore

/// Producers that wait for consumers (`worker.slow_consumer: hold`).
///
/// A message for a congested consumer is still delivered, and acknowledged. Its producer is not read from until the consumer has drained,
/// is stuck, or has left. Each loop knows every consumer's pressure by letters, so it holds its own clients and nobody else's.
extension LoopEngine {
    /// Holds the client whose message went to a congested consumer, which may be the client itself.
    @inline(never)
    func holdProducer(_ producer: ConnectionID) {
        let consumer = router.index.blocker
        router.index.blocker = .none
        let slot = producer.slot
        guard !clients[slot].isHeld, clients[slot].state == .open else { return }
        clients[slot].isHeld = true
        producersHeldBy[consumer, default: []].append(producer)
        output.figures.heldProducers += 1
        output.figures.holds += 1
        output.actions.append(.hold(producer))
    }

    /// The consumer has drained, is stuck, or has left: nobody waits for it.
    func releaseProducers(heldBy consumer: ConnectionID) {
        guard !producersHeldBy.isEmpty, let producers = producersHeldBy.removeValue(forKey: consumer) else { return }
        for producer in producers where isCurrent(producer) {
            clients[producer.slot].isHeld = false
            clients[producer.slot].heardAt = Self.eighths(now)
            output.figures.heldProducers -= 1
            output.actions.append(.resume(producer))
        }
    }

    /// A producer that is held has gone.
    func forgetHeld(_ producer: ConnectionID) {
        clients[producer.slot].isHeld = false
        output.figures.heldProducers -= 1
        for (consumer, producers) in producersHeldBy where producers.contains(producer) {
            let others = producers.filter { $0 != producer }
            producersHeldBy[consumer] = others.isEmpty ? nil : others
            return
        }
    }
}
