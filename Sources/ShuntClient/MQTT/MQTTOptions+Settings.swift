import MQTTCodec
import ShuntCore

extension MQTTOptions {
    /// The settings of a session with these options.
    /// - Parameters:
    ///   - returnPatience: nil: `ConnectionOptions.patience`.
    ///   - buffered: messages that wait for the application.
    func settings(
        _ broker: HostPort, _ connection: ConnectionOptions, returnPatience: Duration?, endsWithPatience: Bool = false,
        buffered: Int = 65_535
    ) -> MQTTSession<MQTTTicket>.Settings {
        let returnPatience = returnPatience ?? connection.patience
        return MQTTSession.Settings(
            broker: broker, connect: connect(connection, returnPatience: returnPatience, buffered: buffered), subscription: nil,
            forgetsSession: sessionExpiry == nil && isClean, patience: connection.patience, returnPatience: returnPatience,
            endsWithPatience: endsWithPatience, backoff: connection.backoff, qos: qos, packetLimit: connection.frameLimit,
            replyTimeout: connection.replyTimeout, acknowledgementTimeout: .seconds(30), pingTimeout: connection.pingTimeout)
    }

    private func connect(_ connection: ConnectionOptions, returnPatience: Duration, buffered: Int) -> Connect {
        var connect = Connect(
            version: version, clientID: clientID ?? Self.freshClientID(), isClean: isClean, keepAlive: keepAlive)
        connect.userName = userName
        connect.password = password
        connect.will = will.map { will in
            var packet = Connect.Will(topic: will.topic, payload: will.payload, qos: will.mqtt.qos ?? qos, isRetained: will.mqtt.isRetained)
            if version.hasProperties {
                packet.properties = will.publishProperties
                packet.properties.willDelay = willDelay
            }
            return packet
        }
        guard version.hasProperties else { return connect }
        // A session that ends with the client is kept while the client tries to come back, but not for long: it may have been killed.
        let seconds = UInt32(max(1, min(returnPatience / .seconds(1), 300)).rounded(.up))
        connect.properties.sessionExpiry = sessionExpiry ?? (clientID?.isEmpty == true ? nil : seconds)
        connect.properties.receiveMaximum = receiveMaximum ?? UInt16(clamping: max(1, buffered))
        connect.properties.maximumPacketSize = UInt32(clamping: connection.frameLimit)
        connect.properties.userProperties = userProperties
        return connect
    }

    /// Of letters and digits, and at most 23 characters: every broker must take such a one (3.1.1 §3.1.3.1).
    private static func freshClientID() -> String { "shunt" + String(UInt64.random(in: 0...UInt64.max), radix: 36) }

    /// SUBSCRIBE for these topic filters.
    func subscription(_ filters: [String]) -> Subscribe {
        var packet = Subscribe(
            1,
            filters.map { text in
                var filter = Subscribe.Filter(text, qos)
                filter.isNoLocal = subscription.isNoLocal
                filter.isRetainAsPublished = subscription.isRetainAsPublished
                filter.retainHandling = subscription.retainHandling
                return filter
            })
        packet.properties.userProperties = subscription.userProperties
        if let identifier = subscription.identifier { packet.properties.subscriptionIdentifiers = [identifier] }
        return packet
    }
}
