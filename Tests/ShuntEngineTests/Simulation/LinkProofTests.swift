import ExchangeCodec
import ShuntCore
import Synchronization
import Testing

@testable import ShuntEngine

extension LinkSecret {
    private static let nonces = Mutex<UInt8>(0)

    /// A code that depends on every byte, and nonces that differ; nothing of it is secure.
    static func simulated(_ tokens: [String]) -> LinkSecret {
        LinkSecret(count: tokens.count) { place, bytes in
            (0..<UInt64(LinkProof.length)).map { number in
                (Array(tokens[place].utf8) + [0] + bytes).reduce(number &+ 14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
            }.map { UInt8(truncatingIfNeeded: $0 >> 32) }
        } nonce: {
            let number = nonces.withLock {
                $0 &+= 1; return $0
            }
            return [UInt8](repeating: number, count: LinkProof.length)
        }
    }
}

@Suite("Worker and master prove the cluster's token")
struct LinkProofTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var master: [String]?
        var worker: [String]?
        var joins: Bool
        /// What the worker says of the master that it leaves, and the event of the master that refuses.
        var untrusted: String?
        var event: String?
        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "no token", joins: true),
        Row(name: "the same", master: ["a"], worker: ["a"], joins: true),
        Row(name: "the master takes the old one, too", master: ["new", "old"], worker: ["old"], joins: true),
        Row(name: "the worker proves its first", master: ["new"], worker: ["new", "old"], joins: true),
        Row(
            name: "the worker's second does not count", master: ["old"], worker: ["new", "old"], joins: false, untrusted: "the proof is wrong",
            event: "a wrong proof of the cluster's token"),
        Row(
            name: "another", master: ["a"], worker: ["b"], joins: false, untrusted: "the proof is wrong",
            event: "a wrong proof of the cluster's token"),
        Row(name: "the worker has none", master: ["a"], joins: false, event: "ping without a proof of the cluster's token"),
        Row(name: "the master has none", worker: ["a"], joins: false, untrusted: "this master has no token of the cluster"),
    ]

    @Test("Who has what comes together", arguments: rows)
    func table(row: Row) {
        var tokens: [String: [String]] = [:]
        tokens["m:1"] = row.master
        tokens["a:1"] = row.worker
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1"], tokens: tokens)
        cluster.run(seconds: 8)
        #expect((cluster.joined == ["a:1 m:1"]) == row.joins)
        #expect((cluster.allocation(from: "m:1")?.text == "a:1") == row.joins)
        #expect(cluster.untrusted.isEmpty == (row.untrusted == nil))
        if let untrusted = row.untrusted { #expect(cluster.untrusted.first?.contains(untrusted) == true, "\(cluster.untrusted)") }
        let refusals = cluster.changes.compactMap { if case .event(let event) = $0, event.kind == .linkRefused { event } else { nil } }
        #expect(refusals.first?.detail == row.event)
        #expect(refusals.count == (row.event == nil ? 0 : 1), "one event for many refusals")
        #expect(refusals.allSatisfy { $0.subject == "127.0.0.1" })
        // Nobody says the token, and a worker that has one says nothing before the master has proved it.
        if !row.joins, row.worker != nil { #expect(cluster.sent.allSatisfy { $0.frame.type == .binding }) }
        for (_, frame) in cluster.sent { #expect(!frame.text.contains("new") && !frame.text.contains("old")) }
    }

    @Test("A worker passes over a master that does not prove it, and does not come back to it each time it looks")
    func elsewhere() {
        let tokens = ["m:1": ["other"], "m:2": ["a"], "a:1": ["a"]]
        let cluster = SimulatedCluster(masters: ["m:1", "m:2"], workers: ["a:1"], tokens: tokens)
        cluster.run(seconds: 50)
        #expect(cluster.joined == ["a:1 m:2"])
        #expect(cluster.untrusted.count == 1)
        cluster.run(seconds: 100)
        #expect(cluster.joined.count <= 3)
        #expect(cluster.allocation(from: "m:2")?.text == "a:1")
    }

    @Test("A worker that ends before the proof has nothing to sign off")
    func stops() {
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1"], tokens: ["m:1": ["a"], "a:1": ["b"]])
        cluster.run(seconds: 0.5)
        cluster.stop(worker: "a:1")
        #expect(cluster.ended == ["a:1"])
    }

    @Test("A master that answers nothing is left after five seconds, whatever the clock does", arguments: [5.1, -5.1])
    func silent(jump: Double) {
        var link = MasterLink(masters: ["m:1"], interval: 3, secret: .simulated(["a"]), now: 100)
        #expect(link.tick(now: 100) == [.connect(to: "m:1")])
        #expect(link.connected(now: 100).count == 1)
        #expect(link.tick(now: 104).isEmpty && !link.isUp)
        #expect(link.heartbeat(SimulatedWorker("a:1").heartbeat(), now: 104).isEmpty)
        #expect(Self.reason(link.tick(now: 100 + jump))?.contains("does not answer") == true)
    }

    @Test("A worker takes nothing from a master before its proof: no commands, no news of devices, no other answers")
    func unproved() throws {
        var link = MasterLink(masters: ["m:1"], interval: 3, secret: .simulated(["a"]), now: 100)
        _ = link.tick(now: 100)
        guard case .send(let bytes)? = link.connected(now: 100).first else { throw Missing() }
        let hello = Self.frame(bytes)
        #expect(hello.type == .binding && hello.name == "link" && hello.key == "HELLO")
        let frames = [
            Frame.retained(id: 7, .clear(filter: "#")), Frame(.chat, id: 8, text: "x", name: "c", key: MasterChatKey.moved.rawValue),
            Frame(acknowledging: hello.id + 1, text: LinkProof.text(of: [UInt8](repeating: 1, count: 32))), Frame(.registered, id: 9, text: "x"),
        ]
        for frame in frames { #expect(link.received(frame, now: 100).isEmpty) }
    }

    @Test("A worker's own proof, sent back to it, is none: the roles differ")
    func reflection() throws {
        let secret = LinkSecret.simulated(["a"])
        var link = MasterLink(masters: ["m:1"], interval: 3, secret: secret, now: 100)
        _ = link.tick(now: 100)
        guard case .send(let bytes)? = link.connected(now: 100).first else { throw Missing() }
        let hello = Self.frame(bytes)
        // The other end has no token: it gives the worker's own nonce back, and then its own proof.
        guard case .send(let second)? = link.received(Frame(acknowledging: hello.id, text: hello.text), now: 100).first else { throw Missing() }
        let prove = Self.frame(second)
        #expect(prove.key == "PROVE")
        let actions = link.received(Frame(acknowledging: prove.id, text: prove.text), now: 100)
        #expect(Self.reason(actions)?.contains("its proof is wrong") == true && !link.isUp)
    }

    // MARK: The master's end

    @Test("A recorded conversation proves nothing on another connection, nor twice on one")
    func replay() throws {
        let tokens = ["m:1": ["a"], "a:1": ["a"]]
        let cluster = SimulatedCluster(masters: ["m:1"], workers: ["a:1"], tokens: tokens)
        cluster.run(seconds: 1)
        let recorded = cluster.sent.map(\.frame).filter { $0.name == LinkProof.frameName }
        #expect(recorded.map(\.key) == ["HELLO", "PROVE"])
        let master = Script(secret: .simulated(["a"]))
        #expect(master.ask(recorded[0]).status == 200)
        #expect(master.ask(recorded[1]).status == 401)
        #expect(master.isClosed)
    }

    @Test("Only who has proved it speaks as a worker; clients ask for workers")
    func roles() throws {
        let secret = LinkSecret.simulated(["a"])
        let worker = SimulatedWorker("a:1")
        let speech: [Frame] = [
            .heartbeat(id: 1, worker.heartbeat()), .room(id: 3),
            Frame(.register, id: 4, format: .json, value: RegisterBody(uid: "u", device: "d", tags: [], alias: []).encoded()),
            Frame(.chat, id: 5, format: .json, value: worker.host.encoded(), name: "c", key: ChatKey.create.rawValue),
            Frame(.message, id: 6, text: "x", name: "t"),
            .clients(id: 8, ClientReportBody(worker: WorkerSource(host: "a", port: 1), list: 1)),
        ]
        let looking = Script(secret: secret)
        #expect(looking.ask(Frame(.ping, id: 2)).status == 400)
        #expect(looking.engine.refusals == 0 && looking.engine.refusalToldAt == -.infinity, "a look is no attempt")
        let stranger = Script(secret: secret)
        for frame in speech { #expect(stranger.ask(frame).status == 401, "\(frame)") }
        #expect(stranger.ask(Frame(.allocation, id: 7, text: "TRUE")).text == "not found server")
        #expect(stranger.engine.directory.count == 0 && !stranger.isClosed)
        let java = Script(secret: secret, source: "10.9.1.1")
        #expect(java.ask(speech[0]).status == 200)
        let proved = Script(secret: secret)
        proved.prove(secret)
        #expect(proved.ask(speech[0]).text == "shunt")
    }

    @Test(
        "Steps out of order and values that are none are refused, and make nobody a worker",
        arguments: [
            ["PROVE"], ["HELLO", "HELLO"], ["HELLO", "hello"], ["x"], ["HELLO short"], ["HELLO upper"], ["HELLO", "PROVE short"],
        ])
    func disorder(steps: [String]) {
        let master = Script(secret: .simulated(["a"]))
        var last: Int16 = 0
        for step in steps {
            let parts = step.split(separator: " ")
            let text =
                parts.count == 1
                ? LinkProof.text(of: [UInt8](repeating: 0xab, count: 32))
                : parts[1] == "short" ? "ab" : String(repeating: "AB", count: 32)
            last = master.ask(Frame(.binding, id: 1, text: text, name: LinkProof.frameName, key: String(parts[0]))).status
        }
        #expect(last == 400)
        #expect(master.ask(.heartbeat(id: 2, SimulatedWorker("a:1").heartbeat())).status == 401)
    }

    private struct Missing: Error {}

    /// Why a master is left; nil where it is not.
    private static func reason(_ actions: [MasterLink.Action]) -> String? {
        guard actions.count == 2, case .untrusted(_, let why) = actions[0], actions[1] == .close(why: why) else { return nil }
        return why
    }

    private static func frame(_ bytes: [UInt8]) -> Frame {
        bytes.withUnsafeBytes { bytes in
            guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { fatalError("no frame") }
            return Frame(view, in: start)
        }
    }

    /// A connection to a master.
    private final class Script {
        let engine: MasterEngine
        private(set) var isClosed = false
        private let connection = ConnectionID(loop: 0, slot: 1, generation: 0)

        init(secret: LinkSecret, source: String = "127.0.0.1") {
            engine = MasterEngine(liveFor: 20, frameLimit: 1 << 20, secret: secret, unproved: [AddressRange("10.9.0.0/16")!])
            engine.opened(connection, source: source)
        }

        func ask(_ frame: Frame) -> Frame {
            _ = frame.encoded().withUnsafeBytes { engine.received($0, on: connection, now: 100) }
            defer { engine.clear() }
            // What the master tells and asks by itself is no answer.
            var answer: Frame?
            for action in engine.actions {
                switch action {
                case .send(_, let bytes):
                    let sent = LinkProofTests.frame(bytes)
                    if sent.name != BansBody.frameName, sent.name != ClientsRequestBody.frameName { answer = sent }
                case .close: isClosed = true
                }
            }
            return answer ?? Frame(acknowledging: 0, status: 0)
        }

        func prove(_ secret: LinkSecret) {
            let own = secret.nonce()
            let theirs = LinkProof.bytes(of: ask(LinkProof.frame(.hello, id: 1, own)).value) ?? []
            let answer = ask(LinkProof.frame(.prove, id: 2, secret.proof(of: .worker, worker: own, master: theirs)))
            #expect(LinkProof.bytes(of: answer.value) == secret.proof(of: .master, worker: own, master: theirs))
        }
    }
}

@Suite("A master that wants a certificate of the cluster")
struct LinkCertificateTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var hasCertificate = false
        var hasToken = false
        var provesToken = false
        /// Whether it comes from an address of message-channel's workers.
        var isUnproved = false
        var isWorker: Bool
        /// Who counts the refusal.
        var refused: (token: Int, certificate: Int) = (0, 0)
        var testDescription: String { "certificate \(hasCertificate), token \(hasToken), proves it \(provesToken), named address \(isUnproved)" }
    }

    static let rows: [Row] = [
        Row(isWorker: false, refused: (0, 1)), Row(hasCertificate: true, isWorker: true), Row(isUnproved: true, isWorker: true),
        Row(hasToken: true, isWorker: false, refused: (0, 1)),
        // The proof is not taken, and neither is the heartbeat.
        Row(hasToken: true, provesToken: true, isWorker: false, refused: (0, 2)),
        Row(hasCertificate: true, hasToken: true, isWorker: false, refused: (1, 0)),
        Row(hasCertificate: true, hasToken: true, provesToken: true, isWorker: true),
        Row(hasToken: true, isUnproved: true, isWorker: true),
    ]

    private let peer = ConnectionID(loop: 0, slot: 1, generation: 0)

    private func ask(_ frame: Frame, _ engine: MasterEngine) -> Frame? {
        _ = frame.encoded().withUnsafeBytes { engine.received($0, on: peer, now: 10) }
        defer { engine.clear() }
        guard case .send(_, let bytes)? = engine.actions.first else { return nil }
        return bytes.withUnsafeBytes { bytes in
            guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return nil }
            return Frame(view, in: start)
        }
    }

    @Test("Where both are set, both are needed; who lacks one may ask for workers, and no more", arguments: rows)
    func table(row: Row) throws {
        let secret = LinkSecret.simulated(["a"])
        let engine = MasterEngine(
            liveFor: 20, frameLimit: 1 << 20, secret: row.hasToken ? secret : nil, needsCertificate: true,
            unproved: row.isUnproved ? [try #require(AddressRange("10.0.0.0/8"))] : [])
        engine.opened(peer, source: "10.0.0.7", hasCertificate: row.hasCertificate)
        if row.provesToken {
            let own = [UInt8](repeating: 7, count: LinkProof.length)
            let answer = ask(LinkProof.frame(.hello, id: 1, own), engine)
            if row.hasCertificate {
                let value = try #require(answer?.value)
                let theirs = try #require(LinkProof.bytes(of: value))
                let proof = secret.proof(of: .worker, worker: own, master: theirs)
                #expect(ask(LinkProof.frame(.prove, id: 2, proof), engine)?.isError == false)
            } else {
                #expect(answer?.status == 401 && answer?.text.contains("certificate") == true)
            }
        }
        let beat = ask(Frame.heartbeat(id: 3, HeartbeatBody(serverPort: 1, createdTime: 10_000)), engine)
        #expect(beat?.isError == !row.isWorker, "\(String(describing: beat?.text))")
        #expect(ask(Frame(.allocation, id: 4), engine)?.text == (row.isWorker ? "10.0.0.7:1" : "not found server"))
        #expect(engine.linkRefusals.token == row.refused.token && engine.linkRefusals.certificate == row.refused.certificate)
    }

    @Test("Handshakes that fail are counted, and told as one event in ten seconds")
    func handshakes() {
        let engine = MasterEngine(liveFor: 20, frameLimit: 1 << 20, needsCertificate: true)
        for now in [1.0, 2, 5, 12] { engine.handshakeFailed(source: "10.0.0.7", why: "the client refused", now: now) }
        let details = engine.changes.compactMap { if case .event(let event) = $0 { event.detail } else { nil } }
        #expect(details == ["the client refused", "the client refused; 3 refusals since the last event"])
        #expect(engine.linkRefusals.certificate == 4)
    }
}
