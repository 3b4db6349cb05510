import ArgumentParser
import Glibc
import ShuntCore
import ShuntTLS

/// `shunt cert`: certificates for trying TLS out.
struct Cert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make certificates for TLS.",
        discussion: """
            For trying things out, and for installations that sign their own certificates. Keys are on the curve P-256.

              shunt cert --self-signed localhost      server.pem and server.key, which sign themselves
              shunt cert --ca 'Our-CA'                ca.pem and ca.key, which sign others
              shunt cert --server broker.local        server.pem and server.key, signed by ca.pem
              shunt cert --client ann                 ann.pem and ann.key, signed by ca.pem: ann is the client's uid
              shunt cert --member edge-1              edge-1.pem and edge-1.key, signed by ca.pem: a master or worker (cluster.tls)

            A file that is there is not written over. Keys can be read by their owner alone.
            """)

    @Option(name: .customLong("self-signed"), help: "Make a server's certificate that signs itself: its host name or IP address.")
    var selfSigned: String?

    @Option(name: .customLong("ca"), help: "Make an authority of this name.")
    var authority: String?

    @Option(help: "Make a server's certificate, signed by the authority: its host name or IP address.")
    var server: String?

    @Option(help: "Make a client's certificate, signed by the authority: its uid.")
    var client: String?

    @Option(help: "Make the certificate of a cluster's master or worker, signed by the authority: its name.")
    var member: String?

    @Option(name: .customLong("also"), help: "Another host name or IP address of the server; may be given several times.")
    var alternatives: [String] = []

    @Option(help: "Days for which it is good.")
    var days = 825

    @Option(
        help: ArgumentHelp("The folder that files are written to and the authority is read from.", valueName: "folder"), completion: .directory)
    var out = "."

    func validate() throws {
        guard [selfSigned, authority, server, client, member].compactMap({ $0 }).count == 1 else {
            throw ValidationError("One of --self-signed, --ca, --server, --client and --member says what to make.")
        }
        guard (1...36_500).contains(days) else { throw ValidationError("--days is 1 to 36500.") }
    }

    func run() throws {
        do {
            try make()
        } catch let error as ShuntError {
            throw fail([error])
        }
    }

    private func make() throws {
        let alone = selfSigned != nil || authority != nil
        guard alone || access("\(out)/ca.pem", F_OK) == 0 else {
            throw ShuntError(.tlsInvalid, "there is no \(out)/ca.pem that could sign it", help: "`shunt cert --ca NAME` makes an authority")
        }
        let maker = try CertificateMaker(
            certificate: alone ? nil : "\(out)/ca.pem", key: alone ? nil : "\(out)/ca.key", days: authority == nil ? days : max(days, 3650))
        let (file, made): (String, CertificateMaker.Made) =
            if let authority {
                ("ca", try maker.make(.authority, name: authority))
            } else if let client {
                (client, try maker.make(.client, name: client))
            } else if let member {
                (member, try maker.make(.member, name: member, alternatives: alternatives))
            } else {
                ("server", try maker.make(.server, name: selfSigned ?? server ?? "", alternatives: alternatives))
            }
        guard !file.contains("/"), !file.hasPrefix(".") else {
            throw ShuntError(.usage, "'\(file)' cannot be the name of a file")
        }
        try write(made.key, to: "\(out)/\(file).key", mode: 0o600)
        try write(made.certificate, to: "\(out)/\(file).pem", mode: 0o644)
        print("\(out)/\(file).pem\n\(out)/\(file).key")
        try CommandLineProcess.flushOutput()
    }

    private func write(_ text: String, to path: String, mode: mode_t) throws(ShuntError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else {
            let help = errno == EEXIST ? "take it away first, or name another folder by --out" : nil
            throw ShuntError(.ioFailed, "\(path) cannot be written: \(String(cString: strerror(errno)))", help: help)
        }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
            throw ShuntError(.ioFailed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }
}
