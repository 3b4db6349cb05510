import COpenSSL
import Glibc
import ShuntCore

// Unsafe: OpenSSL's objects are C structs, each owned by an `Owned`.

/// Makes certificates for trying things out, and for small installations: keys on P-256, signed with SHA-256.
public struct CertificateMaker {
    public enum Purpose: Sendable {
        /// Signs others.
        case authority
        case server
        case client
        /// Of a cluster: a server to some, a client of others.
        case member
    }

    /// Texts in PEM.
    public struct Made: Sendable {
        public let certificate: String
        public let key: String
    }

    private let authority: (certificate: Owned, key: Owned)?
    /// Seconds for which a certificate is good.
    private let seconds: Int

    /// - Parameters:
    ///   - certificate: the authority's file; nil: what is made signs itself.
    ///   - key: its key's.
    /// - Throws: `tls.invalid`.
    public init(certificate: String? = nil, key: String? = nil, days: Int) throws(ShuntError) {
        seconds = days * 86_400
        guard let certificate, let key else {
            authority = nil
            return
        }
        let chain = try PEMFile(certificate, setting: certificate).certificates()
        let keyFile = try PEMFile(key, setting: key)
        guard let signing = try keyFile.privateKey() else { throw keyFile.wrong("has no private key") }
        guard X509_check_private_key(chain[0].pointer, signing.pointer) == 1 else {
            throw ShuntError(.tlsInvalid, "the key in \(key) does not fit the certificate in \(certificate)")
        }
        authority = (chain[0], signing)
    }

    /// - Parameters:
    ///   - name: the common name; a server's is also its DNS name or IP address.
    ///   - alternatives: more DNS names and IP addresses of a server.
    /// - Throws: `internal` where OpenSSL fails, `usage` where the name is too long.
    public func make(_ purpose: Purpose, name: String, alternatives: [String] = []) throws(ShuntError) -> Made {
        guard (1...64).contains(name.utf8.count), ([name] + alternatives).allSatisfy(Self.isName) else {
            throw ShuntError(
                .usage, "'\(name)' cannot be the name of a certificate", help: "1 to 64 characters, without commas, colons and spaces round it")
        }
        guard let new = X509_new(), let fresh = openssl_ec_key("P-256") else { throw failed }
        let (certificate, key) = (Owned(new) { X509_free($0) }, Owned(fresh) { EVP_PKEY_free($0) })
        // OpenSSL uses them after the last word about them here.
        defer { withExtendedLifetime((certificate, key)) {} }
        try fill(certificate, key, name)
        let extensions: [(Int32, String)] =
            switch purpose {
            case .authority: [(NID_basic_constraints, "critical,CA:TRUE"), (NID_key_usage, "critical,keyCertSign,cRLSign")]
            case .server:
                [
                    (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, "serverAuth"),
                    (NID_subject_alt_name, ([name] + alternatives).map(Self.alternative).joined(separator: ",")),
                ]
            case .member:
                [
                    (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
                    (NID_ext_key_usage, "serverAuth,clientAuth"),
                    (NID_subject_alt_name, ([name] + alternatives).map(Self.alternative).joined(separator: ",")),
                ]
            case .client:
                [(NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, "clientAuth")]
            }
        for (kind, value) in extensions + [(NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid")] {
            // A certificate that signs itself has no other key to name.
            if kind == NID_authority_key_identifier, authority == nil { continue }
            try add(kind, value, to: certificate)
        }
        guard X509_sign(certificate.pointer, (authority?.key ?? key).pointer, EVP_sha256()) > 0 else { throw failed }
        return Made(
            certificate: try text { PEM_write_bio_X509($0, certificate.pointer) },
            key: try text { PEM_write_bio_PrivateKey($0, key.pointer, nil, nil, 0, nil, nil) })
    }

    private func fill(_ certificate: Owned, _ key: Owned, _ name: String) throws(ShuntError) {
        // Version 3; 127 random bits, as browsers want.
        var serial = [UInt8](repeating: 0, count: 16)
        let subject = X509_get_subject_name(certificate.pointer)
        guard RAND_bytes(&serial, 16) == 1, X509_set_version(certificate.pointer, 2) == 1 else { throw failed }
        serial[0] = serial[0] & 0x7F | 0x40
        guard let number = BN_bin2bn(serial, 16, nil) else { throw failed }
        defer { BN_free(number) }
        // An hour ago: clocks differ.
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.pointer)) != nil,
            X509_gmtime_adj(X509_getm_notBefore(certificate.pointer), -3600) != nil,
            X509_gmtime_adj(X509_getm_notAfter(certificate.pointer), seconds) != nil,
            X509_NAME_add_entry_by_NID(subject, NID_commonName, Int32(MBSTRING_FLAG), Array(name.utf8), Int32(name.utf8.count), -1, 0) == 1,
            X509_set_issuer_name(certificate.pointer, authority.map { X509_get_subject_name($0.certificate.pointer) } ?? subject) == 1,
            X509_set_pubkey(certificate.pointer, key.pointer) == 1
        else { throw failed }
    }

    private func add(_ kind: Int32, _ value: String, to certificate: Owned) throws(ShuntError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, (authority?.certificate ?? certificate).pointer, certificate.pointer, nil, nil, 0)
        guard let made = X509V3_EXT_conf_nid(nil, &context, kind, value) else { throw failed }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(certificate.pointer, made, -1) == 1 else { throw failed }
    }

    private func text(_ write: (OpaquePointer) -> Int32) throws(ShuntError) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { throw failed }
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { throw failed }
        var start: UnsafeMutablePointer<CChar>?
        let count = openssl_memory(bio, &start)
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }

    private var failed: ShuntError { ShuntError(.internalError, "OpenSSL could not make the certificate: \(lastError)") }

    /// No comma, which would begin another name.
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F && !",;\"'\\".unicodeScalars.contains($0) }
    }

    private static func alternative(_ name: String) -> String { (PeerAddress(host: name) == nil ? "DNS:" : "IP:") + name }
}
