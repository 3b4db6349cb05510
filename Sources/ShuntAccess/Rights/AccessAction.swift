import ShuntCore

extension AccessAction {
    /// The name in files of rules.
    var name: String { "\(self)" }
}

/// Several actions.
struct AccessActions: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }
    init(_ action: AccessAction) { rawValue = 1 << action.rawValue }

    static let all = AccessActions(AccessAction.allCases.map(AccessActions.init))
    /// The actions of "write" in an ACL file.
    static let write: AccessActions = [.init(.publish), .init(.broadcast), .init(.chat)]
    /// The actions of "read" in an ACL file.
    static let read: AccessActions = [.init(.subscribe), .init(.share)]

    func has(_ action: AccessAction) -> Bool { contains(AccessActions(action)) }
}
