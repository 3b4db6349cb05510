/// Limits of a device's labels and of a broadcast's filter.
public struct DeviceLimits: Equatable, Sendable {
    /// Tags of one device, and aliases.
    public var labels: Int
    /// Bytes of a uid, a device's name, a tag or an alias.
    public var text: Int
    /// Elements of each list of a filter.
    public var filter: Int

    public init(labels: Int = 32, text: Int = 256, filter: Int = 256) {
        self.labels = labels
        self.text = text
        self.filter = filter
    }

    func check(_ text: String, _ subject: String, _ code: ErrorCode) throws(ShuntError) {
        guard !text.isEmpty else { throw ShuntError(code, "\(subject) is empty", help: "1 to \(self.text) bytes") }
        guard text.utf8.count <= self.text else {
            throw ShuntError(code, "\(subject) has \(text.utf8.count) bytes", help: "1 to \(self.text)")
        }
        // Others than Shunt take that for the text's end.
        guard !text.utf8.contains(0) else { throw ShuntError(code, "\(subject) has a NUL in it") }
    }
}
