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

    /// The distance of Damerau and Levenshtein: letters to insert, delete or replace, or neighbours to swap.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var (before, row) = ([Int](), Array(0...b.count))
        for (i, letter) in a.enumerated() {
            var next = [i + 1]
            for (j, other) in b.enumerated() {
                var least = min(row[j] + (letter == other ? 0 : 1), next[j] + 1, row[j + 1] + 1)
                if i > 0, j > 0, letter == b[j - 1], a[i - 1] == other { least = min(least, before[j - 1] + 1) }
                next.append(least)
            }
            (before, row) = (row, next)
        }
        return row[b.count]
    }
}
