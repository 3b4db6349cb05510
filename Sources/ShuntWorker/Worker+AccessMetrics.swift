import ShuntCore

extension MetricsText {
    /// Keys that are fetched, and services that are asked about clients. Nothing where there are none.
    mutating func remoteAccess(_ remote: RemoteAccess) {
        keys(Dictionary(remote.allKeys.map { ($0.settings.address.description, $0.figures()) }) { first, _ in first }.sorted { $0.key < $1.key })
        let services = Dictionary(remote.allServices.map { ($0.settings.address.description, $0.results()) }) { $0.merging($1, uniquingKeysWith: +) }
        guard !services.isEmpty else { return }
        family("shunt_access_http_total", "counter", "Questions about clients, by what the service of access.http said.")
        for (address, results) in services.sorted(by: { $0.key < $1.key }) {
            for result in AccessService.Result.allCases {
                sample("shunt_access_http_total", ["address": address, "result": result.rawValue], results[result] ?? 0)
            }
        }
    }

    private mutating func keys(_ all: [(key: String, value: RemoteKeys.Figures)]) {
        guard !all.isEmpty else { return }
        family("shunt_access_keys_age_seconds", "gauge", "Seconds since keys for tokens were fetched; nothing before the first time.")
        for (address, figures) in all {
            if let age = figures.age { sample("shunt_access_keys_age_seconds", ["address": address], Int(age)) }
        }
        family("shunt_access_keys_usable", "gauge", "Whether keys that were fetched count: else tokens are refused.")
        for (address, figures) in all { sample("shunt_access_keys_usable", ["address": address], figures.countNow ? 1 : 0) }
        family("shunt_access_keys_fetches_total", "counter", "Fetches of keys for tokens.")
        for (address, figures) in all {
            sample("shunt_access_keys_fetches_total", ["address": address, "result": "ok"], figures.worked)
            sample("shunt_access_keys_fetches_total", ["address": address, "result": "failed"], figures.failed)
        }
    }
}
