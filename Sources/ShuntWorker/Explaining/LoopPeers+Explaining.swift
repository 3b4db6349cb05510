extension LoopPeers {
    /// From now on operators may ask what becomes of messages.
    /// - Parameter allowsPayloads: whether they may see payloads of live messages.
    func answerAboutMessages(allowsPayloads: Bool) {
        let explainer = Explainer(self)
        commands.set(.explain) { explainer.perform($0, $1) }
        let traces = Traces(self, allowsPayloads: allowsPayloads)
        commands.set(.traceBegin) { traces.begin($0, now: Worker.now, $1) }
        commands.set(.traceRead) { $1(traces.read($0, now: Worker.now)) }
        commands.set(.traceEnd) { $1(traces.end($0)) }
        onEach { $0.traces = traces }
    }
}
