import ShuntCore
import ShuntEngine

/// How long requests and answers take on a loop: each as long as its turn, which is one look at the clock for all.
/// What answers wait for on other loops or the master is not in it.
struct RequestTimes {
    private var answers = 0
    private var requests = 0
    /// Seconds that answers took, all together.
    private(set) var answerSeconds = 0.0
    private(set) var times = TimeHistogram()

    /// - Parameter duration: of the turn; asked only where there was a request.
    mutating func turnEnded(_ figures: RoutingFigures, duration: () -> Double) {
        let answered = figures.succeeded + figures.failed
        guard answered != answers || figures.requests != requests else { return }
        let seconds = duration()
        answerSeconds += Double(answered - answers) * seconds
        times.add(seconds, count: figures.requests - requests)
        (answers, requests) = (answered, figures.requests)
    }
}
