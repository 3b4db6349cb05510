import ExchangeCodec
import ShuntCore
import ShuntEngine
import ShuntReactor

extension Worker {
    /// The worker's figures in Prometheus' text format.
    public var metrics: String {
        let reports = peers.figures()
        let total = WorkerFigures(reports)
        var text = MetricsText()
        text.buildInfo(version: version, role: "worker")
        text.gauge("shunt_connections", "Open client connections.", total.connections)
        text.connections(reports, peers.listeners)
        text.counter("shunt_connections_accepted_total", "Client connections accepted.", total.connectionsAccepted)
        text.counter("shunt_connection_errors_total", "Client connections that failed or were refused.", total.connectionErrors)
        text.counter(
            "shunt_connections_vanished_total", "Client connections closed because their machine did not answer any longer.",
            reports.reduce(0) { $0 + $1.loop.vanished })
        text.family("shunt_connections_refused_total", "counter", "Connections that were not let in, by the limit that was reached.")
        for why in Refusal.allCases { text.sample("shunt_connections_refused_total", ["limit": why.rawValue], peers.log.refusalCount(why)) }
        text.process(.now())
        text.gauge("shunt_subscriptions", "Subscriptions held.", total.subscriptions)
        text.gauge("shunt_devices", "Registered devices.", reports.reduce(0) { $0 + $1.routing.devices })
        text.gauge("shunt_chats", "Open chats.", reports.reduce(0) { $0 + $1.routing.chats })
        text.counter("shunt_broadcasts_total", "Broadcasts received or made by rules.", reports.reduce(0) { $0 + $1.routing.broadcasts })
        text.counter("shunt_chat_messages_total", "Chat frames sent to members.", reports.reduce(0) { $0 + $1.routing.chatMessages })
        text.counter("shunt_requests_total", "Frames of the exchange protocol and packets of MQTT received from clients.", total.requests)
        text.received(reports)
        text.counter("shunt_request_bytes_total", "Bytes of these frames and packets.", total.requestBytes)
        text.counter("shunt_response_bytes_total", "Bytes sent to clients.", total.responseBytes)
        text.family("shunt_responses_total", "counter", "Answers to requests, by outcome.")
        text.sample("shunt_responses_total", ["outcome": "succeeded"], total.responsesSucceeded)
        text.sample("shunt_responses_total", ["outcome": "failed"], total.responsesFailed)
        text.counter("shunt_deliveries_total", "Messages written to clients' sockets: of topics, broadcasts and chats.", total.deliveries)
        text.counter(
            "shunt_messages_without_subscriber_total", "Messages that nobody had subscribed.", reports.reduce(0) { $0 + $1.routing.undelivered })
        text.family(
            "shunt_messages_dropped_total", "counter",
            "Messages that a recipient did not get, by reason; what rules drop and reject counts once, whoever would have got it.")
        let drops: [(String, Int)] = [
            ("no_form", reports.reduce(0) { $0 + $1.routing.inexpressible }),
            ("rule_dropped", reports.reduce(0) { $0 + $1.routing.dropped }),
            ("rule_rejected", reports.reduce(0) { $0 + $1.routing.rejected }),
            ("slow_consumer", reports.reduce(0) { $0 + $1.loop.droppedSlow }),
            ("delay_expired", reports.reduce(0) { $0 + $1.routing.delaysExpired }),
            ("chat_expired", reports.reduce(0) { $0 + $1.routing.expired }),
            ("client_gone", reports.reduce(0) { $0 + $1.lostRecipients + $1.loop.lostAtClose }),
        ]
        for (reason, count) in drops { text.sample("shunt_messages_dropped_total", ["reason": reason], count) }
        text.counter("shunt_delays_total", "Messages that rules have delayed.", reports.reduce(0) { $0 + $1.routing.delays })
        text.gauge(
            "shunt_delayed_messages", "Messages that rules have delayed and that are still to go out.",
            reports.reduce(0) { $0 + $1.routing.delayed })
        text.counter("shunt_dead_letters_total", "Dead letters that somebody got.", reports.reduce(0) { $0 + $1.routing.deadLetters })
        text.counter(
            "shunt_dead_letters_lost_total", "Dead letters that nobody got, or that were too many.",
            reports.reduce(0) { $0 + $1.routing.deadLettersLost })
        text.counter("shunt_frames_malformed_total", "Frames and packets that could not be read.", reports.reduce(0) { $0 + $1.routing.malformed })
        text.counter("shunt_slow_consumers_closed_total", "Clients closed because they were too slow.", reports.reduce(0) { $0 + $1.loop.closedSlow })
        text.gauge(
            "shunt_held_producers", "Clients that are not read from, since a consumer of their messages is congested.",
            reports.reduce(0) { $0 + $1.routing.heldProducers })
        text.counter("shunt_holds_total", "How often a client was held.", reports.reduce(0) { $0 + $1.routing.holds })
        text.gauge(
            "shunt_stuck_consumers", "Clients that read too slowly for anybody to wait for them.",
            reports.reduce(0) { $0 + $1.routing.stuckConsumers })
        text.counter(
            "shunt_pace_holds_total", "How often a client was not read from, as it had sent as much as its listener lets it.",
            reports.reduce(0) { $0 + $1.paceHolds })
        text.family("shunt_access_refused_total", "counter", "Clients that were refused, by what was wrong.")
        for why in Doorkeeper.Refusal.allCases { text.sample("shunt_access_refused_total", ["reason": why.rawValue], peers.doorkeeper.refused(why)) }
        text.sample("shunt_access_refused_total", ["reason": "banned"], reports.reduce(0) { $0 + $1.routing.banned })
        text.remoteAccess(peers.doorkeeper.remote)
        text.counter(
            "shunt_access_denied_total", "What clients asked for and may not do, by themselves or by what a rule made of it.",
            reports.reduce(0) { $0 + $1.routing.denied })
        text.counter(
            "shunt_access_withheld_total", "Messages of subscriptions that their clients may not read.",
            reports.reduce(0) { $0 + $1.routing.withheld })
        text.times(reports)
        text.mqtt(reports)
        text.tls(tls.values.sorted { $0.listener < $1.listener }, now: Self.now)
        text.clusterCertificate(clusterTLS, now: Self.now)
        text.gauge("shunt_master_connected", "Whether a master answers.", master == nil ? 0 : 1)
        text.deployments(deployments.current, peers.events)
        text.rules(reports.map(\.rules))
        text.lookups(peers.lookups.figures())
        return text.text
    }
}

