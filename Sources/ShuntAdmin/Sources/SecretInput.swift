import Glibc
import ShuntCore

/// Reads a password: from a file, else twice from the terminal without showing it, else from standard input.
struct SecretInput {
    /// nil for none.
    let file: String?
    /// What the terminal asks for.
    let prompt: String
    let console: Console

    /// The longest password, in bytes.
    static let maximum = 4096

    /// - Throws: `usage` if nothing was given, or the second time something else.
    func read() throws(ShuntError) -> [UInt8] {
        let password: [UInt8]
        if let file {
            let descriptor = open(file, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw SecretFile.failure("cannot be read", file, errno) }
            defer { close(descriptor) }
            password = try firstLine(of: descriptor, file)
        } else if isatty(STDIN_FILENO) == 1 {
            password = try ask(prompt + ": ")
            guard try ask("The same again: ") == password else {
                throw ShuntError(.usage, "the two passwords differ", help: "nothing was changed: start again")
            }
        } else {
            password = try firstLine(of: STDIN_FILENO, "standard input")
        }
        guard !password.isEmpty else { throw ShuntError(.usage, "there is no password", help: "nothing was changed: give one") }
        return password
    }

    private func firstLine(of descriptor: Int32, _ name: String) throws(ShuntError) -> [UInt8] {
        var line: [UInt8] = []
        while let byte = try next(descriptor, name), byte != 0x0A { try append(byte, to: &line) }
        if line.last == 0x0D { line.removeLast() }
        return line
    }

    /// From the terminal, key by key: an interruption must not leave the terminal without echo, so it comes as a key as well.
    private func ask(_ question: String) throws(ShuntError) -> [UInt8] {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { throw SecretFile.failure("cannot be asked", "the terminal", errno) }
        var quiet = settings
        quiet.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0 else { throw SecretFile.failure("cannot be asked", "the terminal", errno) }
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            console.writeError("\n")
        }
        console.writeError(question)
        var line: [UInt8] = []
        while let key = try next(STDIN_FILENO, "the terminal") {
            switch key {
            case 0x0A, 0x0D, 0x04: return line
            case 0x03, 0x1C: throw ShuntError(.usage, "interrupted", help: "nothing was changed")
            case 0x15: line = []
            case 0x7F, 0x08:
                // A character of several bytes goes as a whole.
                while let last = line.popLast(), last & 0xC0 == 0x80 {}
            default: try append(key, to: &line)
            }
        }
        return line
    }

    private func append(_ byte: UInt8, to line: inout [UInt8]) throws(ShuntError) {
        guard line.count < Self.maximum else { throw ShuntError(.usage, "the password is too long", help: "at most 511 bytes can be hashed") }
        line.append(byte)
    }

    /// nil at the end.
    private func next(_ descriptor: Int32, _ name: String) throws(ShuntError) -> UInt8? {
        var byte: UInt8 = 0
        while true {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SecretFile.failure("cannot be read", name, errno) }
            return count == 0 ? nil : byte
        }
    }
}
