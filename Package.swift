// swift-tools-version: 6.2
import PackageDescription

/// For code on the message path, in release builds. Loop state has one owner, and debug builds, which all tests run in,
/// check that no access overlaps another: checking it again cost a quarter of the time. Of what
/// ShuntClient imports MQTTCodec alone has them: packages that depend on it need a Swift that takes such flags from a dependency, as 6.3 does.
let hotPath: [SwiftSetting] = [
    .unsafeFlags(["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
]
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")

let package = Package(
    name: "shunt",
    products: [
        .executable(name: "shunt", targets: ["shunt"]),
        .library(name: "ShuntClient", targets: ["ShuntClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // System libraries.
        .systemLibrary(name: "CCrypt", pkgConfig: "libcrypt", providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSnappy", providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "CWslay", providers: [.apt(["libwslay-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // The pure core.
        .target(name: "ShuntCore"),
        .target(name: "ShuntJSON"),
        .target(name: "ExchangeCodec", dependencies: ["ShuntCore"]),
        .target(name: "MQTTCodec", dependencies: ["ShuntCore"], swiftSettings: hotPath),
        .target(name: "ShuntEngine", dependencies: ["ExchangeCodec", "MQTTCodec", "ShuntCore"], swiftSettings: hotPath),
        .target(name: "PayloadCompression", dependencies: ["CLZ4", "CSnappy", "CZlib", "ShuntCore"]),

        // Rules.
        // Lua's own archive (liblua5.4-dev): calls into the shared library would cost a sixth of a rule's time.
        // What in it takes long, or fails, over what a rule can make is replaced (concat.c, replaced.c, table_keys.c), as is what each message
        // would pay for (lazy.c, shortcuts.c).
        // Unless told otherwise, the compiler takes the path of every message for code that seldom runs, and makes it small instead of fast.
        .target(
            name: "CLuaHost",
            cSettings: [.unsafeFlags(["-Xclang", "-fno-split-cold-code"])],
            linkerSettings: [
                .linkedLibrary(":liblua5.4.a"),
                .unsafeFlags([
                    "-Xlinker", "--wrap=luaT_tryconcatTM", "-Xlinker", "--wrap=luaT_gettm", "-Xlinker", "--wrap=luaT_gettmbyobj",
                    "-Xlinker", "--wrap=luaT_callTMres", "-Xlinker", "--wrap=luaT_callTM",
                    "-Xlinker", "--wrap=luaD_pretailcall", "-Xlinker", "--wrap=luaD_poscall",
                    "-Xlinker", "--wrap=luaC_step", "-Xlinker", "--wrap=luaC_fullgc", "-Xlinker", "--wrap=luaH_finishset", "-Xlinker",
                    "--wrap=luaH_set",
                    "-Xlinker", "--wrap=luaH_setint",
                    "-Xlinker", "--wrap=lua_next", "-Xlinker", "--wrap=lua_rawget", "-Xlinker", "--wrap=lua_rawgeti", "-Xlinker", "--wrap=lua_rawset",
                    "-Xlinker", "--wrap=lua_rawseti", "-Xlinker", "--wrap=lua_rawlen", "-Xlinker", "--wrap=lua_getmetatable",
                    "-Xlinker", "--wrap=lua_setmetatable",
                    "-Xlinker", "--wrap=luaS_hashlongstr", "-Xlinker", "--wrap=luaO_str2num", "-Xlinker", "--wrap=strcoll",
                    "-Xlinker", "--wrap=longjmp", "-Xlinker", "--wrap=_longjmp", "-Xlinker", "--wrap=__longjmp_chk",
                ]),
            ]),
        .target(name: "LuaSyntax"),
        .target(name: "ShuntRules", dependencies: ["CLuaHost", "LuaSyntax", "ShuntCore"], swiftSettings: hotPath),

        .target(name: "ShuntRehearsal", dependencies: ["ExchangeCodec", "PayloadCompression", "ShuntCore", "ShuntEngine", "ShuntRules"]),

        // The edge.
        .target(name: "CLinux"),
        .target(name: "ShuntReactor", dependencies: ["CLinux", "COpenSSL", "CUV", "CWslay", "ShuntCore"], swiftSettings: hotPath),
        .target(name: "ShuntTLS", dependencies: ["COpenSSL", "ShuntCore", "ShuntReactor"], swiftSettings: hotPath),
        .target(name: "ShuntConfig", dependencies: ["ShuntCore", .product(name: "Yams", package: "Yams")]),
        .target(name: "ShuntAccess", dependencies: ["CCrypt", "COpenSSL", "ShuntConfig", "ShuntCore"], swiftSettings: hotPath),
        // libcurl is loaded when it is needed.
        .target(name: "CCurl"),
        .target(name: "ShuntFetch", dependencies: ["CCurl", "CLinux", "ShuntCore"]),
        .target(name: "ShuntLog", dependencies: ["ShuntConfig", "ShuntCore", logging]),
        .target(
            name: "ShuntRegistry",
            dependencies: [
                "ShuntCore", "ShuntJSON", logging, .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        .target(name: "ShuntTLSNIO", dependencies: ["COpenSSL", "ShuntCore", .product(name: "NIOCore", package: "swift-nio")]),
        .target(name: "ShuntHTTP", dependencies: ["ShuntCore", "ShuntJSON", "ShuntTLSNIO", logging, nioHTTP] + nio),

        // The processes.
        // The dashboard's files become constants in the binary, by #embed.
        .target(name: "CDashboard", exclude: ["page"]),
        .target(
            name: "ShuntMaster",
            dependencies: [
                "CDashboard", "ExchangeCodec", "ShuntAccess", "ShuntConfig", "ShuntCore", "ShuntEngine", "ShuntHTTP", "ShuntJSON", "ShuntReactor",
                "ShuntRegistry", "ShuntTLS", "ShuntTLSNIO", logging,
            ]),
        .target(
            name: "ShuntWorker",
            dependencies: [
                "ExchangeCodec", "MQTTCodec", "PayloadCompression", "ShuntAccess", "ShuntConfig", "ShuntCore", "ShuntEngine", "ShuntFetch",
                "ShuntJSON", "ShuntReactor", "ShuntRules", "ShuntTLS", logging,
            ], swiftSettings: hotPath),

        // The clients.
        .target(
            name: "ShuntClient", dependencies: ["ExchangeCodec", "MQTTCodec", "PayloadCompression", "ShuntCore", "ShuntTLSNIO"] + nio),
        // The example of a program in Swift, which is a package of its own too: here it goes on compiling, against the library alone.
        .executableTarget(name: "swift-client", dependencies: ["ShuntClient"], path: "examples/swift-client/Sources/swift-client"),
        .target(name: "ShuntShell", dependencies: ["ShuntClient", "ShuntCore", .product(name: "NIOPosix", package: "swift-nio")]),
        .target(
            name: "ShuntAdmin",
            dependencies: [
                "CLinux", "ShuntAccess", "ShuntConfig", "ShuntCore", "ShuntHTTP", "ShuntJSON", "ShuntRegistry", "ShuntTLSNIO", argumentParser,
                nioHTTP,
            ] + nio),

        // Load for brokers.
        .systemLibrary(name: "CLoad"),
        .target(name: "ShuntBench", dependencies: ["CLoad", "COpenSSL", "MQTTCodec", "ShuntCore"], swiftSettings: hotPath),

        // The commands.
        .executableTarget(
            name: "shunt",
            dependencies: [
                "CLinux", "MQTTCodec", "ShuntAccess", "ShuntAdmin", "ShuntBench", "ShuntClient", "ShuntConfig", "ShuntCore", "ShuntHTTP", "ShuntLog",
                "ShuntMaster", "ShuntReactor", "ShuntRehearsal", "ShuntRules", "ShuntShell", "ShuntTLS", "ShuntWorker", argumentParser, logging,
            ]),
        .executableTarget(
            name: "wire-fuzz", dependencies: ["ExchangeCodec", "MQTTCodec", "PayloadCompression", "ShuntCore", "ShuntEngine", "ShuntReactor"]),
        .executableTarget(name: "rules-bench", dependencies: ["ShuntCore", "ShuntRules"], swiftSettings: hotPath),
        .executableTarget(name: "routing-bench", dependencies: ["ShuntCore"], path: "Benchmarks/routing-bench", swiftSettings: hotPath),
        .executableTarget(
            name: "master-bench", dependencies: ["ExchangeCodec", "ShuntCore", "ShuntEngine"], path: "Benchmarks/master-bench"),
        .executableTarget(
            name: "shunt-bench", dependencies: ["CLoad", "COpenSSL", "ExchangeCodec", "MQTTCodec", "ShuntBench", "ShuntCore", argumentParser],
            path: "Benchmarks/shunt-bench"),

        // Tests.
        .target(name: "SeededRandom", path: "Tests/SeededRandom"),
        .testTarget(name: "ShuntCoreTests", dependencies: ["SeededRandom", "ShuntCore"]),
        .testTarget(name: "ExchangeCodecTests", dependencies: ["ExchangeCodec", "ShuntCore"]),
        .testTarget(name: "MQTTCodecTests", dependencies: ["MQTTCodec", "SeededRandom", "ShuntCore"]),
        .testTarget(name: "PayloadCompressionTests", dependencies: ["PayloadCompression", "ShuntCore"]),
        .testTarget(
            name: "ShuntEngineTests", dependencies: ["ExchangeCodec", "MQTTCodec", "SeededRandom", "ShuntCore", "ShuntEngine", "ShuntRules"]),
        .testTarget(name: "ShuntRulesTests", dependencies: ["CLuaHost", "LuaSyntax", "SeededRandom", "ShuntCore", "ShuntRules"]),
        .testTarget(name: "ShuntRehearsalTests", dependencies: ["ShuntCore", "ShuntRehearsal", "ShuntRules"]),
        .testTarget(name: "ShuntReactorTests", dependencies: ["SeededRandom", "ShuntCore", "ShuntReactor"]),
        .testTarget(name: "ShuntTLSTests", dependencies: ["COpenSSL", "SeededRandom", "ShuntCore", "ShuntReactor", "ShuntTLS"]),
        .testTarget(
            name: "ShuntTLSNIOTests",
            dependencies: [
                "SeededRandom", "ShuntCore", "ShuntTLS", "ShuntTLSNIO", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ]),
        .testTarget(
            name: "ShuntWorkerTests",
            dependencies: [
                "ExchangeCodec", "MQTTCodec", "SeededRandom", "ShuntConfig", "ShuntCore", "ShuntEngine", "ShuntReactor", "ShuntWorker",
            ]),
        .testTarget(name: "ShuntConfigTests", dependencies: ["ShuntConfig", "ShuntCore"]),
        .testTarget(name: "ShuntAccessTests", dependencies: ["COpenSSL", "SeededRandom", "ShuntAccess", "ShuntConfig", "ShuntCore"]),
        .testTarget(name: "ShuntFetchTests", dependencies: ["ShuntFetch"]),
        .testTarget(name: "ShuntLogTests", dependencies: ["ShuntConfig", "ShuntLog", logging]),
        .testTarget(
            name: "ShuntRegistryTests",
            dependencies: ["ShuntCore", "ShuntJSON", "ShuntRegistry", logging, .product(name: "GRDB", package: "GRDB.swift")]),
        .target(name: "RawHTTP", path: "Tests/RawHTTP"),
        .testTarget(name: "ShuntHTTPTests", dependencies: ["RawHTTP", "ShuntCore", "ShuntHTTP", "ShuntJSON", logging]),
        .testTarget(
            name: "ShuntMasterTests",
            dependencies: ["RawHTTP", "ShuntAccess", "ShuntCore", "ShuntHTTP", "ShuntJSON", "ShuntMaster", "ShuntRegistry", logging]),
        .testTarget(
            name: "ShuntAdminTests",
            dependencies: [
                "RawHTTP", "ShuntAccess", "ShuntAdmin", "ShuntCore", "ShuntHTTP", "ShuntJSON", "ShuntMaster", "ShuntRegistry", logging,
            ]),
        .testTarget(name: "ShuntBenchTests", dependencies: ["MQTTCodec", "SeededRandom", "ShuntBench", "ShuntCore"]),
        .testTarget(
            name: "ShuntClientTests",
            dependencies: ["ExchangeCodec", "MQTTCodec", "SeededRandom", "ShuntClient", "ShuntCore", "ShuntShell"] + nio),
    ],
    swiftLanguageModes: [.v6]
)
