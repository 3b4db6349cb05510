import ShuntCore

// What the library's own declarations speak of. Programs that use it import nothing else.

/// The address of a server, as in `127.0.0.1:4091`, `[::1]:4091` or `worker-1.internal:4091`.
///
/// `HostPort("worker-1.internal:4091")` reads a text, and is nil where that is no address.
public typealias HostPort = ShuntCore.HostPort

/// What went wrong: a code, what it was, where, and what would be right.
///
/// Its `code` is an ``ErrorCode``, which programs may decide by; `message`, `location` and `help` are for people.
public typealias ShuntError = ShuntCore.ShuntError

/// The kinds of errors, of this library and of servers. The raw value is stable, as in `topic.no_subscriber`.
public typealias ErrorCode = ShuntCore.ErrorCode

/// The format of a payload: text or JSON. Nothing else may be sent by the exchange protocol.
public typealias PayloadFormat = ShuntCore.PayloadFormat

/// The compression of a payload: none, gzip, LZ4 frames or Snappy frames. See ``OutgoingMessage/packed(by:)`` and
/// ``ReceivedMessage/unpackedPayload(limit:)``.
public typealias PayloadCompression = ShuntCore.PayloadCompression

/// The devices that a broadcast is for: by uid, device name, tags and aliases. `DeviceFilter.all` takes every device.
public typealias DeviceFilter = ShuntCore.DeviceFilter

/// How surely MQTT delivers a message: at most once, at least once, exactly once.
public typealias QoS = ShuntCore.QoS
