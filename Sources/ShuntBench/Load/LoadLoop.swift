import CLoad
import Glibc
import MQTTCodec
import ShuntCore

// Unsafe: `clients`, `buffer`, `answers`, `scratch` and `topics` are allocated in `init` and freed in `deinit`; places in them come from
// their counts; a `!` is an address of memory that is not empty.

/// A thread of a load: its connections, opened at their pace, and what they send and read. Sending and reading a message allocates nothing.
final class LoadLoop: @unchecked Sendable {
    // `@unchecked Sendable`: `run` alone touches what changes; others read `figures` once it has returned.
    let settings: LoadSettings
    let messages: LoadSettings.MessageSettings?
    let roles: Roles
    let target: BrokerTarget
    let control: LoadControl
    let progress = LoopProgress()
    let poller = Poller()

    let clients: UnsafeMutableBufferPointer<LoadClient>
    var figures = LoopFigures()
    var accounts: SequenceAccounts

    // Connecting.
    var opened = 0
    var unsettled = 0
    var firstDue = 0
    var source = 0

    // Publishing.
    let pace: Pace?
    let publishers: Int
    let template: PublishTemplate?
    let topics: UnsafeMutableRawPointer
    let topicLength: Int
    let scratch: UnsafeMutableRawPointer
    let scratchSize: Int
    /// The client of each publisher of the run; -1 where another thread has it.
    var clientOfPublisher: [Int32]
    /// The next message of the run that is looked at.
    var cursor = 0
    /// Clients that can send more at once.
    var queue: [Int32] = []
    /// The clients of this turn, while it goes through them.
    var turn: [Int32] = []
    var isSending: Bool
    /// Deliveries that may be under way; nil: they are not bounded.
    let underWayLimit: Int?
    /// Whether publishers wait until half of them have come.
    var isHeld = false
    private var underWayBefore = 0
    private var underWayAt = 0

    // Reading.
    let buffer: UnsafeMutableRawPointer
    let bufferSize: Int
    let answers: UnsafeMutableRawPointer
    var answersSize = 0
    var recent = Histogram()
    let wakeUp: Int?
    private var sweptAt = 0

    var housekeepingAt = 0
    var everySecondAt = 0
    private var pingAt = 0
    /// Seconds; 0: none. A broker may choose its own (5.0 §3.2.2.3.14).
    var keepAlive: Int
    var processorAtStart: Int?
    var recentP99 = 0

    // Nanoseconds.

    /// How long after the end a publisher may still send what was due before.
    static let grace = 2_000_000_000
    /// How often a thread looks whether it has sent all of that.
    static let graceStep = 5_000_000
    /// How long a message may wait that is not enough to wake its reader.
    private static let sweep = 5_000_000
    /// How often a thread looks whether the start is set: more often than the lead that it is set with.
    private static let startStep = 5_000_000
    /// What is under way and has not come for so long is lost.
    private static let forgiveness = 300_000_000
    /// How often publishers that are held look whether enough has come.
    static let heldStep = 200_000
    private static let housekeeping = 20_000_000

    init(_ settings: LoadSettings, index: Int, target: BrokerTarget, control: LoadControl) {
        (self.settings, self.target, self.control, messages) = (settings, target, control, settings.messages)
        keepAlive = Int(settings.keepAlive)
        let roles = Roles(settings: settings)
        self.roles = roles
        let numbers = (0..<settings.connections).filter { roles.thread(of: $0) == index }
        let scenario = messages?.scenario
        publishers = scenario?.publishers ?? 0
        clients = .allocate(capacity: numbers.count)
        clientOfPublisher = Array(repeating: -1, count: publishers)
        var (accountsOfAll, isPublishing) = (0, false)
        for (place, number) in numbers.enumerated() {
            var (publisher, subscriber, base) = (-1, -1, 0)
            switch roles.role(of: number) {
            case .idle: break
            case .publisher(let own):
                publisher = own
                clientOfPublisher[own] = Int32(place)
                isPublishing = true
            case .subscriber(let own):
                subscriber = own
                // Subscribers that all get everything have an account each.
                base = scenario?.kind == .fanOut ? accountsOfAll : 0
                accountsOfAll = base + publishers
            }
            clients.initializeElement(at: place, to: LoadClient(number: number, publisher: publisher, subscriber: subscriber, accounts: base))
        }
        isSending = isPublishing
        underWayLimit = messages?.deliveriesUnderWay
        wakeUp = messages?.wakeUp
        accounts = SequenceAccounts(flows: accountsOfAll)
        unsettled = numbers.count
        pace = messages?.perSecond.map { Pace(perSecond: $0) }
        let made = isPublishing ? messages.map { Self.publishing(settings, $0) } : nil
        template = made?.template
        (topics, topicLength) = made.map { ($0.topics, $0.topicLength) } ?? (.allocate(byteCount: 1, alignment: 1), 0)
        scratchSize = max(64 << 10, template?.size ?? 0)
        scratch = .allocate(byteCount: scratchSize, alignment: 8)
        bufferSize = max(256 << 10, 2 * ((messages?.size ?? 0) + (64 << 10)))
        buffer = .allocate(byteCount: bufferSize, alignment: 8)
        // No answer is longer than what it answers.
        answers = .allocate(byteCount: bufferSize, alignment: 8)
    }

    deinit {
        clients.deinitialize()
        clients.deallocate()
        for memory in [topics, scratch, buffer, answers] { memory.deallocate() }
    }

