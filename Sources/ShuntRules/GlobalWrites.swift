import CLuaHost
import ShuntCore

/// The globals that a Lua file's functions set, found in what it compiles to.
///
/// One that no file of the plugin sets outside of its functions is mostly a forgotten `local`, which keeps its value for the next message.
struct GlobalWrites {
    struct Write: Equatable {
        var name: String
        var line: Int
    }

    /// By the file itself, as it is loaded.
    private(set) var byFile: Set<String> = []
    /// By its functions, in their order.
    private(set) var byFunctions: [Write] = []

    /// - Returns: nil where the text does not compile.
    init?(_ text: [UInt8]) {
        var code = shunt_buffer()
        code.limit = 16 << 20
        defer { shunt_buffer_free(&code) }
        let compiled = text.withUnsafeBytes { shunt_compile(shunt_bytes($0), &code) }
        guard compiled else { return nil }
        var reader = BytecodeReader(Bytes(start: code.bytes, count: code.count))
        guard let main = reader.main() else { return nil }
        byFile = Set(main.globals.map(\.name))
        for function in main.functions { add(function) }
    }

    private mutating func add(_ function: BytecodeReader.Function) {
        byFunctions += function.globals
        for function in function.functions { add(function) }
    }
}

extension RulePlugin {
    /// Warns of globals that functions set and no file does.
    func globalWarnings() -> [ShuntError] {
        let writes = sources.map { (path: $0.path, writes: GlobalWrites($0.text)) }
        let meant = writes.reduce(into: Set<String>()) { $0.formUnion($1.writes?.byFile ?? []) }
        var told: Set<String> = []
        return writes.flatMap { file in
            (file.writes?.byFunctions ?? []).filter { !meant.contains($0.name) && told.insert($0.name).inserted }.map { write in
                ShuntError(
                    .ruleInvalid, "a function sets the global \(write.name), which keeps its value for the next message",
                    at: "\(directory)/\(file.path):\(write.line)", help: "local, or set at the top of the file where that is meant")
            }
        }
    }
}

/// Reads Lua 5.4's binary chunks (`ldump.c`), as far as globals are concerned.
private struct BytecodeReader {
    struct Function {
        var globals: [GlobalWrites.Write] = []
        var functions: [Function] = []
    }

    private let bytes: Bytes
    private var offset = 0
    /// Something was not as this reader knows it: nothing that follows is taken.
    private var isLost = false

    init(_ bytes: Bytes) { self.bytes = bytes }

    private static let version: [UInt8] = [0x1B, 0x4C, 0x75, 0x61, 0x54, 0]
    private static let headerSize = 31

    mutating func main() -> Function? {
        guard bytes.count > Self.headerSize, bytes.prefix(Self.version.count).elementsEqual(Self.version) else { return nil }
        // The header, and the number of the main function's upvalues.
        offset = Self.headerSize + 1
        let main = function(depth: 0)
        return isLost ? nil : main
    }

    private mutating func function(depth: Int) -> Function {
        guard depth < 200 else {
            isLost = true
            return Function()
        }
        _ = text()
        let firstLine = number()
        _ = number()
        skip(3)
        let code = list { $0.instruction() }
        let constants = list { $0.constant() }
        list { $0.skip(3) }
        var function = Function()
        function.functions = list { $0.function(depth: depth + 1) }
        let steps = list { Int(Int8(bitPattern: $0.byte())) }
        let lines = list { (at: $0.number(), line: $0.number()) }
        list { reader in
            _ = (reader.text(), reader.number(), reader.number())
        }
        let upvalues = list { $0.text() }
        guard !isLost, steps.count == code.count else { return function }
        var line = firstLine
        var tracker = GlobalTracker(constants: constants, environment: upvalues.firstIndex(of: "_ENV"))
        for (at, instruction) in code.enumerated() {
            line = steps[at] == -128 ? lines.first { $0.at == at }?.line ?? line : line + steps[at]
            if let name = tracker.global(setBy: instruction) { function.globals.append(GlobalWrites.Write(name: name, line: line)) }
        }
        return function
    }

    @discardableResult
    private mutating func list<Element>(_ read: (inout Self) -> Element) -> [Element] {
        var elements: [Element] = []
        for _ in 0..<number() {
            guard !isLost else { break }
            elements.append(read(&self))
        }
        return elements
    }

    private mutating func byte() -> UInt8 {
        guard offset < bytes.count else {
            isLost = true
            return 0
        }
        defer { offset += 1 }
        return bytes[offset]
    }

    private mutating func skip(_ count: Int) {
        if count > bytes.count - offset { isLost = true } else { offset += count }
    }

    private mutating func instruction() -> UInt32 {
        guard bytes.count - offset >= 4 else {
            isLost = true
            return 0
        }
        defer { offset += 4 }
        return bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }

    /// Seven bits a byte, the highest first; the last one is marked.
    private mutating func number() -> Int {
        var number = 0
        while !isLost, number < 1 << 40 {
            let next = byte()
            number = number << 7 | Int(next & 0x7F)
            if next & 0x80 != 0 { break }
        }
        return isLost ? 0 : number
    }

    private mutating func text() -> String? {
        let size = number()
        guard size > 0 else { return nil }
        let start = offset
        skip(size - 1)
        return isLost ? nil : String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func constant() -> String? {
        switch byte() {
        case 0x03, 0x13: skip(8)
        case 0x04, 0x14: return text()
        default: break
        }
        return nil
    }
}

/// Follows a function's instructions as far as they set globals: `_ENV[name] = value` with the name in the instruction, or in a register
/// where the function has more constants than an instruction can name.
private struct GlobalTracker {
    let constants: [String?]
    /// The upvalue that has the globals.
    let environment: Int?
    /// Registers that hold the globals, and texts.
    private var tables: Set<Int> = []
    private var texts: [Int: String] = [:]

    init(constants: [String?], environment: Int?) {
        self.constants = constants
        self.environment = environment
    }

    /// Opcodes of Lua 5.4 (`lopcodes.h`).
    private enum Opcode: UInt32 {
        case loadConstant = 3, getUpvalue = 9, setUpvalue, getTabUp, getTable, getInteger, getField, setTabUp, setTable, setInteger, setField
    }

    mutating func global(setBy instruction: UInt32) -> String? {
        let (a, b) = (Int(instruction >> 7 & 0xFF), Int(instruction >> 16 & 0xFF))
        switch Opcode(rawValue: instruction & 0x7F) {
        case .setTabUp: return a == environment && constants.indices.contains(b) ? constants[b] : nil
        case .setTable: return tables.contains(a) ? texts[b] : nil
        case .setUpvalue, .setInteger, .setField: return nil
        case .getUpvalue:
            forget(a)
            if b == environment { tables.insert(a) }
        case .loadConstant:
            forget(a)
            let constant = Int(instruction >> 15)
            texts[a] = constants.indices.contains(constant) ? constants[constant] : nil
        case .getTabUp, .getTable, .getInteger, .getField, nil: forget(a)
        }
        return nil
    }

    private mutating func forget(_ register: Int) {
        tables.remove(register)
        texts[register] = nil
    }
}
