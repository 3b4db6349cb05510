import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Bodies, §9 and §11: what is written and read")
struct BodyTests {
    static let heartbeat = HeartbeatBody(
        machineID: "02:fc:00:ff:fe:00:00:01", serverPort: 4091,
        figures: WorkerFigures(connections: 1, connectionsAccepted: 2, requests: 3, responseBytes: 17),
        createdTime: 1_795_419_214_273)

    @Test(
        "The frames of §19.1 that carry objects have message-channel's bytes",
        arguments: [
            (
                Frame.subscribe(id: 7, SubscribeBody(group: "my", topic: "ddx")),
                "710000000000000007040000c800000021020000001c7b2267726f7570223a226d79222c22746f706963223a22646478227d"
            ),
            (
                Frame.unsubscribe(id: 8, SubscribeBody(group: "my", topic: "ddx", key: "k")),
                "710000000000000008050000c80000002b02000000267b2267726f7570223a226d79222c226b6579223a226b222c22746f706963223a"
                    + "22646478227d"
            ),
            (
                Frame.chat(id: 18, .create, chat: "131415678"),
                "710000000000000012020000c80000002501000000093133313431353637380000000931333134313536373800000006435245415445"
            ),
            (
                Frame.chat(id: 18, .create, chat: "131415678", at: ChatHostBody(port: 4091)),
                "710000000000000012020000c80000003202000000167b686f73743a6e756c6c2c20706f72743a343039317d00000009"
                    + "31333134313536373800000006435245415445"
            ),
            (
                Frame.register(
                    id: 20, RegisterBody(uid: "u1", device: "d1", tags: ["driver"], alias: [], createdTime: 1_548_000_000_000)),
                "710000000000000014090000c800000082020000007d7b22616c696173223a5b5d2c22637265617465645f74696d65223a3135343830"
                    + "30303030303030302c22646576696365223a226431222c2274616773223a5b22647269766572225d2c22756964223a227531222c"
                    + "22776f726b657241646472657373223a226e756c6c3a30222c22776f726b65725f706f7274223a307d"
            ),
            (
                Frame.notify(id: 21, NotifyBody(message: "hi")),
                "710000000000000015010000c80000002502000000207b22616c6c456d707479223a747275652c226d657373616765223a226869227d"
            ),
            (Frame.allocation(id: 5, .all), "710000000000000005060000c800000009010000000474727565"),
            (Frame.allocation(id: 6, .one), "710000000000000006060000c800000000"),
            (Frame.balance(id: 19, connections: 5), "710000000000000013070000c800000006010000000135"),
            (Frame.ping(id: 1), "710000000000000001000000c800000000"),
        ])
    func writesTheVectors(_ frame: Frame, _ expected: String) {
        #expect(hex(frame.encoded()) == expected)
    }

    @Test("A heartbeat has Java's keys in Java's order, without quotes and spaces")
    func writesHeartbeats() {
        let expected =
            "{machine_id:'02:fc:00:ff:fe:00:00:01',server_name:'',server_port:4091,connection_count:1,"
            + "max_connection_count:2,connection_error_count:0,discard_connection_ount:0,request_total_count:3,"
            + "request_total_bytes:0,response_total_count:0,response_total_succeed_count:0,response_total_failed_count:0,"
            + "response_total_time_ms:0,response_total_bytes:17,subscriber_count:0,subscriber_message_count:0,"
            + "created_time:1795419214273}"
        let frame = Frame.heartbeat(id: 22, Self.heartbeat)
        #expect(frame.text == expected)
        #expect(frame.type == .ping && frame.name == "heartbeat" && frame.key == nil && frame.format == .json)
    }

