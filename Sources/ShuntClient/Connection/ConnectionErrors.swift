import Glibc
import NIOCore
import NIOPosix
import ShuntCore

/// The meaning of an I/O error, for people.
func connectionError(_ error: any Error, to address: HostPort) -> ShuntError {
    switch error {
    case let error as ShuntError: error
    case is KeepAliveTimeout:
        ShuntError(.connectionLost, "the server did not answer a PING", at: address.description)
    case let error as NIOConnectionError:
        ShuntError(
            .addressUnavailable, "no connection: \(reason(error))", at: address.description,
            help: ShuntError.unreachableHelp)
    case ChannelError.connectTimeout:
        ShuntError(
            .addressUnavailable, "no connection: nobody answered in time", at: address.description,
            help: ShuntError.unreachableHelp)
    default:
        ShuntError(.connectionLost, "the connection was lost: \(reason(error))", at: address.description)
    }
}

private func reason(_ error: NIOConnectionError) -> String {
    if let failure = error.connectionErrors.first { return reason(failure.error) }
    return error.dnsAError == nil && error.dnsAAAAError == nil ? "no address" : "the host's name is unknown"
}

private func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
    case ChannelError.connectTimeout: "nobody answered in time"
    default: String(describing: error)
    }
}

extension ShuntError {
    /// The advice for a server that a client does not reach; a caller that knows more replaces it.
    public static let unreachableHelp = "is a server listening there, and can it be reached from here?"

    /// Whether the server refuses who the client says it is: it would do so again.
    var refusesIdentity: Bool { [.accessCredentials, .accessExpired, .accessBanned].contains(code) }

    /// The answer is not a frame but HTTP or something else.
    static func noExchangePort(_ address: HostPort) -> ShuntError {
        ShuntError(
            .addressUnavailable, "what answers there does not speak the exchange protocol", at: address.description,
            help: "give an exchange port: by default 4088 of a master, 4091 of a worker; 4080 and 9091 are for HTTP")
    }

    static func hungUp(_ address: HostPort) -> ShuntError {
        ShuntError(.connectionLost, "the server closed the connection", at: address.description)
    }
}
