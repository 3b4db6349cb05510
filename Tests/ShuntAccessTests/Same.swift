import Testing

/// `#expect` of what a state machine says, which changes it.
func same<Value: Equatable>(_ found: Value, _ expected: Value, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(found == expected, comment, sourceLocation: sourceLocation)
}
