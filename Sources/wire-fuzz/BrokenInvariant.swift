/// A promise that did not hold.
struct BrokenInvariant: Error {
    let promise: String

    init(_ promise: String) { self.promise = promise }
}

func expect(_ condition: Bool, _ promise: @autoclosure () -> String) throws(BrokenInvariant) {
    if !condition { throw BrokenInvariant(promise()) }
}
