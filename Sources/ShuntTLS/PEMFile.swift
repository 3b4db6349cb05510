import COpenSSL
import Glibc
import ShuntCore

// Unsafe: OpenSSL's objects are C structs. An `Owned` owns each and frees it.

/// An object of OpenSSL's that is freed with this. The owner of this must outlive every call that is given the pointer.
///
/// `@unchecked Sendable`: certificates, keys and lists are not changed after they were read, and OpenSSL counts references to them atomically.
final class Owned: @unchecked Sendable {
    let pointer: OpaquePointer
    private let free: @Sendable (OpaquePointer) -> Void

    init(_ pointer: OpaquePointer, _ free: @escaping @Sendable (OpaquePointer) -> Void) {
        self.pointer = pointer
        self.free = free
    }

    deinit { free(pointer) }
}

/// A file in PEM (RFC 7468) that a setting names.
struct PEMFile {
    let path: String
    /// The setting.
    let setting: String
    let bytes: [UInt8]
    /// Whether every user of the machine may read it, or write it.
    let isShared: Bool
    /// Bytes of a file: lists of revoked certificates are long.
    private static let limit = 256 << 20

    /// - Throws: `tls.invalid` where it cannot be read.
    init(_ path: String, setting: String) throws(ShuntError) {
        self.path = path
        self.setting = setting
        guard let file = fopen(path, "re") else {
            let why = errno == ENOENT ? "there is no file \(path)" : "\(path) cannot be read: \(Self.message(errno))"
            throw ShuntError(.tlsInvalid, why, at: setting, help: "a file in PEM; a path is relative to the working directory")
        }
        defer { fclose(file) }
        var about = stat()
        isShared = fstat(fileno(file), &about) == 0 && about.st_mode & 0o007 != 0
        var bytes: [UInt8] = []
        while bytes.count <= Self.limit {
            let chunk = [UInt8](unsafeUninitializedCapacity: 64 << 10) { $1 = fread($0.baseAddress, 1, 64 << 10, file) }
            guard !chunk.isEmpty else { break }
            bytes += chunk
        }
        guard ferror(file) == 0, bytes.count <= Self.limit else {
            let why = ferror(file) == 0 ? "it has more than \(Self.limit) bytes" : Self.message(errno)
            throw ShuntError(.tlsInvalid, "\(path) cannot be read: \(why)", at: setting)
        }
        self.bytes = bytes
    }

    private static func message(_ error: Int32) -> String { String(cString: strerror(error)) }

    /// `server.key` for `server.pem`.
    static func keyBeside(_ path: String) -> String {
        let slash = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
        guard let dot = path[slash...].lastIndex(of: "."), dot > slash else { return path + ".key" }
        return path[..<dot] + ".key"
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// - Throws: `tls.invalid` where there is none, or one is damaged.
    func certificates() throws(ShuntError) -> [Owned] {
        let all = try objects("certificate") {
            PEM_read_bio_X509($0, nil, nil, nil)
        } free: {
            X509_free($0)
        }
        guard !all.isEmpty else {
            let isKey = (try? privateKey()) != nil
            throw wrong(
                isKey ? "has a private key and no certificate" : "has no certificate",
                help: isKey ? "were certificate and key exchanged?" : "PEM, with the lines BEGIN CERTIFICATE and END CERTIFICATE")
        }
        return all
    }

    /// - Throws: `tls.invalid` where there is none, or one is damaged.
    func revocationLists() throws(ShuntError) -> [Owned] {
        let all = try objects("revocation list") {
            PEM_read_bio_X509_CRL($0, nil, nil, nil)
        } free: {
            X509_CRL_free($0)
        }
        guard !all.isEmpty else { throw wrong("has no revocation list", help: "PEM, with the lines BEGIN X509 CRL and END X509 CRL") }
        return all
    }

    /// The first private key; nil where there is none.
    /// - Throws: `tls.invalid` where it is damaged, or wants a passphrase.
    func privateKey() throws(ShuntError) -> Owned? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.contains("PRIVATE KEY-----") else { return nil }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            throw wrong("has a key that wants a passphrase", help: "openssl pkey -in \(path) -out … writes it without")
        }
        let key = try withBIO { bio in PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil) }
        guard let key else { throw wrong("has a damaged private key: \(lastError)") }
        return Owned(key) { EVP_PKEY_free($0) }
    }

    private func objects(
        _ what: String, _ read: (OpaquePointer) -> OpaquePointer?, free: @escaping @Sendable (OpaquePointer) -> Void
    ) throws(ShuntError) -> [Owned] {
        var objects: [Owned] = []
        let isWhole = try withBIO { bio in
            while let object = read(bio) { objects.append(Owned(object, free)) }
            return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
        }
        guard isWhole else { throw wrong("has a damaged \(what): \(lastError)") }
        return objects
    }

    private func withBIO<Result>(_ body: (OpaquePointer) -> Result) throws(ShuntError) -> Result {
        ERR_clear_error()
        let result: Result? = bytes.withUnsafeBytes { bytes in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
            defer { BIO_free(bio) }
            return body(bio)
        }
        guard let result else { throw ShuntError(.memoryLimit, "no memory for \(path)", at: setting) }
        return result
    }

    func wrong(_ what: String, help: String? = nil) -> ShuntError { ShuntError(.tlsInvalid, "\(path) \(what)", at: setting, help: help) }
}

/// OpenSSL's last error of this thread, as a text.
var lastError: String { ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) } ?? "for no reason that OpenSSL names" }
