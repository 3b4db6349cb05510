import COpenSSL
import Glibc
import Synchronization

// Unsafe: OpenSSL's contexts are C structs, its own while it calls.

/// The keys of session tickets (RFC 5077 §4): a new one each hour. A key that is replaced opens tickets for two hours more.
///
/// They are kept in memory alone: a thief of a key could read the sessions of 1.2 that were resumed with it.
public final class TicketKeys: Sendable {
    private struct Key {
        let name: [UInt8]
        let cipher: [UInt8]
        let mac: [UInt8]
        /// The machine's monotonic clock, in seconds.
        let since: Int

        init?(since: Int) {
            var random = [UInt8](repeating: 0, count: 16 + 32 + 32)
            guard RAND_priv_bytes(&random, Int32(random.count)) == 1 else { return nil }
            (name, cipher, mac) = (Array(random[..<16]), Array(random[16..<48]), Array(random[48...]))
            self.since = since
        }
    }

    /// The newest first.
    private let keys = Mutex<[Key]>([])
    private let clock: @Sendable () -> Int
    static let rotation = 3600
    /// Seconds for which a ticket is good.
    static let ticketLife = 7200

    public convenience init() {
        self.init {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return time.tv_sec
        }
    }

    /// - Parameter clock: seconds that never go back.
    init(clock: @escaping @Sendable () -> Int) { self.clock = clock }

    private func current() -> Key? {
        let now = clock()
        return keys.withLock { keys in
            if let first = keys.first, now - first.since < Self.rotation { return first }
            guard let new = Key(since: now) else { return nil }
            keys = [new] + keys.filter { now - $0.since < Self.rotation + Self.ticketLife }
            return new
        }
    }

    private func named(_ name: UnsafeMutablePointer<UInt8>) -> (key: Key, isNewest: Bool)? {
        let now = clock()
        return keys.withLock { keys in
            guard let index = keys.firstIndex(where: { $0.name.elementsEqual(UnsafeBufferPointer(start: name, count: 16)) }),
                now - keys[index].since < Self.rotation + Self.ticketLife
            else { return nil }
            return (keys[index], index == 0 && now - keys[index].since < Self.rotation)
        }
    }

    /// What OpenSSL asks for, by SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
    /// - Returns: 1 where the ticket can be written or read; 2 where it is also to be written anew; 0 where its key is not known; below 0: failed.
    func prepare(
        _ name: UnsafeMutablePointer<UInt8>, _ vector: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?, _ mac: OpaquePointer?, isNew: Bool
    ) -> Int32 {
        guard isNew else {
            guard let (key, isNewest) = named(name) else { return 0 }
            guard EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1, openssl_set_mac_key(mac, key.mac, key.mac.count) == 1
            else { return -1 }
            return isNewest ? 1 : 2
        }
        guard let key = current(), RAND_bytes(vector, 16) == 1 else { return -1 }
        name.update(from: key.name, count: 16)
        guard EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1, openssl_set_mac_key(mac, key.mac, key.mac.count) == 1
        else { return -1 }
        return 1
    }
}
