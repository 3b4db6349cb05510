/// The candidate nearest to a misspelt word, at most two changes away.
func suggestion(for word: String, among candidates: some Sequence<String>) -> String? {
    candidates.map { ($0, distance(word, $0)) }.filter { $0.1 <= 2 }.min { $0.1 < $1.1 }?.0
}

/// How many letters to insert, remove or replace to make one word of the other (Levenshtein).
private func distance(_ a: String, _ b: String) -> Int {
    let target = Array(b)
    var row = Array(0...target.count)
    for (i, letter) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in target.indices {
            let replaced = diagonal + (letter == target[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[target.count]
}