extension MetricsText {
    /// By what clients speak and how they come; what no listener takes is left out.
    mutating func connections(_ reports: [LoopReport], _ listeners: [ListenerSetup]) {
        family("shunt_protocol_connections", "gauge", "Open client connections, by protocol, and by tcp or websocket.")
        var counts: [String: (protocol: String, transport: String, count: Int)] = [:]
        for (number, listener) in listeners.enumerated() {
            let count = reports.reduce(0) { $0 + ($1.loop.byListener.indices.contains(number) ? $1.loop.byListener[number] : 0) }
            counts[listener.protocolName + listener.transportName, default: (listener.protocolName, listener.transportName, 0)].count += count
        }
        for (_, one) in counts.sorted(by: { $0.key < $1.key }) {
            sample("shunt_protocol_connections", ["protocol": one.protocol, "transport": one.transport], one.count)
        }
    }

    /// What clients send for others, as it comes: a message that rules make is none, and one that they drop is.
    mutating func received(_ reports: [LoopReport]) {
        family("shunt_messages_received_total", "counter", "Messages that clients have sent, by kind: for a topic, a broadcast, or for a chat.")
        let kinds: [(String, KeyPath<RoutingFigures, Int>)] = [
            ("topic", \.topicMessagesReceived), ("broadcast", \.broadcastsReceived), ("chat", \.chatMessagesReceived),
        ]
        for (kind, figure) in kinds {
            sample("shunt_messages_received_total", ["kind": kind], reports.reduce(0) { $0 + $1.routing[keyPath: figure] })
        }
    }

    /// How long requests take, and how late loops are.
    mutating func times(_ reports: [LoopReport]) {
        histogram(
            "shunt_request_seconds",
            "How long requests took, from when a loop began the turn that read them to when it began to write what came of it; waiting for other "
                + "loops, rules' lookups and the master is not in it.",
            reports.reduce(TimeHistogram()) { $0 + $1.requestTimes })
        loopLag(reports.map(\.loop.lag))
    }
}
