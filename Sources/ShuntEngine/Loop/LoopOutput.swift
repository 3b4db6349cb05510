import ShuntCore

/// What a loop has decided: its driver carries it out after each event, and clears it.
public final class LoopOutput {
    public let loop: UInt8
    /// The loops of the worker.
    public let loops: Int
    /// To be carried out in order.
    public internal(set) var actions: ContiguousArray<LoopAction> = []
    /// To be told to other loops of the worker.
    public internal(set) var letters: [AddressedLetter] = []
    /// To be told to the master.
    public internal(set) var news: [MasterNews] = []
    /// The bytes that actions with `.made` stretches mean.
    public let made = MadeBytes()
    public internal(set) var figures = RoutingFigures()

    /// The most actions that are kept between events.
    private static let keptActions = LoopEngine.batchSize * 16

    init(loop: UInt8, of loops: Int) {
        self.loop = loop
        self.loops = loops
    }

    /// Tells all other loops.
    func tell(_ letter: LoopLetter) {
        if loops > 1 { letters.append(AddressedLetter(loop: nil, letter: letter)) }
    }

    func tell(_ letter: LoopLetter, loop other: UInt8) { letters.append(AddressedLetter(loop: other, letter: letter)) }

    /// The letters so far, for a driver that sends them before it carries out the actions.
    public func takeLetters() -> [AddressedLetter] {
        defer { letters = [] }
        return letters
    }

    func clear() {
        actions.removeAll(keepingCapacity: actions.capacity <= Self.keptActions)
        letters.removeAll(keepingCapacity: true)
        news.removeAll(keepingCapacity: true)
        made.removeAll()
    }
}
