import ShuntCore
import ShuntRegistry
import Testing

@testable import ShuntAdmin

@Suite struct TableTests {
    private func worker(_ number: Int, _ state: WorkerRecord.State = .live) -> WorkerRecord {
        WorkerRecord(
            name: "worker-\(number).example.internal:4091", host: "h", port: 4091, state: state, version: "shunt 0.1.0",
            startedAt: 1_000,
            heartbeatAt: 100_000 - Double(number), configuredName: "edge-\(number)",
            figures: WorkerFigures(
                connections: 15_000, requests: 1_234_567, requestBytes: 5 << 30, subscriptions: 20, deliveries: 7))
    }

    private var workers: Table { WorkerListing.table([worker(1), worker(22, .lost)], now: 100_000) }

    @Test("At 200 columns everything is shown whole, numbers to the right")
    func wide() {
        let rendered = workers.render(width: 200, colors: false)
        #expect(rendered.hidden.isEmpty)
        #expect(
            rendered.text == """
                WORKER                           NAME     STATE  CONNECTIONS  SUBSCRIPTIONS  REQUESTS  DELIVERIES  RECEIVED  HEARTBEAT  UP  VERSION
                worker-1.example.internal:4091   edge-1   live         15000             20   1234567           7   5.0 GiB     1s ago  1d  shunt 0.1.0
                worker-22.example.internal:4091  edge-22  lost         15000             20   1234567           7   5.0 GiB    22s ago  1d  shunt 0.1.0

                """)
    }

    @Test("At 80 columns texts are cut and the least important columns are hidden, and it is said which")
    func medium() {
        let rendered = workers.render(width: 80, colors: false)
        #expect(rendered.hidden == ["SUBSCRIPTIONS", "REQUESTS", "RECEIVED", "UP", "VERSION"])
        #expect(
            rendered.text == """
                WORKER                        NAME     STATE  CONNECTIONS  DELIVERIES  HEARTBEAT
                worker-1.example.internal:4…  edge-1   live         15000           7     1s ago
                worker-22.example.internal:…  edge-22  lost         15000           7    22s ago

                """)
    }

    @Test("At 20 columns the name and the state are left")
    func narrow() {
        let rendered = workers.render(width: 20, colors: false)
        #expect(
            rendered.text == """
                WORKER         STATE
                worker-1.exa…  live
                worker-22.ex…  lost

                """)
    }

    @Test("No line is wider than the terminal, at any width", arguments: 1...220)
    func everyWidth(_ width: Int) {
        let wideTexts = Table(
            columns: [.init(title: "漢字の題"), .init(title: "N", isNumber: true), .init(title: "TEXT")],
            rows: [["漢字漢字漢字漢字", "123456789", "👍👍👍👍👍 and more that is long"], ["", "", ""]])
        for table in [workers, wideTexts] {
            for line in table.render(width: width, colors: false).text.split(separator: "\n") {
                #expect(Text.width(String(line)) <= width)
            }
        }
    }

    @Test("A number is shown whole or not at all")
    func wholeNumbers() {
        let table = Table(
            columns: [.init(title: "NAME"), .init(title: "N", isNumber: true)],
            rows: [["a-long-name-that-may-be-cut", "1234567890123"]])
        for width in 2...60 {
            let rendered = table.render(width: width, colors: false)
            #expect(rendered.text.contains("1234567890123") || rendered.hidden == ["N"])
        }
    }

    @Test("Without a terminal no line is cut, and nothing is hidden")
    func unlimited() {
        let long = String(repeating: "x", count: 5_000)
        let rendered = Table(columns: [.init(title: "A"), .init(title: "B")], rows: [[.init(long), .init(long)]]).render(
            width: nil, colors: false)
        #expect(rendered.text == "A" + String(repeating: " ", count: 5_001) + "B\n" + long + "  " + long + "\n")
    }

    @Test("Colours are there only where they are asked for, and change no width")
    func colors() {
        let plain = workers.render(width: 80, colors: false).text
        let colored = workers.render(width: 80, colors: true).text
        #expect(!plain.contains("\u{1B}"))
        #expect(colored.contains("\u{1B}[32mlive \u{1B}[0m"))
        #expect(colored.contains("\u{1B}[31mlost \u{1B}[0m"))
        var stripped = colored
        for code in ["0", "2", "31", "32"] { stripped.replace("\u{1B}[\(code)m", with: "") }
        #expect(stripped == plain)
    }

    @Test("A value cannot move the cursor or add a line")
    func hostile() {
        var record = worker(1)
        record.version = "\u{1B}[2J\nNAME"
        let table = WorkerListing.table([record], now: 0).render(width: nil, colors: false).text
        let detail = WorkerListing.detail(record, now: 0, width: nil)
        for text in [table, detail] {
            #expect(!text.contains("\u{1B}"))
            #expect(text.contains("\\u{1B}[2J\\nNAME"))
        }
        #expect(table.split(separator: "\n").count == 2)
    }

    @Test("Figures that no worker can have do not stop the report")
    func absurdFigures() {
        var record = worker(1)
        for value in [Int.min, -1, 0, 1, .max] {
            record.figures.responseMilliseconds = value
            record.figures.responses = value == 0 ? 0 : 1
            record.figures.requestBytes = value
            record.startedAt = Double(value)
            record.heartbeatAt = -Double(value)
            #expect(WorkerListing.detail(record, now: 0, width: 80).contains("time per response"))
            #expect(!WorkerListing.table([record], now: 0).render(width: 80, colors: false).text.isEmpty)
        }
    }

    @Test("A query's columns of numbers stand right; NULL is said; bytes are written as SQLite writes them")
    func query() {
        let result = QueryResult(
            columns: ["name", "n", "mixed"],
            rows: [[.text("a"), .integer(5), .text("x")], [.null, .real(12.5), .blob([0, 255])], [.text("c"), .null]],
            truncated: false)
        #expect(
            QueryListing.table(result).render(width: nil, colors: false).text == """
                name     n  mixed
                a        5  x
                NULL  12.5  x'00FF'
                c     NULL  NULL

                """)
        #expect(QueryListing.csv(result).text == "name,n,mixed\r\na,5,x\r\n,12.5,x'00FF'\r\nc,\r\n")
        #expect(
            QueryListing.table(QueryResult(columns: [], rows: [], truncated: false)).render(width: 10, colors: false).text == "\n")
    }
}
