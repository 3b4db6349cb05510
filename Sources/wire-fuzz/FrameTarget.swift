import ExchangeCodec
import ShuntCore

/// The promises of the frame decoder and encoder for any input.
enum FrameTarget {
    /// - Returns: whether the input began with a frame.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        let decoded = FrameDecoder.decode(input, limit: FrameLayout.maximumSize)
        try expect(decoded == FrameDecoder.decode(input, limit: .max), "the limit is capped")
        switch decoded {
        case .needMore(let minimum):
            try expect(minimum > input.count, "more is needed than there is")
            try expect(minimum == 17 || input.count >= 17 && minimum <= FrameLayout.maximumSize, "what is needed is known")
            return false
        case .malformed(let fault):
            var longer = [UInt8](input)
            longer += [0x71, 0, 0, 0, 0xFF]
            let again = longer.withUnsafeBytes { FrameDecoder.decode($0, limit: FrameLayout.maximumSize) }
            try expect(again == .malformed(fault), "what is malformed stays so")
            return false
        case .frame(let view):
            guard let frame = input.baseAddress else { throw BrokenInvariant("a frame has bytes") }
            try checkParts(of: view, in: input)
            try checkPrefixes(of: view, at: frame)
            try checkEncoding(of: view, at: frame)
            return true
        }
    }

    private static func checkParts(of view: FrameView, in input: Bytes) throws(BrokenInvariant) {
        let size = Int(view.size)
        try expect(17...input.count ~= size, "a frame's size is that of its bytes")
        try expect(view.status >= 0, "a status is not negative")
        var end = 17
        for part in [view.value, view.name, view.key] where !part.isAbsent {
            try expect(Int(part.offset) >= end + 4, "each part has its length before it")
            end = Int(part.offset) + Int(part.length)
            try expect(end <= size, "each part is inside the frame")
        }
        try expect(view.hasBody == (size > 17), "a body has a value")
        try expect(view.value.isAbsent || view.value.length > 0, "a value is not empty")
        try expect(view.name.isAbsent || view.name.length > 0, "a name is not empty")
        try expect(view.key.isAbsent || !view.name.isAbsent, "a key has a name")
        try expect(view.format == (view.hasBody ? view.format : .none), "only a body has a format")
        try expect(!view.hasBody || view.format == .text || view.format == .json, "a format can be read by all")
        try expect(!view.isError || view.name.isAbsent && view.compression == .none, "an error frame is bare text")
    }

    private static func checkPrefixes(of view: FrameView, at frame: UnsafeRawPointer) throws(BrokenInvariant) {
        let size = Int(view.size)
        let whole = FrameDecoder.decode(Bytes(start: frame, count: size), limit: size)
        try expect(whole == .frame(view), "a frame needs only its own bytes")
        let tooLarge = FrameDecoder.decode(Bytes(start: frame, count: size), limit: size - 1)
        try expect(tooLarge == .malformed(.tooLarge), "a limit is a limit")
        for length in [0, 1, 16, 17, 18, 21, 22, size / 2, size - 2, size - 1] where length < size && length >= 0 {
            let prefix = FrameDecoder.decode(Bytes(start: frame, count: length), limit: size)
            try expect(prefix == .needMore(minimum: length < 17 ? 17 : size), "the start of a frame waits for the rest")
        }
    }

    /// A frame that was read and written again is the same frame, except for parts that are never written: empty keys, bytes after the key,
    /// control characters in error texts.
    private static func checkEncoding(of view: FrameView, at frame: UnsafeRawPointer) throws(BrokenInvariant) {
        var fields = FrameFields(
            view.type, id: view.id, compression: view.compression, format: view.format,
            value: view.value(in: frame) ?? Bytes(start: nil, count: 0), name: view.name(in: frame), key: view.key(in: frame))
        fields.status = view.status
        let written = fields.encoded()
        try expect(written.count == FrameEncoder.size(of: fields), "the announced size is written")
        try expect(written.count <= Int(view.size), "nothing is added")

        var expected = Frame(view, in: frame)
        if expected.key == "" { expected.key = nil }
        if expected.isError { expected.value = expected.value.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 } }
        let again = written.withUnsafeBytes { bytes -> Frame? in
            guard let base = bytes.baseAddress, case .frame(let view) = FrameDecoder.decode(bytes, limit: bytes.count) else {
                return nil
            }
            return Frame(view, in: base)
        }
        try expect(again == expected, "what is written is what was read")
    }
}