    @Test("Our own workers add one object after Java's keys")
    func writesTheExtension() throws {
        var body = Self.heartbeat
        body.figures.subscriptions = 4
        body.figures.deliveries = 5
        body.shunt = ShuntExtension(
            version: "0.1.0", boot: "b1", listeners: ["mqtt-tls": "127.0.0.1:8883", "exchange": "127.0.0.1:4091"], loops: 2)
        let text = String(decoding: body.encoded(), as: UTF8.self)
        #expect(
            text.hasSuffix(
                ",created_time:1795419214273,shunt:{version:'0.1.0',boot:'b1',listeners:{exchange:'127.0.0.1:4091',"
                    + "'mqtt-tls':'127.0.0.1:8883'},loops:2,subscriptions:4,deliveries:5,state:'live'}}"))
        #expect(try body.encoded().withUnsafeBytes { try HeartbeatBody(decoding: $0) } == body)
    }

    @Test("How much room a worker has is told; a worker that does not say is not full")
    func room() throws {
        for room in [nil, 0, 7] {
            var body = Self.heartbeat
            body.shunt = ShuntExtension(version: "0.1.0", boot: "b1", room: room)
            #expect(try body.encoded().withUnsafeBytes { try HeartbeatBody(decoding: $0) }.shunt?.room == room)
        }
    }

    @Test("Where clients reach other workers is told as an object, of at most 16 workers")
    func addresses() throws {
        let worker = WorkerAddresses(worker: "10.0.0.1:4091", listeners: ["exchange": "10.0.0.1:4091", "mqtt": "10.0.0.1:1883"])
        #expect(
            String(decoding: worker.encoded(), as: UTF8.self)
                == #"{"worker":"10.0.0.1:4091","listeners":{"exchange":"10.0.0.1:4091","mqtt":"10.0.0.1:1883"}}"#)
        #expect(try worker.encoded().withUnsafeBytes { try WorkerAddresses(decoding: $0) } == worker)
        let many = RoomBody(workers: Array(repeating: worker, count: 20))
        #expect(try many.encoded().withUnsafeBytes { try RoomBody(decoding: $0) }.workers == Array(repeating: worker, count: 16))
        for text in ["", "[]", "{}", #"{"workers":[7]}"#, #"{"workers":[{"listeners":{}}]}"#] where text != "{}" {
            #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try RoomBody(decoding: $0) } }
        }
        let host = ChatHostBody(host: "w", port: 1, wantsAddresses: true)
        #expect(try host.encoded().withUnsafeBytes { try ChatHostBody(decoding: $0) } == host)
    }

    @Test("The shortened heartbeat of §19.1 is read, and what is missing is 0")
    func readsShortHeartbeats() throws {
        let input = bytes(
            hex: "710000000000000016000000c800000061020000004f7b7365727665725f6e616d653a27272c7365727665725f706f72743a3430"
                + "39312c636f6e6e656374696f6e5f636f756e743a312c637265617465645f74696d653a313534383030303030303030307d00000009"
                + "686561727462656174")
        let frame = try #require(decodedFrame(input))
        #expect(frame.name == HeartbeatBody.frameName)
        let body = try frame.value.withUnsafeBytes { try HeartbeatBody(decoding: $0) }
        let expected = HeartbeatBody(serverPort: 4091, figures: WorkerFigures(connections: 1), createdTime: 1_548_000_000_000)
        #expect(body == expected)
    }

    @Test("A heartbeat's optional parts are read, negative counts count as 0, unknown keys are passed over")
    func readsFullHeartbeats() throws {
        let text = """
            {server_port:'4091',created_time:'1',connection_count:-3,subscriber_count:7,update_time:9,java:{x:[1,{y:2}]},
            env:{java_vm_name:'HotSpot',java_version:17,os_arch:'amd64',os_name:'Linux',os_version:null},
            connection_list:[{host:'10.0.0.1',port:5},{host:'10.0.0.2',port:'6'}]}
            """
        let body = try Array(text.utf8).withUnsafeBytes { try HeartbeatBody(decoding: $0) }
        #expect(body.serverPort == 4091 && body.createdTime == 1 && body.updateTime == 9)
        #expect(body.figures == WorkerFigures(subscriptions: 7))
        #expect(
            body.environment
                == .init(vmName: "HotSpot", javaVersion: "17", osArchitecture: "amd64", osName: "Linux", osVersion: nil))
        #expect(body.connections == [HostPort("10.0.0.1", 5), HostPort("10.0.0.2", 6)])
        #expect(body.shunt == nil)
    }

    @Test(
        "A heartbeat that a master can not use is refused",
        arguments: [
            "{}", "{server_port:1}", "{created_time:1}", "{server_port:70000,created_time:1}", "{server_port:[],created_time:1}",
            "{server_port:1,created_time:1,env:[]}", "{server_port:1,created_time:1,connection_list:[1]}",
            "{server_port:1,created_time:1,shunt:'x'}", "{server_port:1,created_time:1,shunt:{listeners:[]}}",
            "{server_port:1,created_time:1,shunt:{listeners:{a:[]}}}",
        ])
    func refusesHeartbeats(_ text: String) {
        #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try HeartbeatBody(decoding: $0) } }
    }

    @Test("A worker tells a bounded number of listeners, and reading too many takes no time")
    func boundsListeners() {
        let listeners = (0..<60_000).map { "l\($0):'a'" }.joined(separator: ",")
        let text = "{server_port:1,created_time:1,shunt:{listeners:{\(listeners)}}}"
        #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try HeartbeatBody(decoding: $0) } }
    }

    @Test("SUBSCRIBE is read in the dialect, and needs group and topic")
    func readsSubscribe() throws {
        func read(_ text: String) throws -> SubscribeBody {
            try Array(text.utf8).withUnsafeBytes { try SubscribeBody(decoding: $0) }
        }
        #expect(try read(#"{"group":"my","topic":"ddx"}"#) == SubscribeBody(group: "my", topic: "ddx"))
        #expect(try read("{Topic:'t',GROUP:5,key:'k',more:[{}]}") == SubscribeBody(group: "5", topic: "t", key: "k"))
        #expect(try read("{group:'g',topic:'t',key:''}").key == "")
        #expect(try read("{group:'g',topic:'t',key:null}").key == nil)
        let refused = [
            "{}", "{group:'g'}", "{topic:'t'}", "{group:null,topic:'t'}", "{group:'',topic:'t'}", "{group:[],topic:'t'}",
        ]
        for text in refused {
            let error = #expect(throws: ShuntError.self) { try read(text) }
            #expect(error?.code == .requestInvalid && error?.location == "SUBSCRIBE body")
        }
    }

    @Test("REGISTER is read as apps and workers send it, and needs uid and device")
    func readsRegister() throws {
        func read(_ text: String) throws -> RegisterBody {
            try Array(text.utf8).withUnsafeBytes { try RegisterBody(decoding: $0) }
        }
        #expect(try read("{uid:1,device:'d'}") == RegisterBody(uid: "1", device: "d"))
        let full = RegisterBody(
            uid: "u", device: "d", tags: ["a", "b"], alias: ["c"], createdTime: 5, address: "10.0.0.1:5000",
            workerHost: "w1", workerPort: 4091)
        let text =
            #"{"address":"10.0.0.1:5000","alias":["c"],"created_time":5,"device":"d","tags":["a","b"],"uid":"u","#
            + #""workerAddress":"w1:4091","worker_host":"w1","worker_port":4091}"#
        #expect(String(decoding: full.encoded(), as: UTF8.self) == text)
        #expect(try read(text) == full)
        for text in ["{}", "{uid:'u'}", "{device:'d'}", "{uid:'',device:'d'}"] {
            #expect(#expect(throws: ShuntError.self) { try read(text) }?.code == .deviceInvalid)
        }
    }

    @Test("NOTIFY is read with all its filters; empty ones are none")
    func readsNotify() throws {
        func read(_ text: String) throws -> NotifyBody {
            try Array(text.utf8).withUnsafeBytes { try NotifyBody(decoding: $0) }
        }
        let full = NotifyBody(
            message: "m", uid: "u", device: "d", matchTags: ["a"], matchAlias: ["b"], filterTags: ["c"], filterAlias: ["d"])
        let text =
            #"{"allEmpty":false,"device":"d","filter_alias":["d"],"filter_tags":["c"],"match_alias":["b"],"#
            + #""match_tags":["a"],"message":"m","uid":"u"}"#
        #expect(String(decoding: full.encoded(), as: UTF8.self) == text)
        #expect(try read(text) == full)
        #expect(!full.isForAll)
        #expect(try read("{message:'m',uid:'',match_tags:[]}").isForAll)
        #expect(try read("{}").isForAll)
        #expect(try !read("{match_tags:['x']}").isForAll)
        #expect(throws: ShuntError.self) { try read("{match_tags:'x'}") }
    }

    @Test("A chat host has a port, and a host or none; an empty host is none")
    func readsChatHosts() throws {
        func read(_ text: String) throws -> ChatHostBody {
            try Array(text.utf8).withUnsafeBytes { try ChatHostBody(decoding: $0) }
        }
        #expect(String(decoding: ChatHostBody(host: "w1", port: 4091).encoded(), as: UTF8.self) == "{host:'w1', port:4091}")
        #expect(String(decoding: ChatHostBody(host: "w'1", port: 1).encoded(), as: UTF8.self) == #"{host:'w\'1', port:1}"#)
        #expect(try read("{host:null, port:4091}") == ChatHostBody(port: 4091))
        #expect(try read("{host:'w1', port:4091}") == ChatHostBody(host: "w1", port: 4091))
        #expect(try read("{host:'',port:1}").host == nil)
        #expect(throws: ShuntError.self) { try read("{host:'w1'}") }
    }

    @Test("Exactly CREATE, SESSION, DESTROY and LEAVE are chat keys")
    func chatKeys() throws {
        func read(_ text: String?) throws -> ChatKey {
            guard let text else { return try ChatKey(decoding: nil) }
            return try Array(text.utf8).withUnsafeBytes { try ChatKey(decoding: $0) }
        }
        #expect(try ["CREATE", "SESSION", "DESTROY", "LEAVE"].map { try read($0) } == ChatKey.allCases)
        for text in [nil, "", "create", "CREATES", "CREAT"] {
            #expect(#expect(throws: ShuntError.self) { try read(text) }?.code == .chatInvalid)
        }
    }

    @Test("ALLOCATION asks for all workers with `true` in any letter case, for one otherwise")
    func allocationRequests() {
        func read(_ text: String) -> AllocationRequest { Array(text.utf8).withUnsafeBytes { AllocationRequest(decoding: $0) } }
        #expect(["true", "TRUE", "tRue"].allSatisfy { read($0) == .all })
        #expect(["", "false", "true ", "tru", "truest", "1"].allSatisfy { read($0) == .one })
        #expect(AllocationRequest(decoding: nil) == .one)
    }

    @Test("ALLOCATION in JSON asks for the workers of a user; other masters take it for one after any worker")
    func deviceAllocations() throws {
        func read(_ text: String) throws -> DeviceAllocationBody {
            try Array(text.utf8).withUnsafeBytes { try DeviceAllocationBody(decoding: $0) }
        }
        let frame = Frame.allocation(id: 1, DeviceAllocationBody(uid: "ann"))
        #expect(frame.text == #"{"uid":"ann"}"#)
        #expect(frame.format == .json && frame.name == "device")
        #expect(try read(frame.text).uid == "ann")
        #expect(frame.value.withUnsafeBytes { AllocationRequest(decoding: $0) } == .one)
        for text in ["{}", #"{"uid":""}"#, "ann", "[1]"] { #expect(throws: ShuntError.self) { try read(text) } }
    }

    @Test("A worker list has commas and no spaces")
    func allocationReplies() {
        #expect(AllocationReply.encode(["127.0.0.1:4091", "127.0.0.1:4092"]) == "127.0.0.1:4091,127.0.0.1:4092")
        #expect(AllocationReply.decode("127.0.0.1:4091,127.0.0.1:4092") == ["127.0.0.1:4091", "127.0.0.1:4092"])
        #expect(AllocationReply.decode(" a:1 ,,b:2, ") == ["a:1", "b:2"])
        #expect(AllocationReply.decode("") == [])
    }

    @Test("BALANCE is a decimal number from 0 on")
    func balanceTargets() throws {
        func read(_ text: String) throws -> Int { try Array(text.utf8).withUnsafeBytes { try BalanceTarget.decode($0) } }
        #expect(try read("5") == 5 && read("0") == 0 && BalanceTarget.encode(12) == "12")
        for text in ["", "-1", "x", "5.0", "99999999999999999999999"] { #expect(throws: ShuntError.self) { try read(text) } }
        #expect(throws: ShuntError.self) { try BalanceTarget.decode(nil) }
    }

    @Test("Any body that is written is read back the same", arguments: 0..<10)
    func roundTrips(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func optional<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        func texts() -> [String] { (0..<Int.random(in: 0...4, using: &random)).map { _ in random.text(upTo: 8) } }
        for _ in 0..<100 {
            let subscribe = SubscribeBody(
                group: "g" + random.text(upTo: 9), topic: "t" + random.text(upTo: 9), key: optional(random.text(upTo: 9)))
            #expect(try subscribe.encoded().withUnsafeBytes { try SubscribeBody(decoding: $0) } == subscribe)

            let register = RegisterBody(
                uid: "u" + random.text(upTo: 9), device: "d" + random.text(upTo: 9), tags: optional(texts()),
                alias: optional(texts()), createdTime: optional(Int64.random(in: .min ... .max, using: &random)),
                address: optional(random.text(upTo: 9)), workerHost: optional(random.text(upTo: 9)), workerPort: 4091)
            #expect(try register.encoded().withUnsafeBytes { try RegisterBody(decoding: $0) } == register)

            let notify = NotifyBody(
                message: optional(random.text(upTo: 50)), uid: optional(random.text(upTo: 9)),
                matchTags: optional(texts()), filterAlias: optional(texts()))
            #expect(try notify.encoded().withUnsafeBytes { try NotifyBody(decoding: $0) } == notify)

            let heartbeat = HeartbeatBody(
                machineID: random.text(upTo: 9), serverName: random.text(upTo: 9), serverPort: 4091,
                figures: WorkerFigures(connections: Int.random(in: 0 ... .max, using: &random), deliveries: 3),
                createdTime: Int64.random(in: .min ... .max, using: &random), updateTime: optional(5),
                environment: optional(.init(osName: random.text(upTo: 9))),
                connections: optional([HostPort(random.text(upTo: 9), 1)]),
                shunt: optional(
                    ShuntExtension(
                        version: random.text(upTo: 9), boot: random.text(upTo: 9), listeners: ["a b": random.text(upTo: 9)],
                        loops: 2, isDraining: Bool.random(using: &random))))
            #expect(try heartbeat.encoded().withUnsafeBytes { try HeartbeatBody(decoding: $0) } == heartbeat)

            let host = ChatHostBody(host: optional("h" + random.text(upTo: 9)), port: 65_535)
            #expect(try host.encoded().withUnsafeBytes { try ChatHostBody(decoding: $0) } == host)
        }
    }
}
