import ExchangeCodec
import ShuntCore

/// What a worker may say of itself: the master keeps it, and hands its host to every client in a list with commas.
enum WorkerLimits {
    /// Bytes of a host, a listener's name or address, and the like.
    static let text = 255

    /// - Throws: `request.invalid` with what is wrong.
    static func check(_ body: HeartbeatBody) throws(ShuntError) {
        guard body.serverPort > 0 else {
            throw ShuntError(.requestInvalid, "a worker can't be reached at port \(body.serverPort)", help: "server_port: 1 to 65535")
        }
        if !body.serverName.isEmpty { try checkHost(body.serverName) }
        try checkLength(body.machineID, "machine_id")
        guard let shunt = body.shunt else { return }
        try checkLength(shunt.version, "version")
        try checkLength(shunt.boot, "boot")
        try checkLength(shunt.name, "name")
        for client in shunt.stuck { try checkLength(client, "a stuck consumer's name") }
        for (name, address) in shunt.listeners {
            try checkLength(name, "a listener's name")
            try checkLength(address, "a listener's address")
        }
    }

    private static func checkHost(_ host: String) throws(ShuntError) {
        try checkLength(host, "the worker's name")
        // A zone means something on the worker's own machine alone.
        guard HostPort.isHost(host), !host.contains("%") else {
            throw ShuntError(
                .requestInvalid, "the worker's name is no host name", help: "a host name or an IP address, or none (worker.advertise)")
        }
    }

    private static func checkLength(_ text: String, _ subject: String) throws(ShuntError) {
        guard text.utf8.count <= Self.text else {
            throw ShuntError(.requestInvalid, "\(subject) has \(text.utf8.count) bytes", help: "at most \(Self.text)")
        }
    }
}
