// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "swift-client",
    dependencies: [.package(name: "shunt", path: "../..")],
    targets: [
        .executableTarget(name: "swift-client", dependencies: [.product(name: "ShuntClient", package: "shunt")])
    ],
    swiftLanguageModes: [.v6]
)
