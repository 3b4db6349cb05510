import ShuntClient
import ShuntCore

/// The work of `shunt device`: prints the notifications that come to a device.
public struct DeviceListening: Sendable {
    public var printer: NotificationPrinter
    public var output: FileDescriptorStream
    /// After how many notifications to end; nil for never.
    public var count: Int?

    public init(printer: NotificationPrinter, output: FileDescriptorStream = .standardOutput, count: Int? = nil) {
        self.printer = printer
        self.output = output
        self.count = count
    }

    /// Prints until the count is reached, the session ends, the task is cancelled, or nobody reads the output any more.
    /// - Returns: the notifications printed.
    public func run(on session: DeviceSession) async throws(ShuntError) -> Int {
        var printed = 0
        while printed < count ?? .max, let batch = try await session.nextBatch() {
            let now = Timestamp.now()
            var lines: [UInt8] = []
            for notification in batch.prefix((count ?? .max) - printed) {
                printer.append(notification, at: now, to: &lines)
                printed += 1
            }
            guard try await output.write(lines) else { break }
        }
        return printed
    }

    /// An event of a device's connection, as a line for people.
    public static func text(of event: DeviceEvent, device: String) -> String {
        switch event {
        case .registered(let worker, let isBack): isBack ? "back at \(worker)" : "\(device) is registered at \(worker)"
        case .lost(let worker, let error): "lost \(worker): \(error.message); trying again"
        case .redirected(let from, let to): "redirected from \(from) to \(to)"
        }
    }
}
