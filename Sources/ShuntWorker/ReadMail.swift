import ShuntEngine
import Synchronization

/// Mail between loops that has been read: its memory is filled again by whichever loop needs some next.
///
/// Keeps a few of usual size while there is traffic, and none after a second without.
final class ReadMail: Sendable {
    private struct Kept {
        var mail: [LoopMail] = []
        /// Ticks since it was used.
        var idle = 0
    }

    private let kept = Mutex(Kept())
    static let mostMail = 16
    /// Bytes of one.
    static let mostMemory = 2 << 20
    /// Mail that is kept now.
    var count: Int { kept.withLock { $0.mail.count } }

    func take() -> LoopMail {
        kept.withLock { kept in
            kept.idle = 0
            return kept.mail.popLast() ?? LoopMail()
        }
    }

    func give(_ mail: LoopMail) {
        guard mail.capacity <= Self.mostMemory else { return }
        mail.reset()
        kept.withLock { if $0.mail.count < Self.mostMail { $0.mail.append(mail) } }
    }

    /// About ten times a second.
    func tick() {
        kept.withLock { kept in
            kept.idle += 1
            if kept.idle == 10 { kept.mail = [] }
        }
    }
}
