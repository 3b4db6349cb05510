import ArgumentParser
import Glibc
import ShuntBench
import ShuntCore
import ShuntShell
import Synchronization

/// A load on the terminal: its progress, its report, its exit code.
struct BenchSession {
    let options: BenchOptions

    func run(_ settings: LoadSettings) async throws {
        let code: Int32
        do throws(ShuntError) {
            code = try await measure(settings)
        } catch {
            StatusLines().clearProgress()
            throw fail([error])
        }
        if code != 0 { throw ExitCode(code) }
    }

    /// - Returns: the exit code.
    private func measure(_ settings: LoadSettings) async throws(ShuntError) -> Int32 {
        let earlier = try await options.earlier()
        let load = try Load(settings)
        let signal = try await drive(load)
        let comparison = Comparison(load.finish(), before: earlier)
        StatusLines().clearProgress()
        let text = ReportText(comparison)
        print(PrintableText.of(options.json ? comparison.json() + "\n" : text.text, keepingLines: true), terminator: "")
        try CommandLineProcess.flushOutput()
        for warning in text.warnings { StatusLines().line(warning) }
        return signal.map { 128 + $0 } ?? Self.exitCode(comparison.now)
    }

    /// Runs a load to its end. SIGINT and SIGTERM have it end early, and the second of them at once.
    /// - Returns: the signal that ended it, if one did.
    private func drive(_ load: Load) async throws(ShuntError) -> Int32? {
        signal(SIGPIPE, SIG_IGN)
        let events = Signals.stream()
        let stopped = Mutex<Int32?>(nil)
        let listening = Task {
            for await event in events {
                guard case .stop(let number) = event else { continue }
                if stopped.withLock({ $0 != nil }) { _exit(128 + number) }
                stopped.withLock { $0 = number }
            }
        }
        defer { listening.cancel() }
        let status = StatusLines()
        var drawn: [LoadSnapshot] = []
        var wasTold = false
        load.start()
        while load.phase != .over {
            try? await Task.sleep(for: Self.step)
            if !wasTold, stopped.withLock({ $0 != nil }) {
                load.stop()
                wasTold = true
            }
            try load.advance()
            guard status.isTerminal, !options.quiet else { continue }
            let now = load.snapshot
            if let last = drawn.last, last.phase == now.phase, now.time - last.time < Self.redrawn { continue }
            // What is told a second is told of the last one.
            drawn.removeAll { $0.phase != now.phase || now.time - $0.time > 1_100_000_000 }
            status.progress(now.text(since: drawn.first))
            drawn.append(now)
        }
        return stopped.withLock { $0 }
    }

    private static let step = Duration.milliseconds(20)
    /// Nanoseconds.
    private static let redrawn = 250_000_000

    private static func exitCode(_ report: BenchReport) -> Int32 {
        if report.hasLostMessages { return ErrorCode.requestInvalid.exitCode }
        return report.connections.failed + report.connections.lost > 0 ? ErrorCode.connectionLost.exitCode : 0
    }
}
