import Glibc
import Testing

@testable import ShuntReactor

@Suite("Descriptors") struct DescriptorBudgetTests {
    @Test("What is not for clients is enough for all HTTP connections and the rest", arguments: [24, 64, 100, 256, 1024, 4096, 1 << 20], [1, 2])
    func reserve(limit: Int, endpoints: Int) {
        let budget = DescriptorBudget(limit: limit, endpoints: endpoints)
        #expect(budget.clients >= 1)
        #expect(budget.httpConnections >= 1)
        #expect(budget.clients >= limit / 2 || limit < 64)
        #expect(limit - budget.clients >= endpoints * 2 * budget.httpConnections + 12 || limit < 64)
        if limit >= 4096 { #expect(budget.httpConnections == 128) }
    }

    @Test("By its number a descriptor says whether it is for clients, whatever else is open")
    func numbers() {
        let budget = DescriptorBudget(limit: 100, endpoints: 1)
        #expect(budget.isForClients(Int32(budget.clients - 1)))
        #expect(!budget.isForClients(Int32(budget.clients)))
        #expect(DescriptorBudget(limit: 1 << 20, endpoints: 1).room < 1 << 20)
    }

    @Test("A socket moves to the lowest free number and stays the same socket")
    func lowers() throws {
        let (low, high) = (socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0), socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var before = stat(), after = stat()
        fstat(high, &before)
        close(low)
        let lowered = DescriptorBudget.lowered(high)
        defer { close(lowered) }
        #expect(lowered <= high)
        fstat(lowered, &after)
        #expect(before.st_ino == after.st_ino)
        #expect(fcntl(lowered, F_GETFD) & FD_CLOEXEC != 0)
    }
}
