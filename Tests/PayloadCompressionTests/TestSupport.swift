import ShuntCore

@testable import PayloadCompression

/// The bytes of a hex string.
func bytes(hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    precondition(digits.count == hex.utf8.count && digits.count.isMultiple(of: 2), "not hex: \(hex)")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func unpack(_ packed: [UInt8], _ compression: PayloadCompression, limit: Int = 1 << 20) throws -> [UInt8] {
    try packed.withUnsafeBytes { try inflate($0, compression, limit: limit) }
}

func pack(_ plain: [UInt8], _ compression: PayloadCompression) throws -> [UInt8] {
    try plain.withUnsafeBytes { try deflate($0, compression) }
}

let packings: [PayloadCompression] = [.gzip, .lz4, .snappy]

/// `hello hello hello` as message-channel's clients send it (§19.1).
let native: [PayloadCompression: [UInt8]] = [
    .gzip: bytes(hex: "1f8b08000000000000ffcb48cdc9c957c84090008088f9e511000000"),
    .lz4: bytes(hex: "04224d186470b91100008068656c6c6f2068656c6c6f2068656c6c6f00000000b1cd9b87"),
    .snappy: bytes(hex: "ff060000734e61507059000e0000ab04b51d111468656c6c6f201d06"),
]
let hello = Array("hello hello hello".utf8)
