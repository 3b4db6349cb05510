import ShuntCore
import Testing

@testable import ShuntClient

@Suite("Which code a refusal stands for") struct RefusalCodeTests {
    @Test(
        "A 403 is a right that the client lacks, a ban, or a rule's doing: its text says which",
        arguments: [
            (AccessRefusal.lacking("publish to 'a/b'"), ErrorCode.accessDenied), (AccessRefusal.lacking("send broadcasts"), .accessDenied),
            (AccessRefusal.lacking("read some topics of 'a/#'") + "; members of a group must be allowed to read all", .accessDenied),
            (AccessRefusal.isOther(than: "ada"), .accessDenied), (AccessRefusal.banned, .accessBanned),
            ("not on Sundays", .ruleRejected), ("", .ruleRejected),
        ])
    func forbidden(text: String, code: ShuntCore.ErrorCode) {
        #expect(Refusal(status: 403, text: text).code == code)
        #expect(code.exitCode == 77)
    }
}
