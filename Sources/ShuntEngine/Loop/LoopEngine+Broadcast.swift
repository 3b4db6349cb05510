import ExchangeCodec
import ShuntCore

/// A client's frame that is to be answered.
struct Request: Equatable {
    var id: Int64
    var client: ConnectionID
}

/// A broadcast that loops are still delivering.
struct Broadcast {
    var request: Request
    var tally = BroadcastTally()
    var waitingFor: Int
    /// For rules that want to know what reached nobody.
    var frame: [UInt8]?
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
            let bytes = Array(frame.bytes(in: start))
            if let hooks, hooks.wanted.contains(.broadcast) {
                try ruledBroadcast(frame, start, bytes, filter, connection, hooks)
            } else {
                broadcast(bytes, to: filter, answering: Request(id: frame.id, client: connection))
            }
        } catch {
            refuse(frame.id, connection, error)
        }
    }

    private func filter(of frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> DeviceFilter {
        guard frame.hasBody else { return .all }
        do throws(ShuntError) {
            let filter = DeviceFilter(try NotifyBody(decoding: try controlValue(of: frame, start)))
            try filter.validate()
            return filter
        } catch {
            throw error.code == .requestInvalid ? ShuntError(.filterInvalid, error.message, at: error.location, help: error.help) : error
        }
    }

    /// A broadcast that rules want to see.
    private func ruledBroadcast(
        _ frame: FrameView, _ start: UnsafeRawPointer, _ bytes: [UInt8], _ filter: DeviceFilter, _ connection: ConnectionID,
        _ hooks: any RuleHooks
    ) throws(ShuntError) {
        begin(hooks)
        let body = frame.hasBody ? try NotifyBody(decoding: try controlValue(of: frame, start)) : NotifyBody()
        let request = Request(id: frame.id, client: connection)
        let (outcome, why, made) = Self.withBytes(body.message ?? "") { text in
            let push = MessageView(
                kind: .broadcast, topic: Bytes(start: nil, count: 0), key: nil, payload: text, format: .text, id: frame.id,
                sender: connection)
            let filter = frame.value(in: start) ?? Bytes(start: nil, count: 0)
            let outcome = hooks.onBroadcast(push, filter: filter, now: now)
            return (outcome.verdict, outcome.reason, outcome.messages.map(OwnedMessage.init))
        }
        switch outcome {
        case .pass: broadcast(bytes, to: filter, answering: request)
        case .send: break
        case .drop:
            figures.dropped += 1
            answer(frame.id, connection, BroadcastTally().text + " (\(why.isEmpty ? "dropped by a rule" : why))")
        case .reject, .redirect:
            figures.rejected += 1
            refuse(frame.id, connection, ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the broadcast" : why))
        }
        // The first broadcast that replaces it is answered in its place.
        var isAnswered = outcome != .send
        for message in made {
            if message.kind == .broadcast, !isAnswered {
                isAnswered = true
                push(message, answering: request)
            } else {
                send(message)
            }
        }
        if !isAnswered { acknowledge(frame.id, connection) }
    }

    /// Sends the broadcast that a rule has made.
    func push(_ message: OwnedMessage, answering request: Request?) {
        do throws(ShuntError) {
            var body: NotifyBody
            do throws(ShuntError) {
                body = try message.filter.isEmpty ? NotifyBody() : Self.notify(message.filter)
            } catch {
                throw ShuntError(.filterInvalid, error.message, help: error.help)
            }
            // One that came without a text goes out without one.
            if !message.payload.isEmpty { body.message = String(decoding: message.payload, as: UTF8.self) }
            let filter = DeviceFilter(body)
            try filter.validate()
            let isBare = body == NotifyBody()
            let frame = Frame(.notify, id: request?.id ?? makeID(), format: isBare ? .none : .json, value: isBare ? [] : body.encoded())
            broadcast(frame.encoded(), to: filter, answering: request)
        } catch {
            figures.undelivered += 1
            if let request { refuse(request.id, request.client, error) }
        }
    }

    private static func notify(_ json: [UInt8]) throws(ShuntError) -> NotifyBody {
        let decoded: Result<NotifyBody, ShuntError> = json.withUnsafeBytes { bytes in
            do throws(ShuntError) {
                return .success(try NotifyBody(decoding: bytes))
            } catch {
                return .failure(error)
            }
        }
        return try decoded.get()
    }

    /// - Parameter request: to be answered when all loops are done; nil where a rule has made it.
    private func broadcast(_ frame: [UInt8], to filter: DeviceFilter, answering request: Request?) {
        figures.broadcasts += 1
        lastBroadcast &+= 1
        let broadcast = BroadcastID(loop: loop, number: lastBroadcast)
        if let request { broadcasts[broadcast.number] = Broadcast(request: request, waitingFor: loops, frame: wantsUndelivered ? frame : nil) }
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
            for recipient in recipients { actions.append(looksAtDeliveries ? .offer(recipient, stretch) : .deliver(recipient, stretch)) }
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
        let request = broadcast.request
        guard isCurrent(request.client) else { return }
        guard broadcast.tally.matched > 0 else {
            broadcast.frame?.withUnsafeBytes { undelivered($0, why: .noDevice, now: now) }
            return refuse(request.id, request.client, ShuntError(.deviceNone, "no device matches"))
        }
        answer(request.id, request.client, broadcast.tally.text)
    }
}

extension DeviceFilter {
    init(_ body: NotifyBody) {
        self.init(
            uid: body.uid, device: body.device, matchTags: body.matchTags, matchAlias: body.matchAlias,
            filterTags: body.filterTags, filterAlias: body.filterAlias)
    }
}
