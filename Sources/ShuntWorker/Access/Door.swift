import ShuntAccess
import ShuntCore
import ShuntEngine

/// How a listener lets clients in, as its configuration and files say at present.
struct Door: Sendable {
    /// Whether clients come in that nothing names.
    var allowsAnonymous = true
    var passwords: PasswordFile?
    var lists = AccessLists()

    /// Whether anything has to be asked: else everybody comes in, and may do everything.
    var asks: Bool { !allowsAnonymous || passwords != nil || lists.isSet }

    /// What a loop needs to know of it.
    func access() -> ListenerAccess {
        guard lists.isSet else { return ListenerAccess(asks: asks, permissions: nil) }
        let rights = Rights(lists)
        return ListenerAccess(asks: asks) { admitted, clientID, address in
            rights.rights(
                of: Who(
                    uid: admitted.uid ?? "", clientID: clientID, address: address, certificate: admitted.certificate, acl: admitted.acl))
        }
    }
}

extension AccessLists {
    var isSet: Bool { rules != nil || acl != nil }
}
