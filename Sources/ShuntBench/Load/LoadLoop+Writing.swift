import Glibc
import MQTTCodec
import ShuntCore

// Unsafe: clients are passed by their address in `clients`, which stays; a `!` is an address of memory that is not empty; messages are
// written to `scratch`, as many as it has room for.

/// Publishing at the pace of the load, and writing.
extension LoadLoop {
    /// Sends the messages that are due.
    /// - Returns: when the next one is.
    func publishDue(_ now: Int) -> Int {
        let end = control.end
        guard now < (pace == nil ? end : end + Self.grace) else {
            isSending = false
            return .max
        }
        if let pace {
            let due = pace.count(by: min(now, end - 1) - control.start)
            while cursor < due {
                let place = Int(clientOfPublisher[cursor % publishers])
                if place >= 0 { publish(clients.baseAddress! + place, place, at: now) }
                cursor += 1
            }
        } else if cursor == 0 {
            cursor = 1
            queue = clientOfPublisher.filter { $0 >= 0 }
            for place in queue { clients[Int(place)].isQueued = true }
        }
        serveQueue(now)
        if !queue.isEmpty { return isHeld ? now + Self.heldStep : now }
        guard let pace else { return end }
        guard now >= end else { return control.start + pace.due(cursor) }
        if isDone(end) { isSending = false }
        return now + Self.graceStep
    }

    /// Each client in the queue sends as much as one write takes.
    private func serveQueue(_ now: Int) {
        guard !queue.isEmpty else { return }
        if isHeld, let underWayLimit {
            guard control.underWay <= underWayLimit / 2 else { return }
            isHeld = false
        }
        swap(&queue, &turn)
        for place in turn {
            clients[Int(place)].isQueued = false
            publish(clients.baseAddress! + Int(place), Int(place), at: now)
        }
        turn.removeAll(keepingCapacity: true)
    }

    /// Whether all that was due before the end has been sent, by connections that are still there.
    private func isDone(_ end: Int) -> Bool {
        guard let pace else { return true }
        let count = pace.count(by: end - 1 - control.start)
        return clients.allSatisfy { client in
            client.publisher < 0 || client.state == .closed || client.next >= Pace.share(of: client.publisher, among: publishers, in: count)
        }
    }

    /// Sends what a publisher may send now: what is due, as far as its window and one write go.
    func publish(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int, at now: Int) {
        guard isSending, client.pointee.state == .ready, client.pointee.output.isEmpty, let template, let messages else { return }
        let (start, end, publisher) = (control.start, control.end, client.pointee.publisher)
        guard now >= start else { return }
        var left = now < end ? Int.max : 0
        if let pace {
            let count = pace.count(by: min(now, end - 1) - start)
            left = Pace.share(of: publisher, among: publishers, in: count) - client.pointee.next
        } else if left > 0, let underWayLimit {
            left = (underWayLimit - control.underWay) / messages.scenario.copies
            if left <= 0 { isHeld = true }
        }
        guard left > 0 else {
            if isHeld { enqueue(client, place) }
            return
        }
        let measured = Int(messages.warmUp * 1e9)..<max(Int(messages.warmUp * 1e9), end - start)
        template.setTopic(topics + publisher * topicLength)
        var used = 0
        var isBlocked = false
        while left > 0, used + template.size <= scratchSize {
            let due = pace?.due(client.pointee.next * publishers + publisher) ?? (now - start)
            var identifier: UInt16 = 0
            if messages.qos != .atMostOnce {
                guard let taken = client.pointee.window?.take(due: due) else {
                    isBlocked = true
                    break
                }
                identifier = taken
                figures.outstanding += 1
            }
            let stamp = PayloadStamp(mark: settings.mark, due: due, publisher: publisher, number: client.pointee.next)
            template.write(to: scratch + used, identifier: identifier, stamp: stamp)
            used += template.size
            client.pointee.next += 1
            left -= 1
            figures.sent += 1
            if measured.contains(due) { figures.sentMeasured += 1 }
        }
        if underWayLimit != nil { control.addUnderWay(used / template.size * messages.scenario.copies) }
        if used > 0 { write(client, place, scratch, used, at: now) }
        if !isBlocked, left > 0 || underWayLimit != nil { enqueue(client, place) }
    }

    /// Has a client go on in the next turn, unless its socket or its acknowledgements are to have it go on.
    private func enqueue(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        guard client.pointee.output.isEmpty, client.pointee.state == .ready, !client.pointee.isQueued else { return }
        client.pointee.isQueued = true
        queue.append(Int32(place))
    }

    // Bytes

    func send(_ packet: [UInt8], _ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        packet.withUnsafeBytes { write(client, place, $0.baseAddress!, $0.count) }
    }

    /// Writes bytes, and keeps those that the socket does not take.
    func write(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int, _ bytes: UnsafeRawPointer, _ count: Int, at now: Int = LoadClock.now()) {
        client.pointee.sentAt = now
        var taken = 0
        if client.pointee.output.isEmpty {
            taken = client.pointee.socket.send(bytes, count)
            if taken == count { return }
            if taken < 0 {
                guard errno == EAGAIN || errno == EINTR else { return failed(client) }
                taken = 0
            }
        }
        client.pointee.output.append(contentsOf: UnsafeRawBufferPointer(start: bytes + taken, count: count - taken))
        watch(client, place)
    }

    /// Writes what waits, once the socket can take something.
    func flush(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        let waiting = client.pointee.output.count - client.pointee.outputAt
        guard waiting > 0 else { return }
        let (socket, from) = (client.pointee.socket, client.pointee.outputAt)
        let taken = client.pointee.output.withUnsafeBytes { socket.send($0.baseAddress! + from, waiting) }
        if taken < 0 {
            guard errno == EAGAIN || errno == EINTR else { return failed(client) }
            return
        }
        client.pointee.outputAt += taken
        guard taken == waiting else { return }
        client.pointee.output.removeAll(keepingCapacity: true)
        client.pointee.outputAt = 0
        watch(client, place)
        if client.pointee.publisher >= 0 { publish(client, place, at: LoadClock.now()) }
        if client.pointee.socket.hasMore { read(client, place) }
    }

    /// Asks for what can be done next. A subscriber whose answers are not read does not read: else they would grow.
    private func watch(_ client: UnsafeMutablePointer<LoadClient>, _ place: Int) {
        let waits = !client.pointee.output.isEmpty
        let isReading = !waits || client.pointee.subscriber < 0
        client.pointee.isReading = isReading
        var interest: Poller.Interest = []
        if isReading { interest.insert(.read) }
        if waits { interest.insert(.write) }
        poller.change(client.pointee.descriptor, interest, number: place)
    }

    private func failed(_ client: UnsafeMutablePointer<LoadClient>) {
        let code = errno
        let isClosed = code == EPIPE || code == ECONNRESET
        end(client, isClosed ? "closed by the broker" : String(cString: strerror(code)).lowercased())
    }
}
