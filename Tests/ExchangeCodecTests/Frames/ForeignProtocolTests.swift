import ExchangeCodec
import ShuntCore
import Testing

@Suite("Other protocols at this protocol's port")
struct ForeignProtocolTests {
    @Test(
        "what begins like a frame, or has said too little, is none of them",
        arguments: [
            [], [0x71], [0x71] + Array("GET ".utf8), Array("GE".utf8), [0x16, 3, 1], [0x10], [0x10, 0x0C, 0, 4], [0x70, 0, 0],
            [0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 4], Array("hello world, this is text".utf8), [0x16, 9, 9, 0, 0, 1],
        ] as [[UInt8]])
    func none(bytes: [UInt8]) {
        bytes.withUnsafeBytes { #expect(ForeignProtocol($0) == nil) }
    }

    @Test("each has an answer of its own and a code", arguments: ForeignProtocol.allCases)
    func answers(foreign: ForeignProtocol) {
        #expect(!foreign.answer.isEmpty)
        #expect(foreign.code.rawValue.hasPrefix("protocol."))
        #expect(foreign.code.status == 400)
    }
}
