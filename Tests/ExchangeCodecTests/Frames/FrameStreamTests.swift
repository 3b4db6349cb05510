import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Frames in a stream: split, joined, and there and back")
struct FrameStreamTests {
    static let frames = EncoderVectorTests.vectors.map(\.frame)

    @Test("A frame split at any byte waits for the rest, and says how much it knows to come")
    func splitAtEveryByte() {
        for frame in Self.frames {
            let whole = frame.encoded()
            for length in 0..<whole.count {
                let expected = length < FrameLayout.headerSize ? FrameLayout.headerSize : whole.count
                #expect(decode(Array(whole.prefix(length))) == .needMore(minimum: expected))
            }
        }
    }

    @Test("Several frames in one buffer come out one after the other, also where the last is cut at any byte")
    func severalInOneBuffer() {
        let stream = Self.frames.flatMap { $0.encoded() }
        let cuts = stream.count - (Self.frames.last?.encoded().count ?? 0)..<stream.count
        for end in cuts {
            let (frames, used) = decodeAll(Array(stream.prefix(end)))
            #expect(frames.count == Self.frames.count - 1)
            #expect(used == cuts.lowerBound)
        }
        let (frames, used) = decodeAll(stream)
        #expect(used == stream.count)
        #expect(frames.map { $0.encoded() } == Self.frames.map { $0.encoded() })
    }

    @Test("A frame reads the same at every alignment")
    func alignment() {
        let frame = Frame(.message, id: .min, text: "value", name: "topic", key: "key")
        for padding in 0..<16 {
            let shifted = [UInt8](repeating: 0, count: padding) + frame.encoded()
            let read = shifted.withUnsafeBytes { buffer -> Frame? in
                let rest = Bytes(rebasing: buffer[padding...])
                guard let base = rest.baseAddress, case .frame(let view) = FrameDecoder.decode(rest) else { return nil }
                return Frame(view, in: base)
            }
            #expect(read == frame, "at alignment \(padding)")
        }
    }

    @Test("What is written is read back the same", arguments: 0..<20)
    func roundTrip(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let frame = randomFrame(&random)
            let written = frame.encoded()
            #expect(decodedFrame(written) == frame)
            #expect(written.count == decodeAll(written).used)
        }
    }

    @Test("Random bytes and spoiled frames never give a part outside the frame", arguments: 0..<20)
    func rangesStayInside(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            var input = Bool.random(using: &random) ? random.bytes(0...64) : randomFrame(&random).encoded()
            for _ in 0..<Int.random(in: 0...3, using: &random) where !input.isEmpty {
                input[Int.random(in: 0..<input.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard case .frame(let view) = decode(input) else { continue }
            #expect(Int(view.size) <= input.count)
            for part in [view.value, view.name, view.key] where !part.isAbsent {
                #expect(part.offset >= 22 && UInt64(part.offset) + UInt64(part.length) <= UInt64(view.size))
            }
        }
    }

    private func decodeAll(_ stream: [UInt8]) -> (frames: [Frame], used: Int) {
        stream.withUnsafeBytes { buffer in
            var frames: [Frame] = []
            var used = 0
            while case .frame(let view) = FrameDecoder.decode(Bytes(rebasing: buffer[used...])) {
                if let base = buffer.baseAddress { frames.append(Frame(view, in: base + used)) }
                used += Int(view.size)
            }
            return (frames, used)
        }
    }

    /// A frame that the protocol can carry as it is.
    private func randomFrame(_ random: inout SeededGenerator) -> Frame {
        let name = random.text(upTo: 20)
        let key = random.text(upTo: 20)
        var frame = Frame(
            FrameType.allCases.randomElement(using: &random) ?? .ping, id: Int64.random(in: .min ... .max, using: &random),
            compression: PayloadCompression.allCases.randomElement(using: &random) ?? .none,
            format: Bool.random(using: &random) ? .text : .json, value: random.bytes(0...300))
        if !frame.value.isEmpty, !name.isEmpty {
            frame.name = name
            frame.key = key.isEmpty ? nil : key
        }
        return frame
    }
}
