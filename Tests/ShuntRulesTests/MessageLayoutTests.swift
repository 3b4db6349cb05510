import CLuaHost
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("A message as the router writes it, and as Lua's host reads it")
struct MessageLayoutTests {
    @Test("each field is where it is expected, also written over another message")
    func fields() {
        #expect(shunt_message.isLaidOutAsViews)
        let bytes: [UInt8] = Array(0..<100)
        bytes.withUnsafeBytes { bytes in
            let part = { (from: Int, count: Int) in Bytes(rebasing: bytes[from..<from + count]) }
            var message = MessageView(
                kind: .chat, topic: part(1, 2), key: part(3, 4), payload: part(7, 5), format: .json, compression: .lz4, id: 77, hops: 6,
                sender: ConnectionID(raw: 99), room: 8, qos: .exactlyOnce)
            (message.isRetained, message.roomBytes, message.properties) = (true, 9, part(12, 10))
            let place = UnsafeMutablePointer<MessageView>.allocate(capacity: 1)
            defer { place.deallocate() }
            place.initialize(to: MessageView(kind: .topic, topic: part(50, 1), key: nil, payload: .none, format: .none, id: 1, sender: .none))
            place.show(message)
            for read in [shunt_message(message), UnsafeRawPointer(place).load(as: shunt_message.self)] {
                #expect(read.kind == 2 && read.format == 2 && read.compression == 2 && read.hops == 6 && read.qos == 2)
                #expect(read.has_key && read.retain && read.id == 77 && read.sender == 99 && read.room == 8 && read.room_bytes == 9)
                let texts = [read.topic, read.key, read.payload, read.properties].map { Array(Bytes($0)) }
                #expect(texts == [Array(1..<3), Array(3..<7), Array(7..<12), Array(12..<22)])
                #expect(read.filter.count == 0)
            }
            place.show(message, room: 3)
            #expect(UnsafeRawPointer(place).load(as: shunt_message.self).room == 3)
            #expect(Array(Bytes(shunt_message(message, filter: part(30, 3)).filter)) == Array(30..<33))
        }
    }
}
