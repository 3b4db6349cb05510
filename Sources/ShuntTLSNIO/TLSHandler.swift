import COpenSSL
public import NIOCore
public import ShuntCore

// Unsafe: OpenSSL's objects are C structs. The handler owns its connection, which owns both memory BIOs, and frees it when it ends.

/// TLS between a channel's socket and its other handlers, for clients and servers whose own handlers know nothing of it.
///
/// What arrives is decrypted when somebody wants to read: a handler that reads nothing slows the peer down by TCP's means, as without TLS.
public final class TLSHandler: ChannelDuplexHandler {
    public typealias InboundIn = ByteBuffer
    public typealias InboundOut = ByteBuffer
    public typealias OutboundIn = ByteBuffer
    public typealias OutboundOut = ByteBuffer

    enum Side {
        case client(HostPort)
        case server
    }

    private enum Phase {
        case opening, open
        /// The peer has said that it sends no more.
        case inputEnded
        case over
    }

    private let connection: OpaquePointer
    private let input = BIO_new(BIO_s_mem())
    private let output = BIO_new(BIO_s_mem())
    private let side: Side
    private let owner: AnyObject
    private let opened: EventLoopPromise<Void>?
    private var phase = Phase.opening
    /// What ended the connection, if the peer did wrong.
    public private(set) var failure: ShuntError?
    private var hasBegun = false
    /// Whether somebody waits for plain bytes.
    private var isWanted = false
    /// Whether this read of the socket brought any.
    private var hasGiven = false

    /// - Parameter connection: freed with the handler.
    init(_ connection: OpaquePointer, _ side: Side, owner: AnyObject, opened: EventLoopPromise<Void>?) {
        self.connection = connection
        self.side = side
        self.owner = owner
        self.opened = opened
        SSL_set_bio(connection, input, output)
    }

    deinit { SSL_free(connection) }

    // MARK: The handshake

    public func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { begin(context) }
    }

    public func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard !hasBegun else { return }
        hasBegun = true
        shakeHands(context)
        context.read()
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        ERR_clear_error()
        let status = SSL_do_handshake(connection)
        let error = status == 1 ? SSL_ERROR_NONE : SSL_get_error(connection, status)
        switch error {
        case SSL_ERROR_NONE:
            phase = .open
            flush(output(context), context)
            opened?.succeed(())
        case SSL_ERROR_WANT_READ: flush(output(context), context)
        default: fail(.ofHandshake(connection, side), context)
        }
    }

    /// What the peer did wrong ends the connection.
    private func fail(_ error: ShuntError, _ context: ChannelHandlerContext) {
        let wasOpening = isOpening
        phase = .over
        failure = error
        // The alert.
        flush(output(context), context)
        opened?.fail(error)
        if !wasOpening { context.fireErrorCaught(error) }
        context.close(promise: nil)
    }

    private var isOpening: Bool {
        if case .opening = phase { return true }
        return false
    }

    private var isOpen: Bool {
        if case .open = phase { return true }
        return false
    }

    // MARK: Reading

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isOpening || isOpen else { return }
        unwrapInboundIn(data).withUnsafeReadableBytes { bytes in _ = BIO_write(input, bytes.baseAddress, Int32(bytes.count)) }
        if isOpening { shakeHands(context) }
        if isOpen, isWanted, decrypt(context) { hasGiven = true }
    }

    public func channelReadComplete(context: ChannelHandlerContext) {
        guard hasGiven else {
            if isOpening || (isOpen && isWanted) { context.read() }
            return
        }
        hasGiven = false
        context.fireChannelReadComplete()
    }

    public func read(context: ChannelHandlerContext) {
        isWanted = true
        // Some may have come with the peer's last word of the handshake, or while nobody wanted more.
        if isOpen, decrypt(context) {
            context.fireChannelReadComplete()
            // A channel that reads by itself asks again only when its socket has brought something.
            guard (try? context.channel.syncOptions?.getOption(.autoRead)) == true else { return }
        }
        context.read()
    }

    /// Passes on all plain bytes that there are.
    /// - Returns: whether there were any.
    private func decrypt(_ context: ChannelHandlerContext) -> Bool {
        var plain = context.channel.allocator.buffer(capacity: 0)
        var status = SSL_ERROR_NONE
        ERR_clear_error()
        while status == SSL_ERROR_NONE {
            plain.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.recordSize) { space in
                var count = 0
                let result = SSL_read_ex(connection, space.baseAddress, space.count, &count)
                if result != 1 { status = SSL_get_error(connection, result) }
                return count
            }
        }
        let failure = status == SSL_ERROR_SSL ? ShuntError.ofRecords(side) : nil
        flush(output(context), context)
        let hasBytes = plain.readableBytes > 0
        if hasBytes {
            isWanted = false
            context.fireChannelRead(wrapInboundOut(plain))
        }
        if let failure { fail(failure, context) }
        if status == SSL_ERROR_ZERO_RETURN { endInput(context) }
        return hasBytes
    }

    private static let recordSize = 16 << 10

    private func endInput(_ context: ChannelHandlerContext) {
        guard isOpen else { return }
        phase = .inputEnded
        switch side {
        case .client: context.close(promise: nil)
        case .server: context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputEnded = phase, event as? ChannelEvent == .inputClosed { return }
        context.fireUserInboundEventTriggered(event)
    }

    public func channelInactive(context: ChannelHandlerContext) {
        // What came before the end counts, whether it was wanted yet or not.
        if isOpen, decrypt(context) { context.fireChannelReadComplete() }
        let wasOpening = isOpening
        phase = .over
        if wasOpening { opened?.fail(ShuntError.ofEnd(side)) }
        context.fireChannelInactive()
    }

    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        opened?.fail(error)
        context.fireErrorCaught(error)
    }

    public func handlerRemoved(context: ChannelHandlerContext) { opened?.fail(ChannelError.ioOnClosedChannel) }

    // MARK: Writing

    public func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let plain = unwrapOutboundIn(data)
        switch phase {
        case .open, .inputEnded: break
        case .opening, .over:
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let isTaken = plain.withUnsafeReadableBytes { bytes in
            var taken = 0
            ERR_clear_error()
            // A context may have a call write one record; a memory BIO takes all of them.
            while taken < bytes.count, let start = bytes.baseAddress {
                var count = 0
                guard SSL_write_ex(connection, start + taken, bytes.count - taken, &count) == 1 else { return false }
                taken += count
            }
            return true
        }
        guard isTaken else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return fail(.ofRecords(side), context)
        }
        context.write(wrapOutboundOut(output(context)), promise: promise)
    }

    public func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input { sayGoodbye(context) }
        if mode == .all, !isOpening { phase = .over }
        context.close(mode: mode, promise: promise)
    }

    /// Tells the peer that nothing more comes (RFC 8446 §6.1).
    private func sayGoodbye(_ context: ChannelHandlerContext) {
        switch phase {
        case .open, .inputEnded: break
        case .opening, .over: return
        }
        ERR_clear_error()
        SSL_shutdown(connection)
        flush(output(context), context)
    }

    /// What OpenSSL has written for the wire.
    private func output(_ context: ChannelHandlerContext) -> ByteBuffer {
        let count = BIO_ctrl_pending(output)
        var wire = context.channel.allocator.buffer(capacity: count)
        guard count > 0 else { return wire }
        wire.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in Int(max(0, BIO_read(output, space.baseAddress, Int32(count)))) }
        return wire
    }

    private func flush(_ wire: ByteBuffer, _ context: ChannelHandlerContext) {
        if wire.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(wire), promise: nil) }
    }
}
