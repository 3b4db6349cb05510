extension Configuration {
    /// How rules change while a worker runs.
    static let ruleChangeKeys: [ConfigKey<Configuration>] = [
        ConfigKey(
            "rules.disabled", \.rules.disabled, .list(of: .identifier, maximum: 64), .live,
            "Plugins that do not run although rules.enabled is all. A plugin that ran is missed if its folder goes and it is not listed here."),
        ConfigKey(
            "rules.watch", \.rules.watch, .bool, .live,
            "Whether plugins are loaded anew when their files change. Otherwise by SIGHUP and shunt admin rules reload."),
        ConfigKey(
            "rules.tests", \.rules.tests, .bool, .live,
            "Whether the rule_test.lua of each changed plugin is run before the new version takes over; if a test fails, the old one goes on."),
        ConfigKey(
            "rules.guard.window", \.rules.guard.window, .duration(.zero...(.seconds(3600))), .live,
            "A new version of the rules that is worse than the one before within this time is rolled back; 0s: none is."),
        ConfigKey(
            "rules.guard.calls", \.rules.guard.calls, .int(1...1_000_000_000), .live,
            "Calls of a rule before the guard says anything of it."),
        ConfigKey(
            "rules.guard.errors", \.rules.guard.errors, .int(0...100), .live,
            "How many more of 100 calls of a rule may fail than of the version before."),
        ConfigKey(
            "rules.guard.slower", \.rules.guard.slower, .int(1...1000), .live,
            "How many times as long as in the version before a hook's p99 may be."),
        ConfigKey(
            "rules.trials", \.rules.trials, .entries("plugins by name", keys: trialKeys, count: 0...64) { Rules.Trial() }, .live,
            "Plugins on trial: what they decide is measured and not applied, or applied for some clients only. With a directory another version "
                + "runs beside the plugin, as in {redact: {directory: plugins-next/redact}}, and the two are compared."),
    ]

    private static let trialKeys: [ConfigKey<Rules.Trial>] = [
        ConfigKey("mode", \.mode, .word, .live, "shadow: for no client; canary: for those below; live: for all, whatever the rule's table says."),
        ConfigKey(
            "directory", \.directory, .path(emptyMeans: "the plugin itself is on trial"), .live,
            "The folder of another version of the plugin. It takes the settings of NAME@next in rules.settings, or the plugin's."),
        ConfigKey("share", \.share, .int(0...100), .live, "canary: for how many of 100 clients. Which ones depends on their uids alone."),
        ConfigKey("uids", \.uids, .list(of: .name(maximum: 255), maximum: 1000), .live, "canary: for these clients besides."),
        ConfigKey("addresses", \.addresses, .list(of: .addressRange, maximum: 1000), .live, "canary: for clients of these addresses besides."),
    ]
}
