import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin device`: the devices of one uid in detail.
struct DeviceCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Show all that is known of the devices of one uid.",
        discussion: """
              shunt admin device alice
              shunt admin device alice --output json
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The uid that the devices registered with, the whole of it.")
    var uid: String

    func validate() throws {
        guard !uid.isEmpty else { throw ValidationError("The uid is empty: give one that `shunt admin devices` lists.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (found, json) = try await session.ask(.device(uid: uid), as: DevicePage.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(DeviceListing.csv(found.devices))
        case .table:
            try session.console.write(
                DeviceListing.details(
                    await session.named(found.devices, \.worker), now: session.console.now(), width: session.console.width))
            if found.devices.count < found.total { session.note("\(found.devices.count) of \(found.total) devices") }
        }
    }
}
