import MQTTCodec
import ShuntCore

/// Retained messages for operators: a list of what is at home on this loop, and an end of it.
extension TopicRouter {
    /// Retained messages that are cleared between two looks at other work.
    static let clearedAtOnce = 1_000

    func retainedPage(_ query: RetainedQuery) -> RetainedPage {
        let found = matching(query.filter)
        let (first, hasMore) =
            if var after = query.after {
                after.withUTF8 { retained.first(max(1, query.limit), of: found, after: Bytes($0), includesTopic: query.includesAfter) }
            } else {
                retained.first(max(1, query.limit), of: found, after: nil, includesTopic: false)
            }
        var page = RetainedPage(limit: query.limit, bytes: query.bytes)
        page.add(first.compactMap { retained.message($0, now: now) }.map(Self.record), total: found.count, hasMore: hasMore)
        return page
    }

    func matching(_ filter: String) -> [RetainedMessages.Reference] {
        var filter = filter
        return filter.withUTF8 { retained.matching(Bytes($0), now: now) }
    }

    private static func record(_ message: RetainedMessages.Retained) -> RetainedRecord {
        let bytes = message.packet.withUnsafeBytes { WireEncoder.publish(in: $0, .mqtt5)?.payload.count ?? 0 }
        return RetainedRecord(
            topic: String(decoding: message.topic, as: UTF8.self), bytes: bytes, qos: Int(message.qos.rawValue), storedAt: message.storedAt,
            expiresAt: message.endsAt.isFinite ? message.endsAt : nil)
    }
}

/// Retained messages of one loop that are being cleared, some at a time, so that a filter that takes all holds nobody up.
public struct RetainedClearing: Sendable {
    fileprivate var rest: ArraySlice<RetainedMessages.Reference>
    /// How many are gone.
    public fileprivate(set) var cleared = 0

    public var isOver: Bool { rest.isEmpty }
}

extension LoopEngine {
    /// Lists retained messages that are at home on this loop.
    public func retainedPage(_ query: RetainedQuery, now: Double) -> RetainedPage {
        router.now = now
        return router.retainedPage(query)
    }

    /// Begins to clear the retained messages of this loop that a filter takes now. What replaces them meanwhile stays.
    public func beginClearing(_ filter: String, now: Double) -> RetainedClearing {
        router.now = now
        return RetainedClearing(rest: router.matching(filter)[...])
    }

    /// Clears some more of them.
    public func goOn(_ clearing: inout RetainedClearing) {
        for reference in clearing.rest.prefix(TopicRouter.clearedAtOnce) where router.retained.remove(reference) { clearing.cleared += 1 }
        clearing.rest = clearing.rest.dropFirst(TopicRouter.clearedAtOnce)
    }
}
