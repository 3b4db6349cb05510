import ShuntCore
import ShuntJSON
import Synchronization

/// The admin APIs of a cluster's masters: of several the one that serves answers.
///
/// A request goes to each master once at most. It goes on to another one if a master stands by, which it says before it does anything, or cannot
/// be reached.
final class MastersSource: AdminSource {
    private let masters: [APISource]
    /// Makes the source for a master that another one has named.
    private let other: @Sendable (HostPort) throws(ShuntError) -> APISource
    /// Writes a line for people.
    private let say: @Sendable (String) -> Void
    private let current: Mutex<APISource>
    /// The operator has named several, and the one that serves has been looked for.
    private let hasLooked = Mutex(false)

    /// - Parameter masters: at least one.
    init(
        _ masters: [APISource], other: @escaping @Sendable (HostPort) throws(ShuntError) -> APISource, say: @escaping @Sendable (String) -> Void
    ) {
        (self.masters, self.other, self.say) = (masters, other, say)
        current = Mutex(masters[0])
    }

    var name: String { now.name }

    private var now: APISource { current.withLock { $0 } }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8] {
        let first = await first(for: request)
        do throws(ShuntError) {
            return try await first.answer(request)
        } catch {
            guard error.code == .masterStandby || masters.count > 1 && first.mayAskAnother(request, after: error) else { throw error }
            // A role is of the master that is asked.
            if case .changeRole = request { throw error }
            for next in await others(than: first, after: error) {
                do throws(ShuntError) {
                    let answer = try await next.answer(request)
                    goOn(at: next, from: first, error)
                    return answer
                } catch let other {
                    if other.code == .masterStandby || next.mayAskAnother(request, after: other) { continue }
                    goOn(at: next, from: first, error)
                    throw other
                }
            }
            throw error
        }
    }

    /// The master that is asked first: of several the one that serves, since a standby answers what it can, too, and says that it knew no better.
    private func first(for request: AdminRequest) async -> APISource {
        // Another master than the one that serves is to serve.
        if case .changeRole("serve") = request { return now }
        let looks = hasLooked.withLock { looked in
            defer { looked = true }
            return !looked
        }
        guard looks, let serving = try? await serving() else { return now }
        return serving
    }

    /// The master whose events are followed: of several the one that serves.
    func serving() async throws(ShuntError) -> APISource {
        guard masters.count > 1 else { return now }
        let first = now
        var failure: ShuntError?
        for master in [first] + masters.filter({ $0.address != first.address }) {
            do throws(ShuntError) {
                if try await master.role()?.role ?? "serving" == "serving" {
                    if master.address != first.address { goOn(at: master, from: first, failure) }
                    return master
                }
                failure = failure ?? ShuntError(.masterStandby, "none of the masters serves", at: master.name)
            } catch {
                failure = failure ?? error
            }
        }
        throw failure ?? ShuntError(.masterStandby, "none of the masters serves")
    }

    /// Whether several masters are known.
    var areSeveral: Bool { masters.count > 1 }

    /// Who may answer instead: of those that were named by the operator all, the one first that the standby has named; else that one.
    private func others(than first: APISource, after error: ShuntError) async -> [APISource] {
        let serving = error.code == .masterStandby ? (try? await first.role())?.serving.flatMap { HostPort($0) } : nil
        let named = masters.filter { $0.address != first.address }
        guard named.isEmpty else { return named.filter { $0.address.host == serving?.host } + named.filter { $0.address.host != serving?.host } }
        // Its admin API is taken to have the same port; on the same machine that is this master's own.
        guard let serving, serving.host != first.address.host else { return [] }
        return (try? other(HostPort(serving.host, first.address.port))).map { [$0] } ?? []
    }

    private func goOn(at next: APISource, from first: APISource, _ error: ShuntError?) {
        current.withLock { $0 = next }
        let why = error?.code == .masterUnavailable ? "cannot be asked" : "stands by"
        say("\(first.name) \(why): \(next.name) is asked instead")
    }
}

extension APISource {
    /// Whether another master may be asked the same: what only reads, or has not reached this one.
    fileprivate func mayAskAnother(_ request: AdminRequest, after error: ShuntError) -> Bool {
        error.code == .masterUnavailable && (isReading(request) || error.message == HTTPClient.unreached)
    }

    /// nil: it serves alone.
    func role() async throws(ShuntError) -> MasterRoleRecord? {
        struct Status: Decodable { var master: MasterRoleRecord? }
        do {
            return try RecordJSON.decode(Status.self, from: try await answer(.status)).master
        } catch let error as ShuntError {
            throw error
        } catch {
            throw ShuntError(.masterUnavailable, "the answer is not what a master gives", at: name)
        }
    }
}
