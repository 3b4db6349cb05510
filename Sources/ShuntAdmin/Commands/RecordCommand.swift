import ArgumentParser
import Glibc
import ShuntCore

/// `shunt admin record`: live messages, kept in a file of the operator's.
struct RecordCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "record",
        abstract: "Record live messages, with payloads, in a file that `shunt rule run --messages` takes.",
        discussion: """
            A JSON object a line: at, topic, payload (payload_base64 where it is no text), compression, key, qos, retain, format, id, the \
            properties of MQTT 5.0 (correlation_data where it is text), and what rules may read of the sender. The file is new, \
            for its owner alone (0600), on this machine; workers and masters write nothing. Needs a token of role operate, and is an event. \
            A worker with worker.admin_payloads: false records nothing.

              shunt admin record --topic 'orders/#' --out messages.jsonl
              shunt admin record --topic 'orders/#' --uid bob --for 60s --limit 100 --out messages.jsonl
              shunt rule run plugins/redact --config worker.yaml --messages messages.jsonl
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption
    @OptionGroup var follow: FollowOptions

    @Option(help: ArgumentHelp("The file, which must not be there.", valueName: "file"), completion: .file())
    var out: String

    /// Messages, where --limit does not say.
    private static let standardLimit = 1000

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        var follow = follow
        if follow.limit == nil { follow.limit = Self.standardLimit }
        let file = try RecordingFile(out)
        do throws(ShuntError) {
            try await Follower(session, follow, payloads: true).run(worker) { (_, message) throws(ShuntError) in
                // It never came to the rules, and its payload is not known.
                guard message.outcome != "denied" else { return }
                try file.write(try session.json(of: RecordedMessage(message)) + "\n")
            }
        } catch {
            if file.count == 0 { file.remove() }
            throw error
        }
        session.note("\(Humane.count(file.count, "message")) in \(out)")
    }
}

/// A line of the file.
struct RecordedMessage: Encodable, Equatable {
    struct Sender: Encodable, Equatable {
        var uid: String?
        var device: String?
        var address: String?
        var `protocol`: String?
        var clientId: String?
        var version: String?
        var keepAlive: Int?
        var tags: [String]?
        var alias: [String]?
        var groups: [String]?
        var props: [TracedMessage.More.Pair]?
        var id: Int?
        var connectedAt: Double?
    }

    /// Seconds since 1970.
    var at: Double
    var topic: String
    var payload: String?
    var payloadBase64: String?
    var compression: String?
    var key: String?
    var qos: Int
    var retain: Bool
    var format: String
    var props: [TracedMessage.More.Pair]?
    var contentType: String?
    var responseTopic: String?
    var correlationData: String?
    var expiry: UInt32?
    var payloadFormat: Int?
    var id: Int?
    var sender: Sender?

    init(_ message: TracedMessage) {
        (topic, payload, payloadBase64, key) = (message.topic, message.payload, message.payloadBase64, message.key)
        (compression, id) = (message.compression, message.more?.id)
        (at, qos, retain, format) = (message.at, message.qos, message.retained, message.format)
        func known(_ text: String) -> String? { text.isEmpty ? nil : text }
        let more = message.more
        (props, contentType, responseTopic) = (more?.props, more?.contentType, more?.responseTopic)
        (correlationData, expiry, payloadFormat) = (more?.correlationData, more?.expiry, more?.payloadFormat)
        let who = more?.sender
        sender = Sender(
            uid: known(message.uid), device: known(message.client), address: known(message.address), protocol: who?.protocolName,
            clientId: who?.client, version: who?.version, keepAlive: who?.keepAlive, tags: who?.tags, alias: who?.alias, groups: who?.groups,
            props: who?.props, id: who?.id, connectedAt: who?.connectedAt)
        if sender == Sender() { sender = nil }
    }
}

/// A new file for its owner alone.
private final class RecordingFile {
    private let path: String
    private let descriptor: Int32
    private(set) var count = 0

    init(_ path: String) throws(ShuntError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let isThere = errno == EEXIST
            throw ShuntError(
                .ioFailed, isThere ? "the file is there already" : "the file cannot be made: \(Self.reason)", at: path,
                help: isThere ? "nothing is overwritten: give another name" : nil)
        }
    }

    deinit { close(descriptor) }

    func write(_ line: String) throws(ShuntError) {
        var bytes = Array(line.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard written > 0 else {
                if errno == EINTR { continue }
                throw ShuntError(.ioFailed, "the file cannot be written: \(Self.reason)", at: path)
            }
            bytes = bytes.dropFirst(written)
        }
        count += 1
    }

    func remove() { unlink(path) }

    private static var reason: String { String(cString: strerror(errno)).lowercased() }
}
