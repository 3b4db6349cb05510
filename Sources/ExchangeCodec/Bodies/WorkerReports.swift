import ShuntCore

/// The worker that sends a report, as its heartbeats name it.
public struct WorkerSource: Equatable, Sendable {
    /// nil: the source address of the connection.
    public var host: String?
    public var port: Int

    public init(host: String? = nil, port: Int) {
        self.host = host?.isEmpty == true ? nil : host
        self.port = port
    }

    init(report object: LenientObject) throws(ShuntError) {
        guard let port = try object.port("port") else { throw object.missing("port") }
        self.init(host: try object.string("host"), port: port)
    }

    func write(to json: inout JSONWriter) {
        json.member("host", host)
        json.member("port", port)
    }
}

/// The size of one report: a few hundred devices, so that other requests do not wait while a master reads it.
public struct ReportLimits: Equatable, Sendable {
    /// Bytes of the body.
    public var bytes: Int
    /// JSON values.
    public var values: Int

    public init(bytes: Int = 64 << 10, values: Int = LenientJSON.maximumValues - 64) {
        self.bytes = bytes
        self.values = values
    }

    /// Cuts a list into the longest stretches that fit, in order. An element that does not fit alone has a stretch to itself.
    func stretches<Element>(
        of elements: [Element], cost: (Element) -> (bytes: Int, values: Int)
    ) -> [ArraySlice<Element>] {
        var stretches: [ArraySlice<Element>] = []
        var start = 0
        // The members around the lists.
        var used = (bytes: 1024, values: 16)
        for (index, element) in elements.enumerated() {
            let next = cost(element)
            if index > start, used.bytes + next.bytes > bytes || used.values + next.values > values {
                stretches.append(elements[start..<index])
                start = index
                used = (1024, 16)
            }
            used = (used.bytes + next.bytes, used.values + next.values)
        }
        if start < elements.count { stretches.append(elements[start...]) }
        return stretches
    }
}

extension JSONWriter {
    /// The most bytes that a string takes: its quotes, a comma, and its escapes.
    static func size(of text: String) -> Int {
        text.utf8.reduce(3) { $0 + ($1 < 0x20 ? 6 : $1 == UInt8(ascii: "\"") || $1 == UInt8(ascii: "\\") ? 2 : 1) }
    }
}
