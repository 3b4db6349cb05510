import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntRegistry
import ShuntTLS
import Synchronization

/// What the master's loop counts.
struct MasterCounts: Sendable {
    var devices = 0
    var chats = 0
    var workers: [WorkerRecord.State: Int] = [:]
    /// At the workers that are here.
    var clients = 0
    var memory: DeviceMemory?
    var refusals = LinkRefusals()
    var allocations = AllocationCounts()
    var loop = LoopFigures()
    /// nil where the master has no peers.
    var role: MasterRoleRecord?
}

/// The figures of the master's loop, for other threads to read.
final class MasterFigures: Sendable {
    private let state = Mutex(MasterCounts())

    func set(_ counts: MasterCounts) { state.withLock { $0 = counts } }

    var role: MasterRoleRecord? { state.withLock { $0.role } }

    /// What a probe is told beside that it is ready.
    var note: String? {
        guard let role, role.role != "serving" else { return nil }
        return role.serving.map { "standby, \($0) serves" } ?? "standby, and hears no master that serves"
    }

    /// It has just changed.
    func set(_ role: MasterRoleRecord?) { state.withLock { $0.role = role } }

    /// In Prometheus' text format 0.0.4.
    /// - Parameters:
    ///   - door: of the admin API.
    ///   - certificates: of the admin API, and what workers come by.
    ///   - now: seconds since 1970.
    func metrics(_ writer: RegistryWriter, _ door: AdminDoor, _ certificates: [WorkerCondition.Certificate], version: String, now: Double) -> String {
        let state = state.withLock { $0 }
        var text = MetricsText()
        text.buildInfo(version: version, role: "master")
        if let role = state.role {
            text.gauge("shunt_master_serving", "1 while this master serves, 0 while it stands by for another.", role.role == "serving" ? 1 : 0)
            text.gauge("shunt_master_term", "The term in which it serves, or the last that it has heard of.", Int(clamping: role.term))
        }
        text.family("shunt_master_workers", "gauge", "Workers that the master knows, by state; those that are away until they are forgotten.")
        for each in WorkerRecord.State.allCases {
            text.sample("shunt_master_workers", ["state": each.rawValue], state.workers[each] ?? 0)
        }
        text.family(
            "shunt_master_allocations_total", "counter", "Questions of clients for workers: answered with workers, or with none, as none was live.")
        text.sample("shunt_master_allocations_total", ["outcome": "answered"], state.allocations.answered)
        text.sample("shunt_master_allocations_total", ["outcome": "none"], state.allocations.none)
        text.gauge("shunt_master_clients", "Clients connected to the workers that are here, by their last heartbeats.", state.clients)
        text.gauge("shunt_master_connections", "Open connections to the master's port, of workers and clients.", state.loop.connections)
        text.gauge("shunt_master_chats", "Chats that the master knows.", state.chats)
        text.devices(state)
        text.process(.now())
        text.loopLag([state.loop.lag])
        text.registry(writer)
        text.family("shunt_master_link_refused_total", "counter", "Peers that have not proved that they belong to the cluster, by what was wrong.")
        for (reason, count) in [("token", state.refusals.token), ("certificate", state.refusals.certificate)] {
            text.sample("shunt_master_link_refused_total", ["reason": reason], count)
        }
        text.family("shunt_master_admin_refused_total", "counter", "Requests to the admin API that were refused, by what was wrong.")
        for reason in AdminDoor.Refusal.allCases {
            text.sample("shunt_master_admin_refused_total", ["reason": reason.rawValue], door.refused(reason))
        }
        text.certificates(certificates, now: now)
        return text.text
    }
}

extension MetricsText {
    fileprivate mutating func certificates(_ all: [WorkerCondition.Certificate], now: Double) {
        let (cluster, own) = (
            all.filter { $0.listener == WorkerCondition.Certificate.cluster }, all.filter { $0.listener != WorkerCondition.Certificate.cluster }
        )
        if !cluster.isEmpty {
            family("shunt_cluster_certificate_expiry_seconds", "gauge", "Seconds until the cluster's certificate expires; below 0 once it has.")
        }
        for one in cluster { sample("shunt_cluster_certificate_expiry_seconds", ["certificate": one.file], Int(one.expiresAt - now)) }
        if !own.isEmpty { family("shunt_tls_certificate_expiry_seconds", "gauge", "Seconds until a certificate expires; below 0 once it has.") }
        for one in own {
            sample("shunt_tls_certificate_expiry_seconds", ["listener": one.listener, "certificate": one.file], Int(one.expiresAt - now))
        }
    }

    fileprivate mutating func devices(_ state: MasterCounts) {
        gauge("shunt_master_devices", "Devices that the master knows, offline ones too.", state.devices)
        gauge("shunt_master_device_bytes", "Memory that devices take, estimated.", state.memory?.bytes ?? 0)
        gauge("shunt_master_device_bytes_limit", "Memory that devices may take (devices.memory).", state.memory?.limit ?? 0)
        counter(
            "shunt_master_devices_forgotten_total", "Offline devices forgotten before devices.keep, for want of memory.",
            state.memory?.evicted ?? 0)
        counter(
            "shunt_master_devices_without_labels_total", "Registrations kept without tags and aliases, for want of memory.",
            state.memory?.stripped ?? 0)
        counter("shunt_master_devices_refused_total", "Devices that were not kept, for want of room.", state.memory?.refused ?? 0)
    }

    fileprivate mutating func registry(_ all: RegistryWriter) {
        let (writer, lag) = (all.figures, all.lag)
        counter(
            "shunt_master_registry_dropped_total", "Changes that could not be kept for the registry.",
            writer.droppedEvents + writer.droppedWorkers + writer.droppedDevices + writer.droppedChats + writer.droppedClients
                + writer.droppedHistory)
        counter("shunt_master_registry_transactions_total", "Transactions that the registry has written.", writer.batches)
        counter("shunt_master_registry_failures_total", "Transactions that could not be written; most are tried again.", writer.failures)
        histogram(
            "shunt_master_registry_write_lag_seconds",
            "How long the oldest change of each transaction had waited when it was written; master.registry.batch is a part of it.", lag.times)
        family("shunt_master_registry_waiting_seconds", "gauge", "How long the oldest change that is not written waits by now; 0 where none does.")
        sample("shunt_master_registry_waiting_seconds", [:], lag.seconds)
    }
}

/// Logs now and then that devices have no room.
struct DeviceFullness {
    private var told: DeviceMemory?
    private var toldAt = -Double.infinity

    /// Seconds between two lines.
    static let pause = 60.0

    /// The devices that have had no room since the last line; nil if there are none, or if the last line is too recent.
    mutating func news(_ memory: DeviceMemory, now: Double) -> (evicted: Int, stripped: Int, refused: Int)? {
        let news = (
            evicted: memory.evicted - (told?.evicted ?? 0), stripped: memory.stripped - (told?.stripped ?? 0),
            refused: memory.refused - (told?.refused ?? 0)
        )
        guard news.evicted + news.stripped + news.refused > 0, abs(now - toldAt) >= Self.pause else { return nil }
        told = memory
        toldAt = now
        return news
    }
}
