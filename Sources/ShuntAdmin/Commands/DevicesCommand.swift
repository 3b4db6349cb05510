import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin devices`: the list of devices.
struct DevicesCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices, offline ones too.",
        discussion: """
            By uid and device. Options that are given must all be met.

              shunt admin devices
              shunt admin devices --tag vip --online
              shunt admin devices --worker 10.0.0.1:4091 --output csv
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var page: PageOptions

    @Option(help: "Only devices of this uid.")
    var uid: String?

    @Option(help: "Only devices that have this tag.")
    var tag: String?

    @Option(help: "Only devices of this worker: its host:port or its worker.name, of which the beginning is enough.")
    var worker: String?

    @Flag(help: "Only devices that are connected.")
    var online = false

    @Flag(help: "Only devices that are not connected, and were not long ago.")
    var offline = false

    func validate() throws {
        guard !(online && offline) else {
            throw ValidationError("--online and --offline exclude each other: without either, all are listed.")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        var query = DeviceSessionQuery(
            uid: uid, tag: tag, worker: worker, isOnline: online ? true : offline ? false : nil, limit: page.limit,
            offset: page.offset)
        var (found, json) = try await session.ask(.devices(query), as: DevicePage.self)
        if found.total == 0, let worker {
            query.worker = try await session.worker(worker)
            if query.worker != worker { (found, json) = try await session.ask(.devices(query), as: DevicePage.self) }
        }
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(DeviceListing.csv(found.devices))
        case .table:
            try session.write(DeviceListing.table(await session.named(found.devices, \.worker), now: session.console.now()))
            if found.devices.count < found.total {
                session.note("\(found.devices.count) of \(found.total) devices; the others with --limit and --offset")
            }
        }
    }
}
