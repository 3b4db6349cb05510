import ShuntCore

/// Devices as tables, as CSV, and in detail.
enum DeviceListing {
    static func table(_ devices: [DeviceRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "UID"), .init(title: "DEVICE", rank: 8), .init(title: "STATE", isWhole: true, rank: 7),
                .init(title: "SEEN", isNumber: true, rank: 6), .init(title: "WORKER", rank: 5), .init(title: "TAGS", rank: 4),
                .init(title: "ALIAS", rank: 3), .init(title: "ADDRESS", rank: 2),
                .init(title: "CONNECTED", isNumber: true, rank: 1),
            ],
            rows: devices.map { device in
                [
                    .init(device.uid), .init(device.device), .init(state(device), device.isOnline ? .good : .faint),
                    .init(device.isOnline ? "now" : Humane.age(of: device.lastSeenAt, now: now)), .init(device.worker),
                    .init(device.tags.joined(separator: " ")), .init(device.alias.joined(separator: " ")), .init(device.address),
                    .init(Humane.age(of: device.connectedAt, now: now)),
                ]
            })
    }

    /// Every field as the registry has it; tags and aliases as JSON arrays.
    static func csv(_ devices: [DeviceRecord]) -> CSV {
        var csv = CSV(header: ["uid", "device", "tags", "alias", "worker", "address", "online", "connected_at", "last_seen_at"])
        for device in devices {
            csv.append([
                device.uid, device.device, CSV.list(device.tags), CSV.list(device.alias), device.worker,
                device.address, "\(device.isOnline)", "\(device.connectedAt)", "\(device.lastSeenAt)",
            ])
        }
        return csv
    }

    /// A paragraph for each.
    static func details(_ devices: [DeviceRecord], now: Double, width: Int?) -> String {
        devices.map { device in
            FieldList.text(
                [
                    ("uid", device.uid), ("device", device.device), ("state", state(device)), ("worker", device.worker),
                    ("address", orDash(device.address)), ("tags", orDash(device.tags.joined(separator: " "))),
                    ("alias", orDash(device.alias.joined(separator: " "))),
                    ("connected", "\(Humane.time(device.connectedAt)), \(Humane.age(of: device.connectedAt, now: now))"),
                    (
                        device.isOnline ? "registered" : "left",
                        "\(Humane.time(device.lastSeenAt)), \(Humane.age(of: device.lastSeenAt, now: now))"
                    ),
                ], width: width)
        }.joined(separator: "\n")
    }

    private static func state(_ device: DeviceRecord) -> String { device.isOnline ? "online" : "offline" }

    private static func orDash(_ text: String) -> String { text.isEmpty ? "-" : text }
}
