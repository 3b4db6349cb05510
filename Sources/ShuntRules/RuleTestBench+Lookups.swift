import ShuntCore

/// What a test says that look-ups find. A look-up that it says nothing of is an error in the rule.
final class TestLookups: RuleLookups {
    private var answers: [String: LookupAnswer] = [:]
    /// What was asked in the call that runs, and waits.
    private var asked: (call: UInt64, answer: LookupAnswer)?

    func allows(_ plugin: String) -> Bool { true }
    func patience(of plugin: String) -> Double { 60 }

    func set(_ answer: LookupAnswer, for request: String) { answers[request] = answer }

    func lookUp(_ lookup: RuleLookup, of plugin: String, timeLimit: Double, call: UInt64) -> LookupStep {
        do throws(ShuntError) {
            let (request, function) = try Self.request(lookup)
            guard let answer = answers[request] else {
                let nearest = Suggestion.closest(to: request, in: Array(answers.keys)).map { "; the nearest is \"\($0)\"" } ?? ""
                return .refused("the test says nothing of \"\(request)\": \(function)\(nearest)")
            }
            asked = (call, answer)
            return .waits
        } catch {
            return .refused(error.message + (error.help.map { "; \($0)" } ?? ""))
        }
    }

    func take() -> (call: UInt64, answer: LookupAnswer)? {
        defer { asked = nil }
        return asked
    }

    private static func request(_ lookup: RuleLookup) throws(ShuntError) -> (String, function: String) {
        switch lookup.what {
        case .get(let url):
            _ = try LookupTarget(url)
            return ("GET \(url)", "t:http(\"GET URL\", { status = 200, body = \"…\" })")
        case .post(let url, _):
            _ = try LookupTarget(url)
            return ("POST \(url)", "t:http(\"POST URL\", { status = 200, body = \"…\" })")
        case .resolve(let name):
            guard LookupHost.name(name) != nil else { throw ShuntError(.ruleFailed, "'\(name.prefix(100))' is no name of a host") }
            return ("resolve \(name)", "t:resolve(name, { \"192.0.2.1\" })")
        }
    }
}

extension RuleTestBench {
    /// Goes on with a call as long as it waits: its answers are there at once.
    func waited<Outcome>(_ outcome: Outcome, _ unwrap: (WaitedOutcome) -> Outcome?) -> Outcome {
        var outcome = outcome
        while let (call, answer) = lookups.take() {
            if let ended = current?.lookedUp(call, answer, now: now) { outcome = unwrap(ended.1) ?? outcome }
        }
        return outcome
    }

    func answerHTTP(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let help = "t:http(\"GET https://host/path\", { status = 200, body = \"…\" }), or nil and why there is no answer"
        guard let request = asked["request"].string, request.hasPrefix("GET ") || request.hasPrefix("POST ") else {
            throw ShuntError(.ruleInvalid, "t:http takes a method and a URL", help: help)
        }
        let url = request.drop { $0 != " " }.dropFirst()
        do throws(ShuntError) { _ = try LookupTarget(String(url)) } catch { throw ShuntError(.ruleInvalid, "t:http: \(error.message)", help: help) }
        guard asked["answer"] != .null else {
            lookups.set(.failed(asked["why"].string ?? "timed out"), for: request)
            return .object([:])
        }
        let known: [String: TestField] = ["status": .whole(100...599), "body": .bytes, "headers": .namedTexts]
        let fields = try TestField.check(asked["answer"], of: "t:http", known)
        let headers = (fields["headers"]?.table ?? [:]).compactMapValues(\.string)
        lookups.set(
            .response(
                status: Int(fields["status"]?.whole ?? 200),
                headers: Dictionary(headers.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }, body: fields["body"]?.bytes ?? []),
            for: request)
        return .object([:])
    }

    func answerName(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        guard let name = asked["name"].string else {
            throw ShuntError(.ruleInvalid, "t:resolve takes a name", help: "t:resolve(\"auth.internal\", { \"192.0.2.1\" })")
        }
        if asked["addresses"] != .null {
            _ = try TestField.check(asked, of: "t:resolve", ["name": .text, "addresses": .texts, "why": .text])
            lookups.set(.addresses((asked["addresses"].list ?? []).compactMap(\.string)), for: "resolve \(name)")
        } else {
            lookups.set(.failed(asked["why"].string ?? "no such name"), for: "resolve \(name)")
        }
        return .object([:])
    }

    /// A step of an authentication.
    func authenticate(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let asked = try fields(asked, of: "auth", TestField.clientFields, ["data": .bytes])
        let client = clients.client(.object(asked))
        guard let method = client.mqtt?.authMethod else {
            throw ShuntError(.ruleInvalid, "t:auth needs a method", help: "t:auth{ method = \"SCRAM-SHA-256\", data = \"…\", client_id = \"c\" }")
        }
        let rules = try loaded()
        let step = AuthStep(method: method, data: asked["data"]?.bytes ?? [], number: 1)
        let outcome = waited(rules.onAuth(client, step, now: now)) { if case .auth(let outcome) = $0 { outcome } else { nil } }
        var out = observedOwn()
        switch outcome {
        case .unknown, .waits: out["verdict"] = "pass"
        case .proceed(let data):
            out["verdict"] = "continue"
            out["data"] = .bytes(data)
        case .accept(let identity):
            out["verdict"] = "accept"
            if let uid = identity.uid { out["uid"] = .string(uid) }
            if let tags = identity.tags { out["tags"] = .array(tags.map(LuaValue.string)) }
            if let alias = identity.alias { out["alias"] = .array(alias.map(LuaValue.string)) }
            out.merge(described(identity.terms)) { own, _ in own }
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        }
        return .object(out)
    }
}
