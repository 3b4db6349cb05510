import PayloadCompression
import ShuntCore

/// The promises of unpacking for any input.
enum PackingTarget {
    private static let limit = 1 << 17

    /// - Returns: whether the input could be unpacked.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        var unpacked = false
        for compression in [PayloadCompression.gzip, .lz4, .snappy] {
            switch Result(catching: { () throws(ShuntError) in try inflate(input, compression, limit: limit) }) {
            case .failure(let error):
                try expect(error.code == .frameMalformed || error.code == .memoryLimit, "the code is one of two")
            case .success(let plain):
                unpacked = true
                try expect(plain.count <= limit, "the limit holds")
                try checkLimits(input, compression, plain)
                try checkRoundTrip(plain, compression)
            }
        }
        return unpacked
    }

    private static func checkLimits(_ input: Bytes, _ compression: PayloadCompression, _ plain: [UInt8]) throws(BrokenInvariant) {
        try expect((try? inflate(input, compression, limit: plain.count)) == plain, "a value may be as large as the limit")
        guard !plain.isEmpty else { return }
        let result = Result { () throws(ShuntError) in try inflate(input, compression, limit: plain.count - 1) }
        guard case .failure(let error) = result else { throw BrokenInvariant("a byte above the limit is refused") }
        try expect(error.code == .memoryLimit, "above the limit the code is limit.memory")
    }

    private static func checkRoundTrip(_ plain: [UInt8], _ compression: PayloadCompression) throws(BrokenInvariant) {
        let again = try? plain.withUnsafeBytes { try deflate($0, compression) }.withUnsafeBytes {
            try inflate($0, compression, limit: plain.count)
        }
        try expect(again == plain, "what is packed is unpacked")
    }
}
