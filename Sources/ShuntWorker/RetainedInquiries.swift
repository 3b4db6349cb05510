import ExchangeCodec
import ShuntCore

/// A master's questions about retained messages that this worker's loops are answering.
struct RetainedInquiries {
    private struct Inquiry {
        /// Loops that have not answered.
        var loops: Int
        var page: RetainedPage
        var cleared: Int
    }

    /// Questions that may be under way.
    static let capacity = 64

    private var inquiries: [Int64: Inquiry] = [:]

    /// - Returns: false while there are too many.
    mutating func begin(_ id: Int64, _ query: RetainedQuery?, loops: Int) -> Bool {
        guard inquiries.count < Self.capacity, inquiries[id] == nil else { return false }
        inquiries[id] = Inquiry(loops: loops, page: RetainedPage(limit: query?.limit ?? 1, bytes: query?.bytes ?? 0), cleared: 0)
        return true
    }

    /// A loop has listed what it keeps.
    /// - Returns: the worker's answer, from the last loop's on.
    mutating func listed(_ id: Int64, _ page: RetainedPage) -> RetainedAnswerBody? {
        inquiries[id]?.page.add(page.messages, total: page.total, hasMore: page.end != nil)
        return take(id).map { .list($0.page.messages, total: $0.page.total, hasMore: $0.page.end != nil) }
    }

    /// A loop has cleared so many.
    mutating func cleared(_ id: Int64, _ count: Int) -> RetainedAnswerBody? {
        inquiries[id]?.cleared += count
        return take(id).map { .cleared($0.cleared) }
    }

    private mutating func take(_ id: Int64) -> Inquiry? {
        inquiries[id]?.loops -= 1
        return inquiries[id]?.loops == 0 ? inquiries.removeValue(forKey: id) : nil
    }

    /// Nobody waits for answers any more: the master has gone.
    mutating func end() { inquiries = [:] }
}
