import COpenSSL
import ShuntCore

// Unsafe: OpenSSL's objects are C structs, each owned by an `Owned`.

/// The files of a listener's TLS, read and held against each other.
struct TLSFiles {
    struct Identity {
        let file: String
        let setting: String
        /// The certificate, then those that lead to its root.
        let chain: [Owned]
        let key: Owned

        /// - Throws: `tls.invalid` where OpenSSL does not take them: keys that are too short.
        func use(in context: OpaquePointer) throws(ShuntError) {
            ERR_clear_error()
            var isTaken = SSL_CTX_use_certificate(context, chain[0].pointer) == 1 && SSL_CTX_use_PrivateKey(context, key.pointer) == 1
            for certificate in chain.dropFirst() { isTaken = isTaken && openssl_add_chain_certificate(context, certificate.pointer) == 1 }
            guard isTaken else { throw ShuntError(.tlsInvalid, "\(file) cannot be used: \(lastError)", at: setting) }
        }
    }

    private(set) var identities: [Identity] = []
    private var authorities: [Owned] = []
    private(set) var revocations: RevocationLists?
    /// When the first of the lists expires, in seconds since 1970.
    private(set) var revocationsExpiry: (file: String, at: Double)?
    private(set) var warnings: [ShuntError] = []
    /// SHA-256 of all files.
    private(set) var digest: [UInt8] = []
    /// SHA-256 of what clients are verified by.
    private(set) var sessionContext: [UInt8] = []

    /// - Throws: `tls.invalid`.
    init(_ settings: TLSSettings) throws(ShuntError) {
        var all: [UInt8] = []
        for identity in settings.identities { all += try read(identity) }
        var judges = Array((settings.name + settings.verify.rawValue).utf8)
        guard settings.verify == .none || !settings.clientAuthorities.isEmpty else {
            throw ShuntError(
                .tlsInvalid, "\(settings.name) verifies clients and has no client_ca", at: "\(settings.name).verify",
                help: "a file with the certificates of the authorities that sign clients' certificates")
        }
        if !settings.clientAuthorities.isEmpty {
            let file = try PEMFile(settings.clientAuthorities, setting: settings.authoritiesSetting)
            authorities = try file.certificates()
            for authority in authorities { checkDates(of: authority, file) }
            judges += file.bytes
        }
        if !settings.revocations.isEmpty { judges += try readRevocations(settings) }
        sessionContext = Self.digest(judges)
        digest = Self.digest(all + judges)
    }

    private mutating func read(_ identity: TLSSettings.Identity) throws(ShuntError) -> [UInt8] {
        let file = try PEMFile(identity.certificate, setting: identity.setting)
        let chain = try file.certificates()
        let keyFile = try keyFile(of: identity, file)
        guard let key = try keyFile.privateKey() else {
            throw keyFile.wrong("has no private key", help: "PEM, with the line BEGIN PRIVATE KEY; tls.key names its file")
        }
        guard X509_check_private_key(chain[0].pointer, key.pointer) == 1 else {
            throw ShuntError(
                .tlsInvalid, "the key in \(keyFile.path) does not fit the certificate in \(file.path)", at: keyFile.setting,
                help: "the certificate must be the file's first, and made for this key")
        }
        if keyFile.isShared {
            warnings.append(keyFile.wrong("has a private key, and every user of this machine may read or write it", help: "chmod o= it"))
        }
        checkDates(of: chain[0], file)
        identities.append(Identity(file: file.path, setting: file.setting, chain: chain, key: key))
        return file.bytes + keyFile.bytes
    }

    private func keyFile(of identity: TLSSettings.Identity, _ certificate: PEMFile) throws(ShuntError) -> PEMFile {
        if !identity.key.isEmpty { return try PEMFile(identity.key, setting: identity.keySetting) }
        if try certificate.privateKey() != nil { return certificate }
        let beside = PEMFile.keyBeside(identity.certificate)
        guard PEMFile.exists(beside) else {
            throw certificate.wrong("has no private key, and there is no file \(beside)", help: "tls.key names the key's file")
        }
        return try PEMFile(beside, setting: identity.keySetting)
    }

