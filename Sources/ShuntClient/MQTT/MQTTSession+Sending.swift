import MQTTCodec
import ShuntCore

/// Sending the application's messages, and what becomes of them.
extension MQTTSession {
    typealias Submission = MQTTOutbox<Ticket>.Submission

    /// Whether a message that is submitted now goes out at once.
    var hasRoom: Bool {
        if case .attached = phase { return outgoing.waitingCount == 0 && outgoing.hasRoom(receiveMaximum: limits.receiveMaximum) }
        return false
    }

    mutating func submit(_ message: OutgoingMessage, _ ticket: Ticket, now: Duration) -> [Action] {
        if phase == .over {
            actions.append(.complete(ticket, .failed(SendFailure(.notSent, failure))))
        } else if hasRoom {
            publish(Submission(message: message, ticket: ticket), now)
        } else {
            outgoing.wait(Submission(message: message, ticket: ticket))
        }
        return takeActions()
    }

    mutating func sendQueued(_ now: Duration) {
        guard case .attached = phase else { return }
        while outgoing.hasRoom(receiveMaximum: limits.receiveMaximum), let submission = outgoing.takeWaiting() {
            publish(submission, now)
        }
    }

    private mutating func publish(_ submission: Submission, _ now: Duration) {
        let (message, version) = (submission.message, settings.version)
        let qos = message.mqtt.qos ?? settings.qos
        if let fault = message.mqttFault(version, qos: qos, brokerLimits: limits) { return fail(submission, fault) }
        let limit = min(settings.packetLimit, limits.packetSize)
        let identifier = qos == .atMostOnce ? 0 : outgoing.identifierToUse()
        guard let packet = message.publishPacket(version, qos: qos, identifier: identifier, limit: limit) else {
            let error = ShuntError(.frameTooLarge, "the message is too large", at: place, help: "its packet may have \(limit) bytes")
            return fail(submission, error)
        }
        if qos == .atMostOnce {
            outgoing.noteUnwritten(submission.ticket, size: packet.count)
        } else {
            outgoing.note(submission, qos, size: packet.count, identifier: identifier)
        }
        send(packet, now)
        if !submission.isAgain { actions.append(.admitted(submission.ticket)) }
    }

    /// A message that does not go out, or not again.
    private mutating func fail(_ submission: Submission, _ error: ShuntError) {
        let outcome: SendFailure.Outcome = submission.isAgain ? .unknown : .notSent
        actions.append(.complete(submission.ticket, .failed(SendFailure(outcome, error))))
    }

    // MARK: Answers

    /// PUBACK, PUBREC or PUBCOMP has come.
    mutating func answered(_ answer: PublishAnswer, _ now: Duration) {
        let entry = outgoing[answer.identifier]
        switch (answer.type, entry?.qos) {
        case (.publishAcknowledgement, .atLeastOnce?): complete(answer.identifier, answer.reason, answer.properties.reasonString)
        case (.publishReceived, .exactlyOnce?) where answer.reason.isError:
            complete(answer.identifier, answer.reason, answer.properties.reasonString)
        case (.publishReceived, .exactlyOnce?):
            if entry?.received == nil { outgoing.noteReceived(answer.identifier, answer.reason, answer.properties.reasonString) }
            send(PublishAnswer(.publishRelease, answer.identifier).encoded(settings.version), now)
        // Of a message that was given up, or never was: the broker shall be able to forget it (5.0 §4.3.3).
        case (.publishReceived, _):
            send(PublishAnswer(.publishRelease, answer.identifier, .packetIdentifierNotFound).encoded(settings.version), now)
        case (.publishComplete, .exactlyOnce?):
            let received = entry?.received
            complete(answer.identifier, received?.reason ?? .success, received?.text)
        default: break
        }
    }

    private mutating func complete(_ identifier: UInt16, _ reason: ReasonCode, _ text: String?) {
        guard let entry = outgoing.complete(identifier) else { return }
        guard reason.isError else { return actions.append(.complete(entry.submission.ticket, .acknowledged(reason, text))) }
        let refusal = Refusal(reason, text)
        actions.append(.complete(entry.submission.ticket, .failed(SendFailure(.refused(refusal), refusal.error(at: place)))))
    }

    mutating func written(_ count: Int) {
        for ticket in outgoing.written(count) { actions.append(.complete(ticket, .acknowledged(.success, nil))) }
    }

    // MARK: Coming back

    /// The broker has kept the session: what it has not acknowledged goes out again, in the order of before (5.0 §4.4).
    mutating func publishAgain(_ now: Duration) {
        for (identifier, entry) in outgoing.inOrder {
            if entry.received != nil {
                send(PublishAnswer(.publishRelease, identifier).encoded(settings.version), now)
            } else if let packet = entry.submission.message.publishPacket(
                settings.version, qos: entry.qos, identifier: identifier, isDuplicate: true)
            {
                send(packet, now)
            }
        }
    }

    /// The broker has lost the session: what it has not acknowledged waits again, before all others, or is of unknown outcome.
    mutating func forgetPublished() {
        let submissions = outgoing.takePublished().map { Submission(message: $0.submission.message, ticket: $0.submission.ticket, isAgain: true) }
        if settings.resends { return outgoing.waitAgain(submissions) }
        let error = ShuntError(.connectionLost, "the connection was lost before the answer, and the broker has lost the session", at: place)
        for submission in submissions { fail(submission, error) }
    }

    /// The connection is gone, and with it what the system had not taken.
    mutating func forgetUnwritten() {
        let error = ShuntError(.connectionLost, "the connection was lost before the message was written", at: place)
        for ticket in outgoing.takeUnwritten() { actions.append(.complete(ticket, .failed(SendFailure(.unknown, error)))) }
    }

    /// The time to come back is over: messages that were not sent, and those without an answer, have their outcome.
    mutating func giveUpWaiting(_ error: ShuntError) {
        for entry in outgoing.takePublished() {
            actions.append(.complete(entry.submission.ticket, .failed(SendFailure(.unknown, error))))
        }
        for submission in outgoing.takeAllWaiting() { fail(submission, error) }
    }
}
