import ExchangeCodec
import ShuntCore

extension ChatRequest {
    /// A CHAT frame of a client (exchange protocol §11.1).
    /// - Throws: `chat.invalid` where the frame has no chat id or no known key.
    public init(_ frame: FrameView, in start: UnsafeRawPointer, from member: ChatMember) throws(ShuntError) {
        let chat = try Self.chat(frame.name(in: start))
        let key = try ChatKey(decoding: frame.key(in: start))
        let bytes = frame.value(in: start).map { [UInt8]($0) } ?? []
        self.init(
            member, .exchange(id: frame.id), chat: chat, key,
            ChatPayload(bytes, format: frame.format, compression: frame.compression))
    }
}
