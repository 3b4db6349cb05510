/// What an HTTP service is asked about a client that wants to come in.
public struct ServiceQuestion: Sendable {
    public var clientID = ""
    public var user: String?
    /// Never logged, and kept nowhere.
    public var password: [UInt8]?
    /// Without the port.
    public var address = ""
    /// The listener's name.
    public var listener = ""
    public var protocolName = ""
    /// The common name of its certificate, if that was verified.
    public var certificate: String?

    public init() {}

    /// A JSON object. All members are there; those that the client has not shown are null. A password that is not UTF-8 is base64, in
    /// `password_base64`.
    public var json: [UInt8] {
        let text = password.flatMap { String(validating: $0, as: UTF8.self) }
        var members: [(String, String?)] = [
            ("client_id", clientID), ("user", user), ("password", text), ("address", address), ("listener", listener),
            ("protocol", protocolName), ("certificate", certificate),
        ]
        if let password, text == nil { members.append(("password_base64", Base64.encode(password))) }
        return Array("{\(members.map { "\"\($0)\":\($1.map(JSONText.quoted) ?? "null")" }.joined(separator: ","))}".utf8)
    }
}

/// What a client has shown, as the key of a table: a digest under a secret of the process, which tells nothing of a password.
public struct QuestionKey: Hashable, Sendable {
    private let digest: [UInt8]
    private static let secret = ClusterToken.nonce()

    /// - Parameter json: the whole question.
    public init(_ json: [UInt8]) { digest = Digest.hmac(key: Self.secret, json) }
}

/// Writes JSON.
enum JSONText {
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
