import ShuntCore

#if LIBFUZZER
    // Coverage-guided fuzzing with libFuzzer and AddressSanitizer, where the toolchain has them:
    // swift build -c release --scratch-path .build/fuzz --product wire-fuzz -Xswiftc -DLIBFUZZER \
    //     -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
    // .build/fuzz/release/wire-fuzz -max_total_time=60

    /// libFuzzer's loop.
    @_silgen_name("LLVMFuzzerRunDriver")
    private func runDriver(
        _ count: UnsafeMutablePointer<CInt>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
        _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt

    private func checkAll(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        let input = Bytes(start: start, count: count)
        do throws(BrokenInvariant) {
            _ = try FrameTarget.check(input)
            _ = try ObjectTarget.check(input)
            _ = try PackingTarget.check(input)
            _ = try PacketTarget.check(input)
            _ = try SessionTarget.check(input)
            _ = try WebSocketTarget.check(input)
        } catch {
            preconditionFailure("broken: \(error.promise)")
        }
        return 0
    }

    /// SwiftPM names the entry point of an executable after its module.
    @_cdecl("wire_fuzz_main")
    public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
        var count = count
        var arguments = arguments
        return runDriver(&count, &arguments) { checkAll($0, $1) }
    }
#else
    #if canImport(Glibc)
        import Glibc
    #else
        import Darwin
    #endif

    /// `wire-fuzz [--seconds N | --iterations N] [--seed N]`
    ///
    /// Feeds changed frames, objects, packed values, packets and WebSocket's frames to the readers of wire data, and to MQTT's sessions, and
    /// checks their promises. The same seed gives the same inputs. Ends with 1, and the input in hexadecimal, if a promise does not hold.
    @main
    enum WireFuzz {
        static func main() {
            guard let options = Options(CommandLine.arguments.dropFirst()) else {
                print("usage: wire-fuzz [--seconds N | --iterations N] [--seed N]")
                exit(64)
            }
            exit(run(options))
        }

        static func run(_ options: Options) -> Int32 {
            var targets = [
                Target("frames", seed: options.seed, corpus: Corpus.frames, check: FrameTarget.check),
                Target("objects", seed: options.seed, corpus: Corpus.objects, tokens: Corpus.tokens, check: ObjectTarget.check),
                Target("packings", seed: options.seed, corpus: Corpus.packed, check: PackingTarget.check),
                Target("packets", seed: options.seed, corpus: Corpus.packets, tokens: Corpus.packetTokens, check: PacketTarget.check),
                Target("sessions", seed: options.seed, corpus: Corpus.conversations, tokens: Corpus.packetTokens, check: SessionTarget.check),
                Target("websockets", seed: options.seed, corpus: Corpus.webSockets, check: WebSocketTarget.check),
            ]
            let end = ContinuousClock.now.advanced(by: .seconds(options.seconds))
            var rounds = 0
            while options.iterations.map({ rounds < $0 }) ?? (ContinuousClock.now < end) {
                rounds += 1
                for index in targets.indices {
                    guard let (input, promise) = targets[index].step() else { continue }
                    let hex = input.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                    print("\(targets[index].name), seed \(options.seed), input \(targets[index].inputs): broken: \(promise)")
                    print(hex)
                    return 1
                }
            }
            for target in targets {
                print("\(target.name): \(target.inputs) inputs, \(target.accepted) of them accepted, all holds")
            }
            return 0
        }
    }
#endif
