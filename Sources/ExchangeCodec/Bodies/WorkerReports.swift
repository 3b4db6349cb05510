import ShuntCore

/// Where a report comes from: the worker as its heartbeats name it.
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

/// How much goes into one report: so little that a master which takes it keeps nobody waiting, a few hundred devices.
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
        // What is around the lists.
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
    /// The bytes that a string takes at most: its quotes, a comma, and what has to be escaped.
    static func size(of text: String) -> Int {
        text.utf8.reduce(3) { $0 + ($1 < 0x20 ? 6 : $1 == UInt8(ascii: "\"") || $1 == UInt8(ascii: "\\") ? 2 : 1) }
    }
}
