import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Operators' commands")
struct CommandTests {
    /// Gives a command, and takes what goes to each worker.
    private func give(_ script: MasterEngineTests.Script, _ command: WorkerCommand) throws -> (id: Int64, [UInt32: CommandRequestBody]) {
        let id = try script.engine.command(command, now: script.now)
        var sent: [UInt32: CommandRequestBody] = [:]
        for case .send(let to, let bytes) in script.engine.actions {
            try bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                let frame = Frame(view, in: start)
                #expect(frame.id == id && frame.type == .binding && frame.name == CommandRequestBody.frameName)
                sent[UInt32(to.slot)] = try frame.value.withUnsafeBytes { try CommandRequestBody(key: frame.key ?? "", decoding: $0) }
            }
        }
        script.engine.clear()
        return (id, sent)
    }

    private func answer(_ script: MasterEngineTests.Script, _ id: Int64, _ result: Result<[UInt8], ShuntError>, on number: UInt32) {
        var frame = Frame(acknowledging: id)
        (frame.format, frame.value) = (.json, CommandAnswerBody(result).encoded())
        #expect(script.ask(frame, on: number) == nil)
    }

    private let done = Array(#"{"version":2}"#.utf8)

    @Test("All of Shunt's workers get a command, and each one's answer stands by its name")
    func toAll() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, sent) = try give(script, WorkerCommand(.rulesReload, arguments: Array(#"{"a":1}"#.utf8)))
        #expect(Set(sent.keys) == [1, 2])
        #expect(sent[1] == CommandRequestBody(.rulesReload, arguments: Array(#"{"a":1}"#.utf8)))
        let refusal = ShuntError(.ruleFailed, "a test fails", at: "plugins/a/rule_test.lua:3", help: "mend it")
        answer(script, id, .failure(refusal), on: 2)
        // Nobody else's answer counts, nor an answer to another command.
        answer(script, id, .success(done), on: 3)
        answer(script, id + 1, .success(done), on: 1)
        #expect(script.engine.takeCommands().isEmpty)
        answer(script, id, .success(done), on: 1)
        let ended = script.engine.takeCommands()
        #expect(ended.map(\.id) == [id])
        #expect(
            ended.first?.answers
                == WorkerAnswers(
                    answers: [.init(worker: "a:1", result: .success(done)), .init(worker: "b:1", result: .failure(refusal))], missing: []))
    }

    @Test("One worker may be meant; a name that no worker has is an error")
    func toOne() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, sent) = try give(script, WorkerCommand(.rules, worker: "b:1"))
        #expect(Set(sent.keys) == [2])
        answer(script, id, .success(done), on: 2)
        #expect(script.engine.takeCommands().first?.answers.answers.map(\.worker) == ["b:1"])
        for name in ["c:1", "j:1"] {
            #expect {
                try script.engine.command(WorkerCommand(.rules, worker: name), now: script.now)
            } throws: {
                ($0 as? ShuntError)?.code == .workerUnknown
            }
        }
    }

    @Test("A command ends when its own patience ends; the worker that says nothing, or goes, is named")
    func missing() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, _) = try give(script, WorkerCommand(.rulesReload, patience: 30))
        answer(script, id, .success(done), on: 1)
        script.wait(15)
        #expect(script.engine.takeCommands().isEmpty)
        script.close(2)
        let ended = script.engine.takeCommands().first
        #expect(ended?.answers.answers.map(\.worker) == ["a:1"] && ended?.answers.missing == ["b:1"])
        let (second, _) = try give(script, WorkerCommand(.rules, patience: 3))
        script.wait(3)
        #expect(script.engine.takeCommands().map(\.id) == [second])
    }

    @Test("A worker that is lost meanwhile is waited for no longer, though its connection is there")
    func lost() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        let (id, _) = try give(script, WorkerCommand(.rulesReload, patience: 60))
        answer(script, id, .success(done), on: 1)
        script.wait(22)
        let ended = script.engine.takeCommands().first
        #expect(ended?.answers.answers.map(\.worker) == ["a:1"] && ended?.answers.missing == ["b:1"])
    }

    @Test("At most sixteen commands are under way")
    func bounded() throws {
        let script = MasterEngineTests.Script.withThreeWorkers()
        for _ in 0..<16 { _ = try give(script, WorkerCommand(.rules)) }
        #expect {
            try script.engine.command(WorkerCommand(.rules), now: script.now)
        } throws: {
            ($0 as? ShuntError)?.code == .memoryLimit
        }
    }

    @Test("A worker refuses a command that it does not know, and arguments that are no object")
    func unknown() throws {
        func answer(_ frame: Frame) throws -> ShuntError? {
            guard case .send(let bytes)? = MasterLink.question(frame).first else { return nil }
            return try bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return nil }
                let value = Frame(view, in: start).value
                guard case .failure(let error) = try value.withUnsafeBytes({ try CommandAnswerBody(decoding: $0) }).result else { return nil }
                return error
            }
        }
        let unknown = try answer(Frame(.binding, id: 7, json: "{}", name: CommandRequestBody.frameName, key: "explode"))
        #expect(unknown?.code == .requestUnsupported && unknown?.help == "workers and master want the same version of Shunt")
        #expect(try answer(Frame(.binding, id: 7, json: "[]", name: CommandRequestBody.frameName, key: "rules"))?.code == .requestInvalid)
    }
}
