/// Which chat a worker is to end.
public struct ChatCloseRequest: Codable, Equatable, Sendable {
    public var chat: String

    public init(chat: String) { self.chat = chat }
}
