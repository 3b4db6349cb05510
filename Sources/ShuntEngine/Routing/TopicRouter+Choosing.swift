import ShuntCore

/// Consumer groups whose choice rules have a say in.
extension TopicRouter {
    /// Selects a member of each group of a route, as a rule says, or else by the group's strategy.
    /// - Parameter names: of these groups alone; nil: of all.
    @inline(never)
    func choose(_ message: MessageView, _ route: RouteReference, groups names: Set<String>? = nil) {
        var choices: [GroupChoice] = []
        if let hooks, !index.rules(of: route).isEmpty {
            // The rules are asked between two uses of the index: they look up clients, and what these have subscribed.
            choices = index.choices(route, key: message.key, groups: names)
            for place in choices.indices {
                choices[place].chosen = hooks.onSelect(choices[place].group, choices[place].members, message, now: now)
            }
        }
        index.select(route, key: message.key, groups: names, choices, into: &recipients)
    }

    /// Another member of its group gets a message that the protocol of the chosen one has no form for.
    /// - Parameter place: where the chosen one stands among the recipients.
    @inline(never)
    func standIn(at place: Int, for message: MessageView) -> Recipient? {
        guard message.kind == .topic else { return nil }
        let route = route(of: message.topic, last: .none)
        guard !route.isNone else { return nil }
        return index.standIn(for: recipients[place], at: place, route, key: message.key, groups: chosenGroups)
    }
}
