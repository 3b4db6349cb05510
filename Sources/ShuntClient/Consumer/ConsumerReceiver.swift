import ExchangeCodec
import NIOCore
import ShuntCore

/// One worker's connection of a consumer: passes messages on to the inbox, one read at a time.
final class ConsumerReceiver: FrameReceiver {
    private let connection: ServerConnection
    private let inbox: Inbox<ReceivedMessage>
    private let subscribeID: Int64
    private let subscribed: EventLoopPromise<Frame>
    private let onClose: EventLoopPromise<ShuntError>
    private var arrived: [ReceivedMessage] = []

    init(
        connection: ServerConnection, inbox: Inbox<ReceivedMessage>, subscribeID: Int64, subscribed: EventLoopPromise<Frame>,
        onClose: EventLoopPromise<ShuntError>
    ) {
        self.connection = connection
        self.inbox = inbox
        self.subscribeID = subscribeID
        self.subscribed = subscribed
        self.onClose = onClose
    }

    func received(_ view: FrameView, in frame: UnsafeRawPointer) {
        switch view.type {
        case .message where !view.isError: arrived.append(ReceivedMessage(view, in: frame))
        case .acknowledgement where view.id == subscribeID: subscribed.succeed(Frame(view, in: frame))
        // Answers to PING, and frames that a consumer did not ask for (§13.4); a device's NOTIFY and CHAT would branch off here.
        default: break
        }
    }

    func readCompleted() -> Bool {
        guard !arrived.isEmpty else { return true }
        defer { arrived = [] }
        return inbox.add(arrived, from: connection)
    }

    func closed(_ error: ShuntError?) {
        _ = readCompleted()
        let error = error ?? .hungUp(connection.address)
        subscribed.fail(error)
        onClose.succeed(error)
    }
}

extension ReceivedMessage {
    init(_ view: FrameView, in frame: UnsafeRawPointer) {
        self.init(
            topic: view.name(in: frame).map { String(decoding: $0, as: UTF8.self) } ?? "",
            key: view.key(in: frame).map { String(decoding: $0, as: UTF8.self) },
            payload: view.value(in: frame).map { [UInt8]($0) } ?? [], format: view.format, compression: view.compression,
            id: view.id)
    }
}