    /// The topics of all publishers, one behind the other, and a message.
    private static func publishing(
        _ settings: LoadSettings, _ messages: LoadSettings.MessageSettings
    ) -> (template: PublishTemplate, topics: UnsafeMutableRawPointer, topicLength: Int) {
        let scenario = messages.scenario
        let first = scenario.topic(of: 0, prefix: settings.prefix)
        let length = first.utf8.count
        let topics = UnsafeMutableRawPointer.allocate(byteCount: length * scenario.publishers, alignment: 1)
        for publisher in 0..<scenario.publishers {
            let bytes = Array(scenario.topic(of: publisher, prefix: settings.prefix).utf8)
            bytes.withUnsafeBytes { (topics + publisher * length).copyMemory(from: $0.baseAddress!, byteCount: length) }
        }
        var filler = PayloadFiller(seed: settings.seed)
        let payload = filler.bytes(messages.size)
        return (PublishTemplate(settings.version, topic: first, qos: messages.qos, payload: payload), topics, length)
    }

    // The loop

    /// Until the control says that it is over.
    func run() {
        load_sleep_exactly()
        firstDue = LoadClock.now()
        while !control.isOver {
            let wake = step(LoadClock.now())
            poller.wait(wake - LoadClock.now()) { place, events in handle(place, events) }
        }
        noteProcessor(LoadClock.now(), isOver: true)
        keepRecent()
        for place in clients.indices { sayGoodbye(&clients[place]) }
        report()
    }

    /// - Returns: when it is to be called again; nanoseconds.
    private func step(_ now: Int) -> Int {
        var wake = housekeepingAt
        if opened < clients.count { wake = min(wake, openDue(now)) }
        if isSending { wake = min(wake, now < control.start ? min(control.start, now + Self.startStep) : publishDue(now)) }
        if wakeUp != nil {
            if now - sweptAt >= Self.sweep { readRest(now) }
            wake = min(wake, sweptAt + Self.sweep)
        }
        if now >= housekeepingAt {
            housekeepingAt = now + Self.housekeeping
            keepHouse(now)
        }
        return wake
    }

    private func handle(_ place: Int, _ events: Poller.Interest) {
        let client = clients.baseAddress! + place
        if client.pointee.state == .connecting {
            connected(client, place)
            return
        }
        if client.pointee.state == .securing {
            shakeHands(client, place)
            return
        }
        if events.contains(.write) { flush(client, place) }
        // A connection that has failed says why when it is read.
        if !events.isDisjoint(with: [.read, .end]), client.pointee.state != .closed { read(client, place) }
    }

    /// Reads what is too little to wake a reader.
    private func readRest(_ now: Int) {
        for place in clients.indices where clients[place].subscriber >= 0 && clients[place].state == .ready && clients[place].readAt <= sweptAt {
            read(clients.baseAddress! + place, place)
        }
        sweptAt = now
    }

    private func keepHouse(_ now: Int) {
        noteProcessor(now)
        if unsettled > 0 { endOverdue(now) }
        if isHeld { forgiveLost(now) }
        if now >= everySecondAt {
            everySecondAt = now + 1_000_000_000
            recentP99 = recent.percentile(99)
            keepRecent()
        }
        if keepAlive > 0, now >= pingAt { ping(now) }
        report()
    }

    /// What is under way and does not come holds nobody for ever: it is lost.
    private func forgiveLost(_ now: Int) {
        let underWay = control.underWay
        guard now - underWayAt > Self.forgiveness || underWay != underWayBefore else { return }
        if underWay == underWayBefore { control.addUnderWay(-underWay) }
        (underWayBefore, underWayAt) = (underWay, now)
    }

    private func keepRecent() {
        figures.latencies.merge(recent)
        recent.reset()
    }

    private func report() {
        progress.publish(
            LoopProgress.Figures(
                open: figures.open, failed: figures.failed, lost: figures.lost, sent: figures.sent, received: figures.received,
                distinct: figures.distinct, outstanding: figures.outstanding, recentP99: recentP99, hasSentAll: !isSending))
    }

    /// The processor time of what is measured: all of connecting, or messages after the warm-up.
    private func noteProcessor(_ now: Int, isOver: Bool = false) {
        let begins = messages.map { control.start == .max ? .max : control.start + Int($0.warmUp * 1e9) } ?? 0
        let ends = messages == nil ? (unsettled == 0 ? 0 : Int.max) : control.end
        if processorAtStart == nil, now >= begins { processorAtStart = LoadClock.threadProcessorTime() }
        if let start = processorAtStart, figures.processor == 0, now >= ends || isOver {
            figures.processor = max(1, LoadClock.threadProcessorTime() - start)
        }
    }

    /// A PINGREQ from clients that have been silent for half of the keep alive.
    private func ping(_ now: Int) {
        let silence = keepAlive * 500_000_000
        pingAt = now + min(1_000_000_000, silence / 2)
        for place in clients.indices where clients[place].state == .ready && now - clients[place].sentAt > silence {
            Ping.request.withUnsafeBytes { write(clients.baseAddress! + place, place, $0.baseAddress!, $0.count) }
        }
    }
}

/// Bytes that no compression makes small, the same for the same seed.
struct PayloadFiller {
    private var state: UInt64

    init(seed: UInt32) { state = UInt64(seed) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }
}
