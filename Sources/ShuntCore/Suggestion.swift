/// Finds the word that somebody probably meant.
public enum Suggestion {
    /// The candidate that differs in the fewest letters; nil if all differ too much.
    public static func closest(to word: String, in candidates: some Sequence<String>) -> String? {
        // No word is that long, and the distance takes time in proportion to the product of the lengths.
        guard word.utf8.count <= 100 else { return nil }
        let tolerance = min(4, (word.utf8.count + 2) / 3)
        let distances = candidates.map { (distance: distance(Array(word.utf8), Array($0.utf8)), candidate: $0) }
        return distances.filter { $0.distance <= tolerance }.min(by: <)?.candidate
    }

    /// The Levenshtein distance: letters to insert, delete or replace.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
