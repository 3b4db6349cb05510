import Foundation
import ShuntCore
import ShuntRehearsal
import ShuntRules

/// Rules in a folder of their own, and a rehearsal of them.
final class Rig {
    let folder = NSTemporaryDirectory() + "shunt-rehearsal-" + UUID().uuidString
    let rehearsal: Rehearsal

    /// - Parameters:
    ///   - rules: the text of each rule.lua by the plugin's name.
    ///   - trials: the modes of rules whose other version is the plugin `.next`.
    ///   - subscribers: the lines of a file of subscribers.
    init(
        _ rules: [String: String], settings: [String: SettingValue] = [:], subscribers: String? = nil, limits: RuleLimits = RuleLimits(),
        routing: RoutingLimits = RoutingLimits(), trials: [String: RuleMode] = [:]
    ) throws {
        for (name, text) in rules {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
            try text.write(toFile: "\(folder)/\(name)/rule.lua", atomically: true, encoding: .utf8)
        }
        let next = folder + "/.next"
        let beside = trials.mapValues { RuleTrial(mode: $0, directory: next) }
        let set = try RuleSet.load(directory: folder, settings: settings, limits: limits, trials: beside)
        let listed = try subscribers.map { try RehearsedSubscriber.list(Array($0.utf8), at: "subscribers") }
        rehearsal = try Rehearsal(set, limits: limits, routing: routing, subscribers: listed, now: 1_700_000_000)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func run(_ json: String) throws -> RehearsalResult { try rehearsal.run(Self.message(json)) }

    static func message(_ json: String) throws -> RehearsedMessage {
        try MessageDescription.message(JSONTree(parsing: Array(json.utf8), at: "message"), at: "message")
    }
}
