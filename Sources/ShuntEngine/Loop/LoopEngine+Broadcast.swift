import ExchangeCodec
import ShuntCore

/// A client's request that is to be answered.
struct Request: Equatable {
    var receipt: Receipt
    var client: ConnectionID
}

/// A broadcast that a client has sent.
struct BroadcastMessage {
    /// The NOTIFY frame that devices get.
    var frame: [UInt8]
    var filter: DeviceFilter
    var text: String
    /// The frame's value: text and filter as the JSON object that rules see; empty for all devices without a text.
    var json: [UInt8]
}

/// A broadcast that loops are still delivering.
struct Broadcast {
    /// nil where a rule has made it.
    var request: Request?
    /// For what a rule has made it of.
    var fate: UInt32?
    var tally = BroadcastTally()
    var waitingFor: Int
    /// For rules that want to know what reached nobody, where no fate does.
    var frame: [UInt8]?
}

extension LoopEngine {
    /// Broadcasts of one loop that others are still delivering.
    static let broadcastCapacity = 4096

    /// Sends a client's broadcast to the devices of all loops that the filter takes.
    /// - Throws: `limit.memory` where too many are under way.
    func notify(_ message: BroadcastMessage, _ request: Request) throws(ShuntError) {
        guard broadcasts.count < Self.broadcastCapacity else {
            throw ShuntError(.memoryLimit, "\(broadcasts.count) broadcasts are under way", help: "send it again later")
        }
        if let hooks, hooks.wanted.contains(.broadcast) {
            ruledBroadcast(message, request, hooks)
        } else {
            broadcast(message.frame, to: message.filter, answering: request)
        }
    }

    /// A broadcast that rules want to see.
    private func ruledBroadcast(_ message: BroadcastMessage, _ request: Request, _ hooks: any RuleHooks) {
        router.begin(hooks)
        let origin = MessageOrigin(.broadcast, [])
        let (outcome, why, made, fate) = Self.withBytes(message.text) { text in
            var push = MessageView(
                kind: .broadcast, topic: .none, key: nil, payload: text, format: .text, id: request.receipt.frameID ?? 0,
                sender: request.client)
            // What rules make a topic message of it counts as any message of the exchange protocol.
            push.qos = .atLeastOnce
            router.beginMessage(push, of: origin)
            defer { router.endMessage() }
            let outcome = message.json.withUnsafeBytes { hooks.onBroadcast(push, filter: $0, now: now) }
            let (verdict, why) = (outcome.verdict, outcome.reason)
            var made = router.made(outcome, of: request.client)
            // All of it has one fate.
            let goesOut = verdict == .pass || verdict == .send
            let fate = goesOut ? router.follow(&made, of: origin, besides: verdict == .pass ? push : nil, id: push.id) : nil
            return (verdict, why, made, fate)
        }
        switch outcome {
        case .pass: broadcast(message.frame, to: message.filter, answering: request, for: fate)
        case .send: break
        case .drop:
            output.figures.dropped += 1
            answer(request.receipt, request.client, BroadcastTally().text + " (\(why.isEmpty ? "dropped by a rule" : why))")
        case .reject, .redirect:
            output.figures.rejected += 1
            refuse(request.receipt, request.client, ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the broadcast" : why))
        }
        // The first broadcast that replaces it is answered in its place.
        var (isAnswered, sent) = (outcome != .send, [Sent]())
        for message in made {
            if message.kind == .broadcast, message.delay == nil, !isAnswered {
                isAnswered = true
                push(message, answering: request)
            } else {
                sent.append(send(message))
            }
        }
        guard !isAnswered else { return }
        if let error = refusal(after: sent) {
            refuse(request.receipt, request.client, error)
        } else {
            acknowledge(request.receipt, request.client)
        }
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
            let frame = Frame(
                .notify, id: request?.receipt.frameID ?? router.makeID(), format: isBare ? .none : .json, value: isBare ? [] : body.encoded())
            broadcast(frame.encoded(), to: filter, answering: request, for: message.fate)
        } catch {
            router.missed(message, .noDevice)
            if let request { refuse(request.receipt, request.client, error) }
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

    /// - Parameters:
    ///   - request: to be answered when all loops are done; nil where a rule has made it.
    ///   - fate: of the message that rules have made it of, or have let pass.
    private func broadcast(_ frame: [UInt8], to filter: DeviceFilter, answering request: Request?, for fate: UInt32? = nil) {
        output.figures.broadcasts += 1
        lastBroadcast &+= 1
        let broadcast = BroadcastID(loop: loop, number: lastBroadcast)
        if request != nil || fate != nil {
            broadcasts[broadcast.number] = Broadcast(
                request: request, fate: fate, waitingFor: loops, frame: fate == nil && wantsUndelivered ? frame : nil)
        }
        output.tell(.broadcast(broadcast, filter, frame: frame))
        self.broadcast(broadcast, filter, frame: frame)
    }

    /// Delivers a broadcast to the devices of this loop.
    func broadcast(_ id: BroadcastID, _ filter: DeviceFilter, frame: [UInt8]) {
        matching.removeAll(keepingCapacity: true)
        devices.matching(filter, into: &matching)
        let stretch = matching.isEmpty ? .none : output.made.append(frame, .exchange)
        output.actions.append(.beginTally(stretch))
        if !matching.isEmpty {
            var others: [Recipient] = []
            for recipient in matching {
                guard clients[recipient.slot].protocolName == .exchange else {
                    if let qos = broadcastQoS(of: recipient) {
                        others.append(Recipient(subscriber(of: recipient), DeliveryTerms(clients[recipient.slot].form, qos: qos)))
                    }
                    continue
                }
                output.actions.append(router.looksAtDeliveries ? .offer(recipient, stretch) : .deliver(recipient, stretch))
            }
            if !others.isEmpty { deliver(frame, to: others) }
        }
        output.actions.append(.endTally(id))
    }

    /// The text of a broadcast, for devices that speak MQTT.
    private func deliver(_ frame: [UInt8], to recipients: [Recipient]) {
        frame.withUnsafeBytes { frame in
            guard let message = WireEncoder.read(frame, .exchange) else { return }
            Self.withBytes(Self.text(of: message.payload)) { text in
                var push = MessageView(kind: .broadcast, topic: .none, key: nil, payload: text, format: .text, id: message.id, sender: .nobody)
                push.qos = .exactlyOnce
                router.deliver(push, to: recipients)
            }
        }
    }

    /// From here on a broadcast is delivered, which came as this frame.
    public func delivers(broadcast frame: Stretch) { broadcastFrame = frame }

    /// What became of the part of a broadcast that was delivered here, or on another loop.
    public func tallied(_ id: BroadcastID, _ tally: BroadcastTally) {
        guard id.loop == loop else {
            output.tell(.tallied(id, tally), loop: id.loop)
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
        let isReached = broadcast.tally.matched > 0
        router.settle(broadcast.fate, isReached ? .reached : .missed, .noDevice)
        if !isReached { broadcast.frame?.withUnsafeBytes { _ = undelivered($0, .exchange, why: .noDevice, now: now) } }
        guard let request = broadcast.request, isCurrent(request.client) else { return }
        guard isReached else { return refuse(request.receipt, request.client, ShuntError(.deviceNone, "no device matches")) }
        answer(request.receipt, request.client, broadcast.tally.text)
    }
}

extension DeviceFilter {
    init(_ body: NotifyBody) {
        self.init(
            uid: body.uid, device: body.device, matchTags: body.matchTags, matchAlias: body.matchAlias,
            filterTags: body.filterTags, filterAlias: body.filterAlias)
    }
}
