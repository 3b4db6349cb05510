import ShuntCore

/// What one of Shunt's masters has a worker of Shunt do for an operator: a BINDING frame, which message-channel never sends, with the name
/// `command` and the command's own name as key. Its value is the command's arguments, a JSON object. The worker acknowledges it with a
/// `CommandAnswerBody`.
public struct CommandRequestBody: Equatable, Sendable {
    public static let frameName = "command"

    public var name: WorkerCommand.Name
    /// A JSON object.
    public var arguments: [UInt8]

    public init(_ name: WorkerCommand.Name, arguments: [UInt8]) {
        self.name = name
        self.arguments = arguments
    }

    /// - Throws: `request.unsupported` for a command that this version does not know, `request.invalid` if the arguments are no object.
    public init(key: String, decoding arguments: Bytes) throws(ShuntError) {
        guard let name = WorkerCommand.Name(rawValue: key) else {
            throw ShuntError(
                .requestUnsupported, "this worker does not know the command \(key)", help: "workers and master want the same version of Shunt")
        }
        _ = try LenientJSON.object(in: arguments, subject: "command")
        self.init(name, arguments: [UInt8](arguments))
    }
}

extension Frame {
    /// One of Shunt's masters' command to one of Shunt's workers.
    public static func command(id: Int64, _ body: CommandRequestBody) -> Frame {
        Frame(.binding, id: id, format: .json, value: body.arguments, name: CommandRequestBody.frameName, key: body.name.rawValue)
    }
}

/// A worker's answer to a command: a JSON object of the command's own, or `{"error": …}`.
public struct CommandAnswerBody: Equatable, Sendable {
    public var result: Result<[UInt8], ShuntError>

    public init(_ result: Result<[UInt8], ShuntError>) { self.result = result }

    /// - Throws: `request.invalid` if this is no object.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "command answer")
        guard let error = try object.object("error") else {
            self.init(.success([UInt8](bytes)))
            return
        }
        self.init(
            .failure(
                ShuntError(
                    try error.string("code").flatMap(ErrorCode.init(rawValue:)) ?? .internalError, try error.string("message") ?? "",
                    at: try error.string("location"), help: try error.string("help"))))
    }

    public func encoded() -> [UInt8] {
        switch result {
        case .success(let bytes): bytes
        case .failure(let error):
            JSONWriter.object { json in
                json.member(
                    "error",
                    object: { json in
                        json.member("code", error.code.rawValue)
                        json.member("message", error.message)
                        json.member("location", error.location)
                        json.member("help", error.help)
                    })
            }
        }
    }
}
