import ShuntCore

extension Configuration {
    /// `limits:` of a listener.
    static let listenerLimitKeys: [ConfigKey<Worker.Listener>] = [
        ConfigKey(
            "limits.connections_per_address", \.limits.connectionsPerAddress, .int(0...1_000_000), .restart,
            "The most connections that one IPv4 address, or one 64-bit network of IPv6, has here at once; 0: any number. More are closed as they "
                + "come. Not with proxy_protocol."),
        ConfigKey(
            "limits.connections_per_second", \.limits.connectionsPerSecond, .int(0...1_000_000), .restart,
            "The most connections that come in here in a second, of all clients; 0: any number. More are closed as they come."),
        ConfigKey(
            "limits.messages_per_second", \.limits.messagesPerSecond, .int(0...100_000_000), .restart,
            "The most messages, broadcasts and chat messages that one client sends in a second, and at once; 0: any number. One that is faster "
                + "is not read from until it may send again."),
        ConfigKey(
            "limits.bytes_per_second", \.limits.bytesPerSecond, .size(0...(1 << 40)), .restart,
            "The same in bytes of their frames or packets. A message larger than that goes through, and is paid off before the next; 0: any "
                + "number."),
    ]
}
