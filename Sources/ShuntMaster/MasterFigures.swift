import ShuntEngine
import ShuntRegistry
import ShuntTLS
import Synchronization

/// The figures of the master's loop, for other threads to read.
final class MasterFigures: Sendable {
    private struct State: Sendable {
        var devices = 0
        var chats = 0
        var workers = 0
        var memory: DeviceMemory?
        var refusals = LinkRefusals()
    }

    private let state = Mutex(State())

    func set(devices: Int, _ memory: DeviceMemory, chats: Int, workers: Int, refusals: LinkRefusals) {
        state.withLock { $0 = State(devices: devices, chats: chats, workers: workers, memory: memory, refusals: refusals) }
    }

    /// In Prometheus' text format 0.0.4.
    /// - Parameters:
    ///   - door: of the admin API.
    ///   - tls: what workers come by.
    ///   - now: seconds since 1970.
    func metrics(writer: RegistryWriter.Figures, door: AdminDoor, tls: ReloadableTLS?, now: Double) -> String {
        let state = state.withLock { $0 }
        var text = ""
        func add(_ name: String, _ type: String, _ help: String, _ value: Int) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name) \(value)\n"
        }
        add("shunt_master_workers", "gauge", "Workers that the master knows, lost ones too.", state.workers)
        add("shunt_master_chats", "gauge", "Chats that the master knows.", state.chats)
        add("shunt_master_devices", "gauge", "Devices that the master knows, offline ones too.", state.devices)
        add("shunt_master_device_bytes", "gauge", "Memory that devices take, estimated.", state.memory?.bytes ?? 0)
        add("shunt_master_device_bytes_limit", "gauge", "Memory that devices may take (devices.memory).", state.memory?.limit ?? 0)
        add(
            "shunt_master_devices_forgotten_total", "counter", "Offline devices forgotten before devices.keep, for want of memory.",
            state.memory?.evicted ?? 0)
        add(
            "shunt_master_devices_without_labels_total", "counter", "Registrations kept without tags and aliases, for want of memory.",
            state.memory?.stripped ?? 0)
        add(
            "shunt_master_devices_refused_total", "counter", "Devices that were not kept, for want of room.", state.memory?.refused ?? 0)
        add(
            "shunt_master_registry_dropped_total", "counter", "Changes that could not be kept for the registry.",
            writer.droppedEvents + writer.droppedWorkers + writer.droppedDevices + writer.droppedChats + writer.droppedClients)
        text += "# HELP shunt_master_link_refused_total Peers that have not proved that they belong to the cluster.\n"
        text += "# TYPE shunt_master_link_refused_total counter\n"
        for (reason, count) in [("token", state.refusals.token), ("certificate", state.refusals.certificate)] {
            text += "shunt_master_link_refused_total{reason=\"\(reason)\"} \(count)\n"
        }
        text += "# HELP shunt_master_admin_refused_total Requests to the admin API that were refused for want of a token.\n"
        text += "# TYPE shunt_master_admin_refused_total counter\n"
        for reason in AdminDoor.Refusal.allCases {
            text += "shunt_master_admin_refused_total{reason=\"\(reason.rawValue)\"} \(door.refused(reason))\n"
        }
        guard let tls else { return text }
        text += "# HELP shunt_cluster_certificate_expiry_seconds Seconds until the cluster's certificate expires; below 0 once it has.\n"
        text += "# TYPE shunt_cluster_certificate_expiry_seconds gauge\n"
        for expiry in tls.context.expiries {
            let file = expiry.file.debugDescription
            text += "shunt_cluster_certificate_expiry_seconds{certificate=\(file)} \(Int(expiry.at - now))\n"
        }
        return text
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
