/// A line typed into a chat, as a request.
enum ChatInput: Equatable {
    case send([UInt8])
    case quit
    case destroy
    case unknown(String)

    /// A line that begins with a slash is a command; two slashes stand for one that is sent.
    init(_ line: [UInt8]) {
        guard line.first == UInt8(ascii: "/") else {
            self = .send(line)
            return
        }
        if line.dropFirst().first == UInt8(ascii: "/") {
            self = .send(Array(line.dropFirst()))
            return
        }
        var word = String(decoding: line, as: UTF8.self)
        while word.last == " " { word.removeLast() }
        switch word {
        case "/quit": self = .quit
        case "/destroy": self = .destroy
        default: self = .unknown(word)
        }
    }
}
