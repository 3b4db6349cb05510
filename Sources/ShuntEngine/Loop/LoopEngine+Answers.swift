import ShuntCore

/// Answers to requests, in the protocol that a receipt is of.
extension LoopEngine {
    /// The request was served.
    @inline(__always)
    func acknowledge(_ receipt: Receipt, _ connection: ConnectionID) {
        output.figures.succeeded += 1
        switch receipt {
        case .exchange: output.actions.append(.receipt(connection, receipt))
        case .mqtt:
            settle(receipt, connection)
            output.actions.append(.receipt(connection, receipt))
        case .filter(let number, let place): granted(number, place, nil)
        case .none: break
        }
    }

    /// The request was served, and this is what the client wants to know of it.
    func answer(_ receipt: Receipt, _ connection: ConnectionID, _ text: String) {
        output.figures.succeeded += 1
        switch receipt {
        case .exchange(let id): output.actions.append(.answer(connection, output.made.appendAnswer(id, text)))
        case .mqtt(let type, let identifier):
            settle(receipt, connection)
            MQTTFront(self, connection).serve(type, identifier, text)
        case .filter(let number, let place): granted(number, place, nil)
        case .none: break
        }
    }

    /// The request was not served.
    @inline(never)
    func refuse(_ receipt: Receipt, _ connection: ConnectionID, _ error: ShuntError) {
        output.figures.failed += 1
        switch receipt {
        case .exchange(let id): output.actions.append(.answer(connection, output.made.appendRefusal(id, error)))
        case .mqtt(let type, let identifier):
            settle(receipt, connection)
            MQTTFront(self, connection).refuse(type, identifier, error)
        case .filter(let number, let place): granted(number, place, error)
        case .none: break
        }
    }
}
