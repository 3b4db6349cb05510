import ShuntCore
import ShuntHTTP

/// Which part of the history is asked for. Times are whole seconds since 1970, so that the master and the file are asked the same.
struct HistoryRequest: Equatable, Sendable {
    var since: Int
    var until: Int
    var step: HistoryStep?
    /// nil: all.
    var figures: [String]?

    func encoded(worker: String?) -> (method: String, target: String, body: [UInt8]) {
        let path = worker.map { "/api/v1/workers/" + QueryString.encode($0) + "/history" } ?? "/api/v1/history"
        let step = step.map { "&step=\($0.seconds)" } ?? ""
        let figures = figures.map { "&figures=" + QueryString.encode($0.joined(separator: ",")) } ?? ""
        return ("GET", path + "?since=\(since)&until=\(until)" + step + figures, [])
    }
}
