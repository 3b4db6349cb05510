import ShuntCore

/// The workers that an ALLOCATION without `DeviceAllocationBody` asks for (§9.6).
public enum AllocationRequest: Sendable {
    case one, all

    /// `true` in any letter case is all; no value and any other text is one.
    public init(decoding value: Bytes?) {
        self = value.map { String(decoding: $0.prefix(5), as: UTF8.self) }?.equalsIgnoringCase("true") == true ? .all : .one
    }
}

/// The list in ALLOCATION's acknowledgement: `host:port`, with commas between.
public enum AllocationReply {
    public static func encode(_ addresses: [String]) -> String { addresses.joined(separator: ",") }

    /// Empty parts are left out, and spaces around the parts.
    public static func decode(_ text: String) -> [String] {
        text.split(separator: ",").map { part in
            String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }.filter { !$0.isEmpty }
    }
}

/// The value of BALANCE (§9.7): how many connections the worker should have.
public enum BalanceTarget {
    public static func encode(_ connections: Int) -> String { String(connections) }

    /// - Throws: `request.invalid` if this is not a decimal number from 0 on.
    public static func decode(_ value: Bytes?) throws(ShuntError) -> Int {
        guard let value, value.count <= 20, let target = Int(String(decoding: value, as: UTF8.self)), target >= 0 else {
            throw ShuntError(
                .requestInvalid, "the balance target is no number of connections", help: "a decimal number from 0 on")
        }
        return target
    }
}
