/// What the command line asks for.
struct Options {
    var seconds = 10.0
    var iterations: Int?
    var seed: UInt64 = 1

    init?(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { return nil }
            switch name {
            case "--seconds":
                guard let number = Double(value), number > 0 else { return nil }
                seconds = number
            case "--iterations":
                guard let number = Int(value), number > 0 else { return nil }
                iterations = number
            case "--seed":
                guard let number = UInt64(value) else { return nil }
                seed = number
            default: return nil
            }
        }
    }
}