    private mutating func checkDates(of certificate: Owned, _ file: PEMFile) {
        let subject = CertificateDetails.text(X509_get_subject_name(certificate.pointer))
        if X509_cmp_current_time(X509_get0_notAfter(certificate.pointer)) < 0 {
            warnings.append(file.wrong("has a certificate that has expired: \(subject)"))
        } else if X509_cmp_current_time(X509_get0_notBefore(certificate.pointer)) > 0 {
            warnings.append(file.wrong("has a certificate that is not valid yet: \(subject)", help: "is the machine's clock right?"))
        }
    }

    // MARK: Clients' certificates

    private mutating func readRevocations(_ settings: TLSSettings) throws(ShuntError) -> [UInt8] {
        let file = try PEMFile(settings.revocations, setting: "\(settings.name).crl")
        guard !authorities.isEmpty else { throw file.wrong("revokes certificates, and there is no tls.client_ca that signed them") }
        let lists = try file.revocationLists()
        var covered: Set<String> = []
        for list in lists {
            let issuer = CertificateDetails.text(X509_CRL_get_issuer(list.pointer))
            let signer = authorities.first {
                X509_NAME_cmp(X509_get_subject_name($0.pointer), X509_CRL_get_issuer(list.pointer)) == 0
                    && X509_CRL_verify(list.pointer, X509_get0_pubkey($0.pointer)) == 1
            }
            guard signer != nil else {
                throw file.wrong("has a revocation list of another authority: \(issuer)", help: "all lists must be signed by one of tls.client_ca")
            }
            covered.insert(issuer)
            guard let next = X509_CRL_get0_nextUpdate(list.pointer) else { continue }
            revocationsExpiry = (file.path, min(revocationsExpiry?.at ?? .infinity, CertificateDetails.seconds(next)))
            if X509_cmp_current_time(next) < 0 {
                warnings.append(
                    file.wrong("has a revocation list that has expired: \(issuer)", help: "its clients are refused until there is a newer one"))
            }
        }
        for authority in authorities {
            let name = CertificateDetails.text(X509_get_subject_name(authority.pointer))
            guard !covered.contains(name) else { continue }
            warnings.append(file.wrong("has no revocation list of \(name)", help: "its clients are refused until there is one"))
        }
        revocations = RevocationLists(lists)
        return file.bytes
    }

    /// Has OpenSSL verify clients as the settings say.
    func verify(in context: OpaquePointer, _ settings: TLSSettings) throws(ShuntError) {
        switch settings.verify {
        case .none: return SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        case .optional: SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        case .required: SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        }
        let store = SSL_CTX_get_cert_store(context)
        let names = openssl_new_names()
        var isTaken = true
        for authority in authorities {
            isTaken = isTaken && X509_STORE_add_cert(store, authority.pointer) == 1
            isTaken = isTaken && openssl_push_name(names, X509_NAME_dup(X509_get_subject_name(authority.pointer))) > 0
        }
        // Takes the list over.
        SSL_CTX_set_client_CA_list(context, names)
        if let revocations {
            for list in revocations.lists { isTaken = isTaken && X509_STORE_add_crl(store, list.pointer) == 1 }
            // Of the whole chain: an authority may be revoked too.
            isTaken = isTaken && X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)) == 1
        }
        guard isTaken else {
            throw ShuntError(.tlsInvalid, "\(settings.clientAuthorities) cannot be used: \(lastError)", at: settings.authoritiesSetting)
        }
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
        return digest
    }
}

/// Lists of revoked certificates (RFC 5280 §5), by their issuers.
struct RevocationLists: Sendable {
    let lists: [Owned]
    private let issuers: [String]

    init(_ lists: [Owned]) {
        self.lists = lists
        issuers = lists.map { CertificateDetails.text(X509_CRL_get_issuer($0.pointer)) }
    }

    func have(_ certificate: ClientCertificate) -> Bool {
        var number: OpaquePointer?
        guard BN_hex2bn(&number, certificate.serial) > 0, let number else { return false }
        defer { BN_free(number) }
        guard let serial = BN_to_ASN1_INTEGER(number, nil) else { return false }
        defer { ASN1_INTEGER_free(serial) }
        return zip(lists, issuers).contains { list, issuer in
            var entry: OpaquePointer?
            // 2: it was put on hold, and is good again.
            return issuer == certificate.issuer && X509_CRL_get0_by_serial(list.pointer, &entry, serial) == 1
        }
    }
}
