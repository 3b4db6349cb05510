import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntFetch

extension TokenSource {
    /// nil where tokens are not looked at.
    /// - Parameter section: where the settings stand.
    /// - Throws: the errors of files; `config.*` for keys that would not count until they are fetched again.
    init?(_ jwt: Configuration.Access.JWT, _ section: String, _ files: inout AccessFiles) throws(ShuntError) {
        guard !jwt.keys.isEmpty else { return nil }
        var settings = TokenVerifier.Settings()
        (settings.issuer, settings.audience, settings.uid) = (jwt.issuer, jwt.audience, jwt.uid)
        settings.skew = jwt.skew.seconds
        guard let address = HTTPAddress(jwt.keys) else {
            self = .file(TokenVerifier(keys: try files.keys(jwt.keys, "\(section).keys"), settings: settings))
            return
        }
        guard jwt.keep > jwt.refresh else {
            throw ShuntError(
                .configRange, "keys would not count until they are fetched again", at: "\(section).keep", help: "longer than \(section).refresh")
        }
        try Fetcher.check("\(section).keys")
        var fetching = KeyFetching.Settings()
        (fetching.refresh, fetching.keep) = (jwt.refresh.seconds, jwt.keep.seconds)
        let authorities = jwt.authorities.isEmpty ? nil : try files.authorities(jwt.authorities, "\(section).ca")
        self = .address(RemoteKeys.Settings(address: address, authorities: authorities, fetching: fetching), settings)
    }
}

extension AccessService.Settings {
    /// nil where no service is asked.
    /// - Parameter section: where the settings stand.
    init?(_ http: Configuration.Access.HTTP, _ section: String, _ files: inout AccessFiles) throws(ShuntError) {
        guard let address = HTTPAddress(http.url) else { return nil }
        try Fetcher.check("\(section).url")
        let authorities = http.authorities.isEmpty ? nil : try files.authorities(http.authorities, "\(section).ca")
        self.init(address: address, authorities: authorities, http: http)
    }
}

extension Fetcher {
    /// - Parameter key: the setting that needs libcurl.
    fileprivate static func check(_ key: String) throws(ShuntError) {
        do throws(ShuntError) { try check() } catch { throw ShuntError(error.code, error.message, at: key) }
    }
}
