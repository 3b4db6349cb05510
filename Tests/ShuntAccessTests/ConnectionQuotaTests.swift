import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("How many connections a listener takes")
struct ConnectionQuotaTests {
    private func address(_ text: String, port: UInt16 = 0) -> PeerAddress {
        var address = PeerAddress(host: text) ?? PeerAddress()
        address.port = port
        return address
    }

    /// A quota that expectations may change.
    private final class Quota {
        private var quota: ConnectionQuota

        init(perAddress: Int, perSecond: Int, now: Double) { quota = ConnectionQuota(perAddress: perAddress, perSecond: perSecond, now: now) }

        var count: Int { quota.count }
        func enters(_ address: PeerAddress, now: Double) -> ConnectionQuota.Limit? { quota.enters(address, now: now) }
        func leaves(_ address: PeerAddress) { quota.leaves(address) }
    }

    @Test("an address has so many at once, whatever its ports; a network of IPv6 is one address")
    func perAddress() {
        let quota = Quota(perAddress: 2, perSecond: 0, now: 0)
        #expect(quota.enters(address("10.0.0.1", port: 1), now: 0) == nil)
        #expect(quota.enters(address("10.0.0.1", port: 2), now: 0) == nil)
        #expect(quota.enters(address("10.0.0.1", port: 3), now: 9) == .perAddress)
        #expect(quota.enters(address("10.0.0.2"), now: 9) == nil)
        quota.leaves(address("10.0.0.1", port: 9))
        #expect(quota.enters(address("10.0.0.1"), now: 9) == nil)
        #expect(quota.enters(address("2001:db8::1"), now: 9) == nil)
        #expect(quota.enters(address("2001:db8::2"), now: 9) == nil)
        #expect(quota.enters(address("2001:db8::3"), now: 9) == .perAddress)
        #expect(quota.enters(address("2001:db8:0:1::3"), now: 9) == nil)
        #expect(quota.enters(address("::1"), now: 9) == nil)
    }

    @Test("who has left takes no memory")
    func forgets() {
        let quota = Quota(perAddress: 1, perSecond: 0, now: 0)
        for number in 0..<100 {
            let address = PeerAddress(ipv4: UInt32(number), port: 1)
            #expect(quota.enters(address, now: 0) == nil)
            quota.leaves(address)
            quota.leaves(address)
        }
        #expect(quota.count == 0)
    }

    @Test("so many come in a second; those that are refused make nobody wait longer")
    func perSecond() {
        let quota = Quota(perAddress: 1, perSecond: 3, now: 10)
        let refused = (0..<10).map { quota.enters(PeerAddress(ipv4: $0, port: 1), now: 10) }
        #expect(refused == [nil, nil, nil] + Array(repeating: .perSecond, count: 7))
        #expect(quota.enters(PeerAddress(ipv4: 1, port: 1), now: 10.4) == .perAddress)
        #expect(quota.enters(PeerAddress(ipv4: 20, port: 1), now: 10.4) == nil)
        #expect(quota.enters(PeerAddress(ipv4: 21, port: 1), now: 10.4) == .perSecond)
        #expect((22..<30).count { quota.enters(PeerAddress(ipv4: $0, port: 1), now: 99) == nil } == 3)
    }
}
