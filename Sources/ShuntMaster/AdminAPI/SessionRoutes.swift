import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/devices` and `/api/v1/chats`.
struct SessionRoutes {
    let registry: any RegistryReader
    let closeChat: AdminServer.CloseChat
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] {
        [listDevices, getDevice, listChats, getChat, deleteChat]
    }

    private var listDevices: HTTPRoute {
        let parameters = ["uid", "tag", "worker", "online", "limit", "offset"]
        return HTTPRoute(.get, "/api/v1/devices", parameters: parameters) { [registry] call in
            let query = DeviceSessionQuery(
                uid: call.parameters["uid"], tag: call.parameters["tag"], worker: call.parameters["worker"],
                isOnline: try call.boolean("online"),
                limit: try call.integer("limit", in: 1...DeviceSessionQuery.maximumLimit, default: 100),
                offset: try call.integer("offset", in: 0...Int.max, default: 0))
            return .json(try RecordJSON.encode(try await registry.devices(query)))
        }
    }

    private var getDevice: HTTPRoute {
        HTTPRoute(.get, "/api/v1/devices/{uid}") { [registry] call in
            .json(try RecordJSON.encode(try await registry.device(call.segment)))
        }
    }

    private var listChats: HTTPRoute {
        HTTPRoute(.get, "/api/v1/chats", parameters: ["worker", "limit", "offset"]) { [registry] call in
            let query = ChatQuery(
                worker: call.parameters["worker"],
                limit: try call.integer("limit", in: 1...ChatQuery.maximumLimit, default: 100),
                offset: try call.integer("offset", in: 0...Int.max, default: 0))
            return .json(try RecordJSON.encode(try await registry.chats(query)))
        }
    }

    private var getChat: HTTPRoute {
        HTTPRoute(.get, "/api/v1/chats/{id}") { [registry] call in
            .json(try RecordJSON.encode(try await registry.chat(call.segment)))
        }
    }

    private var deleteChat: HTTPRoute {
        HTTPRoute(.delete, "/api/v1/chats/{id}", need: .operate) { [closeChat, record] call in
            let error = await closeChat(call.segment)
            record(call.caller, "close-chat \(call.segment)", error)
            if let error { throw error }
            return .json(try RecordJSON.encode(ClosedChat(closed: call.segment)))
        }
    }
}
