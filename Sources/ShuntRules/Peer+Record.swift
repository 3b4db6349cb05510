import CLuaHost
import ShuntCore

// Unsafe: the record's bytes are read as the C struct's `char`.

extension Peer {
    /// Writes the record that Lua reads fields from (`peer.c`).
    func write(to record: UnsafeMutablePointer<shunt_buffer>) {
        shunt_peer_begin(record, id.raw, connectedAt)
        for text in [uid, device, protocolName, address] { Self.write(text, to: record) }
        for list in [tags, alias, groups] {
            shunt_peer_list(record, UInt32(clamping: list.count))
            for text in list { Self.write(text, to: record) }
        }
        shunt_peer_list(record, UInt32(clamping: attributes.count * 2))
        for attribute in attributes {
            Self.write(attribute.name, to: record)
            Self.write(attribute.value, to: record)
        }
    }

    private static func write(_ text: String, to record: UnsafeMutablePointer<shunt_buffer>) {
        withBytes(of: text) { shunt_peer_text(record, $0.start?.assumingMemoryBound(to: CChar.self), $0.count) }
    }

    /// Runs with the record as bytes.
    func withRecord<R>(_ body: (shunt_bytes) -> R) -> R {
        var record = shunt_buffer()
        record.limit = 1 << 20
        write(to: &record)
        defer { shunt_buffer_free(&record) }
        return body(shunt_bytes(start: record.bytes, count: record.count))
    }

    /// What a rule changed of a client: uid, tags, alias and attributes of a record.
    static func changes(in record: Bytes) -> (uid: String, tags: [String], alias: [String], attributes: [UserProperty]) {
        var reader = RecordReader(bytes: record)
        let texts = (0..<4).map { _ in reader.text() }
        let (tags, alias, _, pairs) = (reader.list(), reader.list(), reader.list(), reader.list())
        let attributes = stride(from: 0, to: pairs.count - 1, by: 2).map { UserProperty(pairs[$0], pairs[$0 + 1]) }
        return (texts[0], tags, alias, attributes.sorted { $0.name < $1.name })
    }
}

extension Peer.MQTT {
    /// Writes the record that Lua reads fields from (`peer.c`).
    /// - Parameter all: with user properties and will.
    func write(to record: UnsafeMutablePointer<shunt_buffer>, all: Bool) {
        let properties = all ? properties : []
        withBytes(of: clientID) { id in
            withBytes(of: version) { version in
                withBytes(of: authMethod ?? "") { method in
                    shunt_client_begin(record, id, version, method, UInt32(keepAlive), UInt32(clamping: properties.count))
                }
            }
        }
        for property in properties {
            withBytes(of: property.name) { name in withBytes(of: property.value) { shunt_client_pair(record, name, $0) } }
        }
        if all, let will { will.write(to: record) }
    }
}

extension Peer.Will {
    fileprivate func write(to record: UnsafeMutablePointer<shunt_buffer>) {
        topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                properties.withUnsafeBytes { properties in
                    // Their length is a number: all of its bytes have their highest bit set, except the last.
                    let encoded = properties.drop { $0 >= 0x80 }.dropFirst()
                    var will = shunt_will(
                        topic: shunt_bytes(topic), payload: shunt_bytes(payload), properties: shunt_bytes(Bytes(rebasing: encoded)),
                        qos: qos.rawValue, retain: isRetained, delay: delay)
                    shunt_client_will(record, &will)
                }
            }
        }
    }
}

private struct RecordReader {
    let bytes: Bytes
    var at = 16

    init(bytes: Bytes) { self.bytes = bytes }

    mutating func count() -> Int {
        guard bytes.count - at >= 4 else { return 0 }
        defer { at += 4 }
        return Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }

    mutating func text() -> String {
        let end = min(count() + at, bytes.count)
        defer { at = end }
        return String(decoding: bytes[at..<end], as: UTF8.self)
    }

    mutating func list() -> [String] { (0..<count()).map { _ in text() } }
}
