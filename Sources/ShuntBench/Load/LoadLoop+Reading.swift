import Glibc
import MQTTCodec
import ShuntCore

// Unsafe: clients are passed by their address in `clients`, which stays; a `!` is an address of memory that is not empty; packets are
// views of `buffer`, whole ones, while it is not read to.

/// Reading packets, counting messages, answering them.
extension LoadLoop {
    func read(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        repeat { readOnce(client, place) } while client.pointee.isReading && client.pointee.socket.hasMore
    }

    private func readOnce(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        guard client.pointee.isReading else { return }
        let kept = client.pointee.input.count
        if kept > 0 { client.pointee.input.withUnsafeBytes { buffer.copyMemory(from: $0.baseAddress!, byteCount: kept) } }
        let got = client.pointee.socket.receive(buffer + kept, bufferSize - kept)
        guard got > 0 else {
            let code = errno
            if got < 0, code == EAGAIN || code == EINTR { return }
            if got < 0, code == EPROTO, let tls = settings.tls, let connection = client.pointee.tls {
                return end(client, tls.failure(connection).message)
            }
            let isClosed = got == 0 || code == ECONNRESET
            let reason = isClosed ? "closed by the broker" : String(cString: strerror(code)).lowercased()
            return end(client, reason + (client.pointee.state == .greeting ? " before CONNACK" : ""))
        }
        let now = LoadClock.now()
        let distinct = figures.distinct
        client.pointee.readAt = now
        let bytes = Bytes(start: buffer, count: kept + got)
        let used = take(bytes, client, place, now)
        if underWayLimit != nil { control.addUnderWay(distinct - figures.distinct) }
        guard client.pointee.state != .closed else {
            answersSize = 0
            return
        }
        if kept > 0 { client.pointee.input.removeAll(keepingCapacity: true) }
        if used < bytes.count { client.pointee.input.append(contentsOf: bytes[used...]) }
        if answersSize > 0 {
            let count = answersSize
            answersSize = 0
            write(client, place, answers, count, at: now)
        }
        // An acknowledgement makes room for a message.
        if client.pointee.publisher >= 0 { publish(client, place, at: now) }
    }

    /// - Returns: bytes of whole packets.
    private func take(_ bytes: Bytes, _ client: UnsafeMutablePointer<LoadClient>, _ place: Int, _ now: Int) -> Int {
        var at = 0
        while client.pointee.state != .closed {
            let rest = Bytes(rebasing: bytes[at...])
            switch PacketDecoder.decode(rest, limit: bufferSize) {
            case .needMore: return at
            case .malformed(let fault):
                end(client, "the broker sent what is no MQTT: \(fault.message)")
                return at
            case .packet(let header):
                let packet = Bytes(rebasing: rest[..<header.size])
                at += header.size
                do throws(MQTTFault) {
                    if header.type == .publish {
                        count(try PublishView(header, packet, settings.version), client, now)
                    } else {
                        try handle(header, packet, client, place, now)
                    }
                } catch {
                    end(client, "the broker sent what is no MQTT: \(error.message)")
                }
            }
        }
        return at
    }

    @inline(__always)
    private func count(_ message: PublishView, _ client: UnsafeMutablePointer<LoadClient>, _ now: Int) {
        switch message.qos {
        case .atMostOnce: break
        case .atLeastOnce: answer(.publishAcknowledgement, message.identifier)
        case .exactlyOnce: answer(.publishReceived, message.identifier)
        }
        figures.received += 1
        guard let messages, let stamp = PayloadStamp(message.payload), stamp.mark == settings.mark, stamp.publisher < publishers,
            client.pointee.subscriber >= 0, messages.scenario.isMeant(stamp.publisher, for: client.pointee.subscriber)
        else {
            figures.strays += 1
            return
        }
        let arrival = now - control.start
        let warmUp = Int(messages.warmUp * 1e9)
        let measured = warmUp..<max(warmUp, control.end - control.start)
        if measured.contains(arrival) { figures.receivedMeasured += 1 }
        switch accounts.note(stamp.number, of: client.pointee.accounts + stamp.publisher) {
        case .duplicate:
            figures.duplicates += 1
            return
        case .late:
            // Members of a shared subscription read beside one another.
            if messages.scenario.kind != .sharedSubscription { figures.late += 1 }
        case .new: break
        }
        figures.distinct += 1
        if measured.contains(stamp.due) { recent.record(arrival - stamp.due) }
    }

    @inline(__always)
    private func answer(_ type: PacketType, _ identifier: UInt16) {
        PublishAnswer.write(type, identifier, to: answers + answersSize)
        answersSize += PublishAnswer.shortSize
    }

    /// Everything except messages.
    private func handle(
        _ header: PacketHeader, _ packet: Bytes, _ client: UnsafeMutablePointer<LoadClient>, _ place: Int, _ now: Int
    ) throws(MQTTFault) {
        let body = Bytes(rebasing: packet[header.headerSize...])
        switch (header.type, client.pointee.state) {
        case (.publishAcknowledgement, .ready), (.publishReceived, .ready), (.publishComplete, .ready):
            // Two bytes are an identifier and success.
            if body.count == 2 {
                acknowledged(client, header.type, UInt16(body[0]) << 8 | UInt16(body[1]), nil, now)
            } else {
                let answer = try PublishAnswer(header.type, decoding: body, settings.version)
                acknowledged(client, header.type, answer.identifier, answer.reason, now)
            }
        case (.publishRelease, .ready), (.publishRelease, .subscribing):
            answer(.publishComplete, try PublishAnswer(.publishRelease, decoding: body, settings.version).identifier)
        case (.pingResponse, _): break
        case (_, .greeting): welcomed(client, place, Greeting.read(header, packet, settings.version), at: now)
        case (.subscribeAcknowledgement, .subscribing):
            subscribed(client, try SubscribeAnswer(.subscribeAcknowledgement, decoding: body, settings.version).reasons.first)
        case (.disconnect, _):
            end(client, "the broker disconnected: \(try Disconnect(decoding: body, settings.version).reason.words)")
        default: end(client, "the broker sent a packet out of turn, of type \(header.type.rawValue)")
        }
    }

    private func acknowledged(
        _ client: UnsafeMutablePointer<LoadClient>, _ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode?, _ now: Int
    ) {
        let isError = reason?.isError ?? false
        if isError, let reason {
            figures.refused += 1
            figures.reasons.note("a message was refused: \(reason.words)")
        }
        switch client.pointee.window?.answered(type, identifier, isError: isError) {
        case .release: answer(.publishRelease, identifier)
        case .done(let due):
            figures.outstanding -= 1
            guard let messages, !isError else { return }
            let warmUp = Int(messages.warmUp * 1e9)
            if due >= warmUp, due < control.end - control.start { figures.acknowledgements.record(now - control.start - due) }
        case .unexpected, nil: end(client, "the broker acknowledged a message that was not sent")
        }
    }
}
