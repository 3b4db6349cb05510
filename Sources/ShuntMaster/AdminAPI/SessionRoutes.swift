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
        let sheet = RouteSheet("Lists devices by uid and device.", DevicePage.self, gives: "A page of the devices.", errors: .registry)
        let parameters: [HTTPParameter] = [
            HTTPParameter("uid", "Only devices of this uid."), HTTPParameter("tag", "Only devices that have this tag."), .workerName,
            HTTPParameter("online", .boolean, "Only devices that are online, or that are not."), .limit(DeviceSessionQuery.maximumLimit), .offset,
        ]
        return HTTPRoute(.get, "/api/v1/devices", sheet, parameters: parameters) { [registry] call in
            let query = DeviceSessionQuery(
                uid: call.parameters["uid"], tag: call.parameters["tag"], worker: call.parameters["worker"],
                isOnline: call.boolean("online"), limit: call.limit, offset: call.offset)
            return .json(try RecordJSON.encode(try await registry.devices(query)))
        }
    }

    private var getDevice: HTTPRoute {
        let sheet = RouteSheet(
            "Gives all devices of one uid, at most \(DeviceSessionQuery.maximumLimit).", DevicePage.self, gives: "Its devices.",
            segment: "The uid, whole.", errors: .registry + [.deviceUnknown])
        return HTTPRoute(.get, "/api/v1/devices/{uid}", sheet) { [registry] call in
            .json(try RecordJSON.encode(try await registry.device(call.segment)))
        }
    }

    private var listChats: HTTPRoute {
        let sheet = RouteSheet("Lists chats by id.", ChatPage.self, gives: "A page of the chats.", errors: .registry)
        let parameters: [HTTPParameter] = [.workerName, .limit(ChatQuery.maximumLimit), .offset]
        return HTTPRoute(.get, "/api/v1/chats", sheet, parameters: parameters) { [registry] call in
            let query = ChatQuery(worker: call.parameters["worker"], limit: call.limit, offset: call.offset)
            return .json(try RecordJSON.encode(try await registry.chats(query)))
        }
    }

    private var getChat: HTTPRoute {
        let sheet = RouteSheet(
            "Gives one chat.", ChatRecord.self, gives: "The chat.", segment: "The chat's id.", errors: .registry + [.chatUnknown])
        return HTTPRoute(.get, "/api/v1/chats/{id}", sheet) { [registry] call in
            .json(try RecordJSON.encode(try await registry.chat(call.segment)))
        }
    }

    private var deleteChat: HTTPRoute {
        let sheet = RouteSheet(
            "Has a chat closed by its worker.", ClosedChat.self, gives: "The chat is closed.", segment: "The chat's id.",
            errors: [.chatUnknown, .connectionLost, .memoryLimit, .masterStandby, .requestUnsupported])
        return HTTPRoute(.delete, "/api/v1/chats/{id}", sheet, need: .operate) { [closeChat, record] call in
            let error = await closeChat(call.segment)
            record(call.caller, "close-chat \(call.segment)", error)
            if let error { throw error }
            return .json(try RecordJSON.encode(ClosedChat(closed: call.segment)))
        }
    }
}
