import ExchangeCodec
import ShuntCore

/// Questions for workers that are not a client's first: which have room, which hold a user's devices.
extension MasterEngine {
    /// A worker asks which others have room.
    func answerRoom(_ frame: FrameView, _ connection: ConnectionID, now: Double) {
        let own = peers[connection]?.worker
        let others = directory.allocation.lazy.filter { $0 != own && !self.directory.isFull($0) }
        var reply = Frame(acknowledging: frame.id)
        let body = RoomBody(workers: others.prefix(RoomBody.capacity).compactMap { directory.addresses(of: $0) })
        (reply.format, reply.value, reply.name) = (.json, body.encoded(), RoomBody.frameName)
        actions.append(.send(connection, reply.encoded()))
    }

    /// A client asks a master that does not serve: it gets the workers that this one knows of, as those have room more often than not.
    func allocateAsStandby(
        _ request: AllocationRequest, _ frame: FrameView, _ connection: ConnectionID, now: Double
    ) throws(ShuntError) {
        let workers = standby?.workersForClients(now: now) ?? []
        guard let first = workers.first else { throw ShuntError(.workerNone, "not found server") }
        answer(frame, connection, request == .all ? AllocationReply.encode(workers) : first)
    }

    /// Which workers hold a user's devices. Until all have told what they hold, any of them may.
    func allocate(
        _ body: DeviceAllocationBody, _ frame: FrameView, _ connection: ConnectionID, now: Double
    ) throws(ShuntError) {
        try checkServing(now: now)
        let workers =
            now >= settledAt
            ? devices.workers(holding: body.uid).filter { directory.isPresent($0, now: now) } : directory.allocation
        guard !workers.isEmpty else { throw ShuntError(.deviceUnknown, "no live worker has a device of this uid") }
        var reply = Frame(acknowledging: frame.id, text: AllocationReply.encode(workers))
        reply.name = DeviceAllocationBody.frameName
        actions.append(.send(connection, reply.encoded()))
    }
}
