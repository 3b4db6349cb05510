/// Times of bodies: milliseconds since 1970 there, seconds elsewhere.
enum MillisecondTime {
    /// Beyond any date, and exact in milliseconds and in seconds.
    private static let latest: Int64 = 1 << 50

    static func seconds(_ milliseconds: Int64) -> Double { Double(min(max(milliseconds, -latest), latest)) / 1_000 }

    static func milliseconds(_ seconds: Double) -> Int64 {
        Int64(min(max(seconds * 1_000, -Double(latest)), Double(latest)).rounded())
    }
}
