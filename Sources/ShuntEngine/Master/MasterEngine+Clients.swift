import ExchangeCodec
import ShuntCore

/// The lists of clients that workers tell, by worker. The clients themselves are in the registry alone.
struct ClientLists {
    /// Whether workers are asked at all.
    var isOn = true
    /// Whether the registry has room for more.
    var hasRoom = true
    /// The number of each worker's present list.
    private var lists: [ExactText: Int64] = [:]
    private var last: Int64 = 0
    /// Reports that are answered once there is room: the last of each worker, which waits for the answer to that one alone.
    private var waiting: [ConnectionID: Int64] = [:]

    /// - Returns: the number of a new list. A registry may have numbers of an earlier master.
    mutating func begin(_ worker: String, now: Double) -> Int64 {
        last = max(last + 1, Int64(max(0, now) * 1_000_000))
        lists[ExactText(worker)] = last
        return last
    }

    func isCurrent(_ list: Int64, of worker: String) -> Bool { lists[ExactText(worker)] == list }

    /// The registry may have clients of this worker, which an earlier master was told.
    mutating func restore(_ worker: String) { lists[ExactText(worker)] = 0 }

    /// - Returns: whether the registry may have clients of it.
    mutating func lost(_ worker: String) -> Bool { lists.removeValue(forKey: ExactText(worker)) != nil }

    mutating func wait(_ connection: ConnectionID, _ id: Int64) { waiting[connection] = id }

    mutating func closed(_ connection: ConnectionID) { waiting[connection] = nil }

    mutating func takeWaiting() -> [ConnectionID: Int64] {
        defer { waiting = [:] }
        return waiting
    }
}

/// What workers tell of their clients goes to the registry; the master keeps nothing of it.
extension MasterEngine {
    /// Whether workers are asked for their clients (`master.registry.clients`). Set it before the first worker comes.
    public var listsClients: Bool {
        get { clients.isOn }
        set { clients.isOn = newValue }
    }

    /// The registry has room for what workers tell of clients, or has none: then they wait for their answers.
    public func setRoomForClients(_ hasRoom: Bool) {
        clients.hasRoom = hasRoom
        guard hasRoom else { return }
        for (connection, id) in clients.takeWaiting() where peers[connection] != nil {
            actions.append(.send(connection, Frame(acknowledging: id).encoded()))
        }
    }

    /// A worker has joined on this link, or is to tell all again.
    func askClients(of worker: String, _ connection: ConnectionID, now: Double) {
        guard clients.isOn, directory.connection(of: worker) == connection else { return }
        let body = ClientsRequestBody(list: clients.begin(worker, now: now))
        actions.append(.send(connection, Frame.clients(id: ids.next(now: now), body).encoded()))
    }

    func clientsLost(_ worker: String) {
        if clients.lost(worker) { changes.append(.client(.workerLost(worker: worker))) }
    }

    /// The registry may have clients of workers that were there when the last master ended.
    func restoreClients(of workers: [WorkerRecord]) {
        for worker in workers {
            clients.restore(worker.name)
            if worker.state.isAway { clientsLost(worker.name) }
        }
    }

    /// BINDING: a worker proves that it belongs to the cluster, or tells of its clients.
    func binding(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        guard let name = frame.name(in: start) else { return }
        if name.elementsEqual(LinkProof.frameName.utf8) { return try link(frame, start, connection, now: now) }
        if name.elementsEqual(MasterStateBody.frameName.utf8) { return try answer(master: frame, start, connection, now: now) }
        guard name.elementsEqual(ClientsRequestBody.frameName.utf8) else { return }
        let body = try ClientReportBody(decoding: try value(of: frame, start))
        let worker = try teller(body.worker, connection, now: now)
        // One of an earlier list is over.
        if clients.isCurrent(body.list, of: worker) { take(body, of: worker, connection, now: now) }
        guard clients.hasRoom else { return clients.wait(connection, frame.id) }
        acknowledge(frame, connection)
    }

    private func take(_ body: ClientReportBody, of worker: String, _ connection: ConnectionID, now: Double) {
        for client in body.clients { changes.append(.client(.client(ClientRecord(client, body, worker: worker), list: body.list))) }
        for session in body.gone { changes.append(.client(.gone(worker: worker, session: session.description))) }
        if body.isLast { changes.append(.client(.listed(worker: worker, list: body.list))) }
        if body.isIncomplete { askClients(of: worker, connection, now: now) }
    }
}

extension ClientRecord {
    init(_ client: ClientReportBody.Client, _ body: ClientReportBody, worker: String) {
        let listener = Int(client.listener)
        self.init(
            worker: worker, session: client.session.description, client: client.client, uid: client.uid, protocolName: client.speaks.name,
            listener: client.isAway || !body.listeners.indices.contains(listener) ? "" : body.listeners[listener],
            address: client.isAway ? "" : client.address.description, state: client.isAway ? .away : .connected,
            since: Double(client.since) / 1000, subscriptions: Int(client.subscriptions))
    }
}
