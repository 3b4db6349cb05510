// Nothing of Shunt but the library itself: what this file names, programs can name that import ShuntClient alone.
import ShuntClient
import Testing

/// Programs need no other module of Shunt to use the library.
@Suite("The library by itself")
struct SurfaceTests {
    @Test("names addresses, errors and their codes")
    func addressesAndErrors() throws {
        let master: HostPort = try #require(HostPort("[::1]:4088"))
        #expect((master.host, master.port) == ("::1", 4088))
        #expect(HostPort("nowhere") == nil)
        let error = ShuntError(.usage, "no address", at: "here", help: "give one")
        let code: ErrorCode = error.code
        #expect(code == .usage && code.rawValue == "usage" && error.description == "here: no address (usage); give one")
        #expect(Refusal(status: 500, text: "The worker subscriber is empty").code == .topicNoSubscriber)
    }

    @Test("names all that its configurations are made of")
    func configurations() throws {
        var options = ConnectionOptions(backoff: Backoff(initial: .seconds(1)))
        let tls: TLSClient? = options.tls
        options.token = "ada:secret"
        var mqtt = MQTTOptions()
        mqtt.version = MQTTVersion.v3_1_1
        mqtt.qos = QoS.exactlyOnce
        mqtt.userProperties = [UserProperty("a", "b")]
        mqtt.subscription.retainHandling = RetainHandling.doNotSend
        let broker = HostPort("127.0.0.1", 1883)
        let route = ClientRoute.mqtt(broker, mqtt)
        #expect(tls == nil && route.addresses == [broker])
        #expect(ConsumerConfiguration(route: route, topic: "t", group: "", connection: options).connection.token == "ada:secret")
        #expect(ProducerConfiguration(route: route).resends == false)
        #expect(DeviceConfiguration(route: .workers([broker]), uid: "u", device: "d").tags.isEmpty)
        #expect(ChatConfiguration(route: route, chat: "c", identity: ChatIdentity(uid: "u")).chat == "c")
        #expect(Notifier(route: route).concurrency == 64)
        #expect(DeviceFilter(uid: "tom") != DeviceFilter.all)
    }

    @Test("packs and unpacks payloads", arguments: [PayloadCompression.gzip, .lz4, .snappy])
    func packs(_ compression: PayloadCompression) throws {
        let text = String(repeating: "hello ", count: 20_000)
        let message = try OutgoingMessage(topic: "t", text: text, key: "k").packed(by: compression)
        #expect(message.payload.count < text.utf8.count / 4 && message.compression == compression && message.key == "k")
        let format: PayloadFormat = message.format
        let came = ReceivedMessage(topic: "t", payload: message.payload, format: format, compression: message.compression)
        #expect(try came.unpackedPayload() == Array(text.utf8))
        #expect(throws: ShuntError.self) { try came.unpackedPayload(limit: 1000) }
        // What is packed already, or empty, stays as it is.
        #expect(try message.packed(by: .gzip) == message)
        #expect(try OutgoingMessage(topic: "t", text: "").packed(by: compression).compression == .none)
        #expect(try OutgoingMessage(topic: "t", text: text).packed(by: .none).payload == Array(text.utf8))
    }

    @Test("fails with errors that say what is wrong")
    func failures() async {
        await #expect(throws: ShuntError.self) { try await Producer.connect(ProducerConfiguration(route: .workers([]))) }
        do throws(ShuntError) {
            _ = try await Consumer.subscribe(ConsumerConfiguration(route: .masters([HostPort("127.0.0.1", 1)]), topic: "", group: "g"))
        } catch {
            #expect(error.code == .topicInvalid)
        }
        let failure = SendFailure(.unknown, ShuntError(.connectionLost, "gone"))
        #expect(failure.outcome == .unknown && failure.error.code == .connectionLost)
    }
}
