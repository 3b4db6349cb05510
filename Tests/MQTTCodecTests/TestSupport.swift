import MQTTCodec
import ShuntCore

/// A packet's type and body, from its bytes.
func split(_ packet: [UInt8]) -> (header: PacketHeader, body: [UInt8])? {
    packet.withUnsafeBytes { bytes in
        guard case .packet(let header) = PacketDecoder.decode(bytes, limit: .max) else { return nil }
        return (header, Array(bytes[header.headerSize..<header.size]))
    }
}

/// Bytes from hexadecimal digits; blanks are for the reader.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 0) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// What a reader of a packet's body says.
func read<Packet>(_ body: [UInt8], _ reader: (Bytes) throws(MQTTFault) -> Packet) -> Result<Packet, MQTTFault> {
    body.withUnsafeBytes { bytes in
        do throws(MQTTFault) {
            return .success(try reader(bytes))
        } catch {
            return .failure(error)
        }
    }
}

extension Result {
    var error: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }

    var value: Success? { try? get() }
}

/// A PUBLISH with copies of what it says.
struct Published: Equatable {
    var topic: String
    var payload: [UInt8]
    var qos: QoS
    var isRetained: Bool
    var isDuplicate: Bool
    var identifier: UInt16
    var properties: Properties

    init(_ packet: [UInt8], _ version: MQTTVersion) throws(MQTTFault) {
        let outcome: Result<Published, MQTTFault> = packet.withUnsafeBytes { bytes in
            switch PacketDecoder.decode(bytes, limit: .max) {
            case .packet(let header):
                do throws(MQTTFault) {
                    return .success(Published(try PublishView(header, bytes, version)))
                } catch {
                    return .failure(error)
                }
            case .needMore: return .failure(MQTTFault(.malformedPacket, "incomplete"))
            case .malformed(let fault): return .failure(fault)
            }
        }
        self = try outcome.get()
        let view: Result<Properties, MQTTFault> = packet.withUnsafeBytes { bytes in
            guard case .packet(let header) = PacketDecoder.decode(bytes, limit: .max) else { return .success(.none) }
            do throws(MQTTFault) {
                return .success(try PublishView(header, bytes, version).readProperties())
            } catch {
                return .failure(error)
            }
        }
        properties = try view.get()
    }

    private init(_ view: PublishView) {
        topic = String(decoding: view.topic, as: UTF8.self)
        payload = Array(view.payload)
        qos = view.qos
        isRetained = view.isRetained
        isDuplicate = view.isDuplicate
        identifier = view.identifier
        properties = .none
    }
}

extension String {
    func asBytes<Result>(_ body: (Bytes) -> Result) -> Result { Array(utf8).withUnsafeBytes(body) }
}
