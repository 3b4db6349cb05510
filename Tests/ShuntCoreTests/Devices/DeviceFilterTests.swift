import Testing

@testable import ShuntCore

@Suite("The device filter, §10.4")
struct DeviceFilterTests {
    /// A device with tags and aliases, and one without.
    static let full = device(1, "ann", "phone", tags: ["driver", "eu"], alias: ["a1"])
    static let bare = device(2, "bob", "phone")

    @Test(
        "Takes and leaves out what the rule says",
        arguments: [
            (DeviceFilter(), true, true),
            (DeviceFilter(uid: "ann"), true, false),
            (DeviceFilter(uid: "nobody"), false, false),
            (DeviceFilter(device: "phone"), true, true),
            (DeviceFilter(uid: "bob", device: "phone"), false, true),
            (DeviceFilter(uid: "bob", device: "car"), false, false),
            (DeviceFilter(matchTags: ["eu"]), true, false),
            (DeviceFilter(matchTags: ["x", "driver"]), true, false),
            (DeviceFilter(matchTags: ["x"]), false, false),
            (DeviceFilter(matchAlias: ["a1"]), true, false),
            (DeviceFilter(matchAlias: ["eu"]), false, false),
            (DeviceFilter(matchTags: ["a1"]), false, false),
            (DeviceFilter(matchTags: ["eu"], matchAlias: ["a1"]), true, false),
            (DeviceFilter(matchTags: ["eu"], matchAlias: ["a2"]), false, false),
            (DeviceFilter(filterTags: ["eu"]), false, true),
            (DeviceFilter(filterTags: ["x"]), true, true),
            (DeviceFilter(filterAlias: ["a1"]), false, true),
            (DeviceFilter(filterAlias: ["eu"]), true, true),
            (DeviceFilter(matchTags: ["driver"], filterTags: ["eu"]), false, false),
            (DeviceFilter(uid: "ann", filterTags: ["x"]), true, false),
            (DeviceFilter(uid: "ann", matchTags: ["x"]), false, false),
            // By the letter: an empty list to match shares an element with nobody, an empty one to leave out with nobody either.
            (DeviceFilter(matchTags: []), false, false),
            (DeviceFilter(matchAlias: []), false, false),
            (DeviceFilter(filterTags: [], filterAlias: []), true, true),
            // Byte by byte: letter case counts, and a composed letter is not a decomposed one.
            (DeviceFilter(uid: "Ann"), false, false),
        ])
    func truthTable(_ filter: DeviceFilter, _ takesFull: Bool, _ takesBare: Bool) {
        #expect(filter.matches(Self.full) == takesFull)
        #expect(filter.matches(Self.bare) == takesBare)
        var index = DeviceIndex()
        _ = index.register(Self.full)
        _ = index.register(Self.bare)
        #expect(found(filter, index) == (takesFull ? [1] : []) + (takesBare ? [2] : []))
    }

    @Test("Texts that only Unicode calls equal are different, with the rule and with the index")
    func bytes() {
        let composed = device(1, "\u{E9}", "d", tags: ["\u{E9}"])
        let filter = DeviceFilter(uid: "e\u{301}")
        #expect(!filter.matches(composed))
        var index = DeviceIndex()
        _ = index.register(composed)
        #expect(found(filter, index) == [])
        #expect(found(DeviceFilter(matchTags: ["e\u{301}"]), index) == [])
        #expect(found(DeviceFilter(matchTags: ["\u{E9}"]), index) == [1])
    }

    @Test(
        "What no device can have, and what is too much, is refused with filter.invalid",
        arguments: [
            (DeviceFilter(uid: ""), "the filter's uid is empty"),
            (DeviceFilter(device: ""), "the filter's device is empty"),
            (DeviceFilter(uid: "12345"), "the filter's uid has 5 bytes"),
            (DeviceFilter(matchTags: ["a", ""]), "an element of the filter's match_tags is empty"),
            (DeviceFilter(filterAlias: ["12345"]), "an element of the filter's filter_alias has 5 bytes"),
            (DeviceFilter(uid: "u\0"), "the filter's uid has a NUL in it"),
            (DeviceFilter(matchAlias: ["a", "b", "c"]), "the filter's match_alias has 3 elements"),
        ])
    func refuses(_ filter: DeviceFilter, _ message: String) {
        let error = #expect(throws: ShuntError.self) { try filter.validate(DeviceLimits(text: 4, filter: 2)) }
        #expect(error?.code == .filterInvalid)
        #expect(error?.message == message)
    }

    @Test("A filter within the limits is valid, an empty list too")
    func accepts() throws {
        try DeviceFilter(uid: "1234", matchTags: ["a", "b"], filterTags: []).validate(DeviceLimits(text: 4, filter: 2))
    }

    @Test(
        "A device without uid or name, or with too much, is refused with device.invalid",
        arguments: [
            (device(1, "", "d"), "a device's uid is empty"),
            (device(1, "u", ""), "a device's device is empty"),
            (device(1, "u", "12345"), "a device's device has 5 bytes"),
            (device(1, "u", "d", tags: ["a", "b", "c"]), "the device has 3 tags"),
            (device(1, "u\0v", "d"), "a device's uid has a NUL in it"),
            (device(1, "u", "d\0"), "a device's device has a NUL in it"),
            (device(1, "u", "d", tags: ["\0"]), "an element of tags has a NUL in it"),
            (device(1, "u", "d", alias: [""]), "an element of alias is empty"),
        ])
    func refusesDevices(_ device: Device, _ message: String) {
        let error = #expect(throws: ShuntError.self) { try device.validate(DeviceLimits(labels: 2, text: 4)) }
        #expect(error?.code == .deviceInvalid)
        #expect(error?.message == message)
    }
}

func device(
    _ number: Int, _ uid: String, _ name: String, tags: [String] = [], alias: [String] = [], at: Double = 0
) -> Device {
    Device(
        uid: uid, device: name, tags: tags, alias: alias, connection: client(number),
        address: PeerAddress(ipv4: 0x7F00_0001, port: UInt16(truncatingIfNeeded: number)), connectedAt: 0, registeredAt: at)
}

/// The numbers of the connections that a filter finds, in order.
func found(_ filter: DeviceFilter, _ index: DeviceIndex) -> [Int] {
    var connections: ContiguousArray<ConnectionID> = []
    index.matching(filter, into: &connections)
    return connections.map(\.slot).sorted()
}
