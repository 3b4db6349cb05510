import COpenSSL
import Glibc
import ShuntCore

// Unsafe: OpenSSL's objects are C structs; these only look at them.

extension ClientCertificate {
    /// What OpenSSL's certificate says.
    init(_ certificate: OpaquePointer) {
        self.init(
            commonName: CertificateDetails.commonName(of: certificate), serial: CertificateDetails.serial(of: certificate),
            issuer: CertificateDetails.text(X509_get_issuer_name(certificate)), fingerprint: CertificateDetails.fingerprint(of: certificate))
        guard let names = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return }
        let list = OpaquePointer(names)
        defer { GENERAL_NAMES_free(list) }
        for index in 0..<openssl_name_count(list) {
            guard let name = openssl_name_at(list, index) else { continue }
            var type: Int32 = 0
            guard let value = GENERAL_NAME_get0_value(name, &type), [GEN_DNS, GEN_EMAIL, GEN_URI].contains(type),
                let text = CertificateDetails.utf8(value.assumingMemoryBound(to: ASN1_STRING.self)), !text.isEmpty
            else { continue }
            switch type {
            case GEN_DNS: dnsNames.append(text)
            case GEN_EMAIL: emails.append(text)
            default: uris.append(text)
            }
        }
    }
}

enum CertificateDetails {
    /// The first common name of the subject; empty where there is none that a uid could be.
    static func commonName(of certificate: OpaquePointer) -> String {
        let name = X509_get_subject_name(certificate)
        let index = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
        guard index >= 0, let entry = X509_NAME_get_entry(name, index), let data = X509_NAME_ENTRY_get_data(entry) else { return "" }
        return utf8(data) ?? ""
    }

    /// nil where it has control characters: a NUL ends a name for some readers and not for others.
    static func utf8(_ string: UnsafePointer<ASN1_STRING>) -> String? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, string)
        guard count >= 0, let bytes else { return nil }
        defer { CRYPTO_free(bytes, #file, #line) }
        let text = String(validating: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
        guard let text, text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else { return nil }
        return text
    }

    static func serial(of certificate: OpaquePointer) -> String {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return "" }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { CRYPTO_free(text, #file, #line) }
        return String(cString: text)
    }

    /// By RFC 2253.
    static func text(_ name: OpaquePointer?) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { return "" }
        defer { BIO_free(bio) }
        guard openssl_print_name(bio, name) >= 0 else { return "" }
        var start: UnsafeMutablePointer<CChar>?
        let count = openssl_memory(bio, &start)
        return String(decoding: UnsafeRawBufferPointer(start: start, count: max(0, count)), as: UTF8.self)
    }

    static func fingerprint(of certificate: OpaquePointer) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 32
        guard X509_digest(certificate, EVP_sha256(), &digest, &count) == 1 else { return "" }
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// In seconds since 1970.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Double {
        var parts = tm()
        guard ASN1_TIME_to_tm(time, &parts) == 1 else { return 0 }
        return Double(timegm(&parts))
    }
}
