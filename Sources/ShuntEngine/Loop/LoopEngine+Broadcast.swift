import ExchangeCodec
import ShuntCore

/// A broadcast that loops are still delivering.
struct Broadcast {
    var sender: ConnectionID
    /// The sender's frame, to be answered.
    var frame: Int64
    var tally = BroadcastTally()
    var waitingFor: Int
}

extension LoopEngine {
    /// Broadcasts of one loop that others are still delivering.
    static let broadcastCapacity = 4096

    /// NOTIFY (exchange protocol §9.5, §10.4): to the devices of all loops that the filter takes.
    func notify(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        do throws(ShuntError) {
            let filter = try filter(of: frame, start)
            guard broadcasts.count < Self.broadcastCapacity else {
                throw ShuntError(.memoryLimit, "\(broadcasts.count) broadcasts are under way", help: "send it again later")
            }
            broadcast(Array(frame.bytes(in: start)), to: filter, answering: frame.id, of: connection)
        } catch {
            refuse(frame.id, connection, error)
        }
    }

    private func filter(of frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> DeviceFilter {
        guard frame.hasBody else { return .all }
        do throws(ShuntError) {
            let body = try NotifyBody(decoding: try controlValue(of: frame, start))
            let filter = DeviceFilter(
                uid: body.uid, device: body.device, matchTags: body.matchTags, matchAlias: body.matchAlias,
                filterTags: body.filterTags, filterAlias: body.filterAlias)
            try filter.validate()
            return filter
        } catch {
            throw error.code == .requestInvalid ? ShuntError(.filterInvalid, error.message, at: error.location, help: error.help) : error
        }
    }

    private func broadcast(_ frame: [UInt8], to filter: DeviceFilter, answering id: Int64, of sender: ConnectionID) {
        figures.broadcasts += 1
        lastBroadcast &+= 1
        let broadcast = BroadcastID(loop: loop, number: lastBroadcast)
        broadcasts[broadcast.number] = Broadcast(sender: sender, frame: id, waitingFor: loops)
        tell(.broadcast(broadcast, filter, frame: frame))
        self.broadcast(broadcast, filter, frame: frame)
    }

    /// Delivers a broadcast to the devices of this loop.
    func broadcast(_ id: BroadcastID, _ filter: DeviceFilter, frame: [UInt8]) {
        recipients.removeAll(keepingCapacity: true)
        devices.matching(filter, into: &recipients)
        actions.append(.beginTally)
        if !recipients.isEmpty {
            let stretch = made.append(frame)
            for recipient in recipients { actions.append(.deliver(recipient, stretch)) }
            figures.deliveries += recipients.count
        }
        actions.append(.endTally(id))
    }

    /// What became of the part of a broadcast that was delivered here, or on another loop.
    public func tallied(_ id: BroadcastID, _ tally: BroadcastTally) {
        guard id.loop == loop else {
            letters.append(AddressedLetter(loop: id.loop, letter: .tallied(id, tally)))
            return
        }
        guard var broadcast = broadcasts[id.number] else { return }
        broadcast.tally += tally
        broadcast.waitingFor -= 1
        guard broadcast.waitingFor == 0 else {
            broadcasts[id.number] = broadcast
            return
        }
        broadcasts[id.number] = nil
        guard isCurrent(broadcast.sender) else { return }
        guard broadcast.tally.matched > 0 else {
            return refuse(broadcast.frame, broadcast.sender, ShuntError(.deviceNone, "no device matches"))
        }
        answer(broadcast.frame, broadcast.sender, broadcast.tally.text)
    }
}
