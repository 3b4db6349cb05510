import ShuntCore
import Testing

@Suite struct SuggestionTests {
    @Test(
        "the nearest word is suggested, if it is near",
        arguments: [("frames", "frame"), ("fram", "frame"), ("hosp", "hops"), ("hpos", "hops"), ("x", nil), ("completely", nil), ("", nil)])
    func nearest(word: String, expected: String?) {
        #expect(Suggestion.closest(to: word, in: ["frame", "hops", "topic"]) == expected)
    }
}
