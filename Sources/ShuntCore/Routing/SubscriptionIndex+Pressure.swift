/// Congested consumers and the policies for them.
extension SubscriptionIndex {
    /// Notes how full a connection's out-buffer is. Groups pass a congested member over while they have another one.
    public mutating func setPressure(_ pressure: ConsumerPressure, of connection: ConnectionID) {
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            entries[Int(index)].pressure = pressure
            index = entries[Int(index)].next
        }
    }

    /// How full a connection's out-buffer is, as far as this loop knows.
    public func pressure(of connection: ConnectionID) -> ConsumerPressure {
        let first = firstOfConnection[connection]
        return first == Self.noEntry ? .none : entries[Int(first)].pressure
    }

    /// The treatment of messages for a connection whose out-buffer is full. A connection has one buffer for all of its groups: if producers
    /// wait for it in one group, they wait in all.
    public func slowConsumerPolicy(of connection: ConnectionID) -> SlowConsumerPolicy {
        let first = firstOfConnection[connection]
        guard first != Self.noEntry else { return slowPolicies.standard }
        // Where one group's producers wait, all entries say so.
        return entries[Int(first)].holds ? .hold : slowPolicyOfGroup[Int(entries[Int(first)].group)]
    }

    /// Sets `holds` of a new entry: as its connection's other entries have it. Where the new entry's group is the first of the connection's
    /// groups with the policy `hold`, all entries of the connection get it.
    mutating func holdingGained(_ index: UInt32) {
        let entry = entries[Int(index)]
        let holds = slowPolicyOfGroup[Int(entry.group)] == .hold
        guard entry.next != Self.noEntry else {
            entries[Int(index)].holds = holds
            return
        }
        let othersHold = entries[Int(entry.next)].holds
        entries[Int(index)].holds = othersHold
        if holds, !othersHold { setHolding(true, of: entry.connection) }
    }

    /// A subscription in a group that holds has gone.
    mutating func holdingLost(_ connection: ConnectionID) {
        if !hasHoldingGroup(connection) { setHolding(false, of: connection) }
    }

    private func hasHoldingGroup(_ connection: ConnectionID) -> Bool {
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            if slowPolicyOfGroup[Int(entries[Int(index)].group)] == .hold { return true }
            index = entries[Int(index)].next
        }
        return false
    }

    /// Notes with each subscription of a connection whether producers wait for it.
    private mutating func setHolding(_ holds: Bool, of connection: ConnectionID) {
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            entries[Int(index)].holds = holds
            index = entries[Int(index)].next
        }
    }

    /// Changes the policies, also for groups that exist already.
    public mutating func setSlowPolicies(_ new: SlowConsumerPolicies) {
        guard new != slowPolicies else { return }
        slowPolicies = new
        for index in slowPolicyOfGroup.indices where groups.isUsed(UInt32(index)) {
            slowPolicyOfGroup[index] = new.policy(for: groups.text(UInt32(index)))
        }
        var connections: Set<ConnectionID> = []
        for filter in 0..<filters.end where filters.isUsed(filter) {
            members.forEach(filters[filter]) { connections.insert(entries[Int($0)].connection) }
        }
        for connection in connections { setHolding(hasHoldingGroup(connection), of: connection) }
    }
}
