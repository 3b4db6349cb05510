import ShuntCore

extension MetricsText {
    /// What rules have looked up. Nothing where none may.
    mutating func lookups(_ all: [String: LookupService.Figures]) {
        guard !all.isEmpty else { return }
        family("shunt_rule_lookups_total", "counter", "What rules have asked for, by what came of it; the rest is under way.")
        for (rule, figures) in all.sorted(by: { $0.key < $1.key }) {
            let results = [
                ("answered", figures.answered), ("cached", figures.cached), ("failed", figures.failed), ("refused", figures.refused),
            ]
            for (result, count) in results { sample("shunt_rule_lookups_total", ["rule": rule, "result": result], count) }
        }
    }
}
