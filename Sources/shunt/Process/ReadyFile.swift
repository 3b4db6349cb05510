import Glibc
import ShuntCore

/// Tells whoever started the process that everything listens, and where.
enum ReadyFile {
    /// Takes away what an earlier process left, or this one wrote: whoever waits for the file must not find an old one.
    static func remove(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(path) }
    }

    /// Writes `{"process":…,"pid":…,"listeners":{…}}`; the file appears whole or not at all.
    static func write(to path: String, process: String, listeners: [(name: String, address: String)]) throws(ShuntError) {
        let entries = listeners.map { "\"\($0.name)\":\"\($0.address)\"" }.joined(separator: ",")
        let text = "{\"process\":\"\(process)\",\"pid\":\(getpid()),\"listeners\":{\(entries)}}\n"
        let draft = "\(path).\(getpid())"
        guard let file = fopen(draft, "w") else {
            throw ShuntError(.addressUnavailable, "can't write the ready file: \(String(cString: strerror(errno)))", at: path)
        }
        fputs(text, file)
        fclose(file)
        guard rename(draft, path) == 0 else {
            let why = String(cString: strerror(errno))
            unlink(draft)
            throw ShuntError(.addressUnavailable, "can't write the ready file: \(why)", at: path)
        }
    }
}
