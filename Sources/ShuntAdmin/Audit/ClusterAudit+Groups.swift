import ShuntCore
import ShuntRegistry

/// Consumer groups whose members are not served alike, or that most messages do not reach.
extension ClusterAudit {
    var ofGroups: [Finding] { slowMembers + unevenMembers + onOneWorker }

    /// An audit names a member that was given more than `ratio` times the mean of the others, and `spare` messages on top of that.
    private static let (spare, ratio) = (1_000, 4)

    private var all: [(worker: String, group: GroupsRecord.Group)] {
        groups.workers.flatMap { one in (one.answer?.groups ?? []).map { (one.worker, $0) } }
    }

    private var slowMembers: [Finding] {
        all.compactMap { worker, group in
            guard let stuck = group.stuck, stuck > 0 else { return nil }
            let rest = stuck < group.subscriptions ? "the others get their messages" : "nobody gets its messages in time"
            return problem(
                "group \(group.group)",
                "\(stuck) of its \(group.subscriptions) subscriptions at \(name(worker)) belong to clients that read too slowly: \(rest)",
                "see these clients, or add members; worker.groups.slow says what becomes of their messages")
        }
    }

    private var unevenMembers: [Finding] {
        all.compactMap { worker, group in
            // All to one is what it is for.
            guard let share = group.uneven, group.strategy != GroupStrategy.sticky.rawValue else { return nil }
            guard Double(share.most) > Double(share.others) * Double(Self.ratio) + Double(Self.spare) else { return nil }
            return warning(
                "group \(group.group)",
                "one of its \(share.members) members at \(name(worker)) was given \(share.most) messages of \(share.filter), "
                    + "the others \(share.others) on average",
                group.strategy == GroupStrategy.keyHash.rawValue
                    ? "most messages have few keys: give them more, or the group another strategy (worker.groups.overrides)"
                    : "see whether the others keep up: a member that reads slowly is passed over")
        }
    }

    /// A worker's messages stay with it. Where an answer is missing, or has not all groups, nobody knows.
    private var onOneWorker: [Finding] {
        let answers = groups.workers.compactMap { one in one.answer.map { (worker: one.worker, groups: $0) } }
        guard groups.missing.isEmpty, answers.count > 1, answers.count == groups.workers.count,
            answers.allSatisfy({ $0.groups.groups.count == $0.groups.total })
        else { return [] }
        let places = Dictionary(grouping: all) { $0.group.group }
        return places.sorted { $0.key < $1.key }.compactMap { group, found in
            guard found.count == 1, let only = found.first, only.group.subscriptions > 1 else { return nil }
            return warning(
                "group \(group)",
                "all of its \(only.group.subscriptions) subscriptions are at \(name(only.worker)): messages of other workers do not reach it",
                "connect members to every worker that has producers")
        }
    }
}
