/// What has come of a call of the rules that has waited for a look-up.
public enum WaitedOutcome: Equatable, Sendable {
    /// `on_connect`.
    case connect(ConnectOutcome)
    /// `on_register`.
    case register(RegisterOutcome)
    /// `on_subscribe`.
    case subscribe(SubscribeOutcome)
    /// `on_auth`.
    case auth(AuthOutcome)
    /// The rules have changed: it is to begin anew, with those that there are now.
    case anew

    /// nil: it begins anew.
    public var connect: ConnectOutcome? { if case .connect(let outcome) = self { outcome } else { nil } }
    public var register: RegisterOutcome? { if case .register(let outcome) = self { outcome } else { nil } }
    public var subscribe: SubscribeOutcome? { if case .subscribe(let outcome) = self { outcome } else { nil } }
}

/// A step of MQTT 5.0's enhanced authentication, as rules see it.
public struct AuthStep: Equatable, Sendable {
    public var method: String
    public var data: [UInt8]
    /// The first step is number 1.
    public var number: Int

    public init(method: String, data: [UInt8], number: Int) {
        (self.method, self.data, self.number) = (method, data, number)
    }
}

/// The rules' decision about a step.
public enum AuthOutcome: Equatable, Sendable {
    /// No rule has anything to do with the method.
    case unknown
    /// The client is asked for another step.
    case proceed(data: [UInt8])
    /// The client has shown who it is.
    case accept(Identity)
    case reject(why: String)
    /// The call waits.
    case waits

    public struct Identity: Equatable, Sendable {
        public var uid: String?
        public var tags: [String]?
        public var alias: [String]?
        public var terms = ClientTerms()

        public init(uid: String? = nil, tags: [String]? = nil, alias: [String]? = nil, terms: ClientTerms = ClientTerms()) {
            (self.uid, self.tags, self.alias, self.terms) = (uid, tags, alias, terms)
        }
    }
}

/// What a rule looks up.
public struct RuleLookup: Equatable, Sendable {
    public enum What: Equatable, Sendable {
        case get(String)
        case post(String, body: [UInt8])
        case resolve(String)
    }

    public var what: What
    /// Header lines.
    public var headers: [String] = []
    /// Seconds that it may take; nil: as the configuration says.
    public var timeout: Double?
    /// Seconds that its answer counts for others, too; nil: it is asked each time.
    public var cache: Double?
    /// Names the network of the client whose call asks.
    public var network: UInt64 = 0

    public init(_ what: What) { self.what = what }
}

/// What a look-up has found.
public enum LookupAnswer: Equatable, Sendable {
    case response(status: Int, headers: [String: String], body: [UInt8])
    case addresses([String])
    /// Why there is nothing.
    case failed(String)
}

/// What becomes of a look-up at once.
public enum LookupStep: Equatable, Sendable {
    case known(LookupAnswer)
    /// The answer comes later.
    case waits
    /// The rule may not ask that: an error of the rule.
    case refused(String)
}

/// Where the rules of a loop look things up. Called on the loop.
public protocol RuleLookups: AnyObject {
    /// Whether the rule of a plugin may look anything up.
    func allows(_ plugin: String) -> Bool
    /// Seconds that one call of its rule may wait, all of its look-ups together.
    func patience(of plugin: String) -> Double
    /// - Parameters:
    ///   - timeLimit: the most seconds that it may take.
    ///   - call: names it in the answer.
    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep
}
