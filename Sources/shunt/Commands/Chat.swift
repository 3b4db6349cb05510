import ArgumentParser
import Glibc
import ShuntClient
import ShuntCore
import ShuntShell

/// `shunt chat`: a chat at the terminal.
struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "A chat at the terminal.",
        discussion: """
            Opens the chat, or joins it where it is open already; a chat is at one worker, and the masters say at which. Each line \
            that you type is sent to all other members. What happens is printed, one line each:

              15:04:01 * in the chat, at …  from now on you can send
              15:04:05 bob: hello           a message
              15:04:09 * bob has left       or has joined, is back, did not come back
              15:04:12 * reconnecting: …    the worker is lost; what you type waits

              /quit                         leave for good: your place is free at once
              Ctrl-D                        leave; your place is kept for a minute
              /destroy                      end the chat for all
              //word                        send a line that begins with a slash

              shunt chat support-7 --as ann      in one terminal
              shunt chat support-7 --as bob      in another
              uptime | shunt chat ops --as web1  leaves for good at the input's end

            A name is one member: who joins with it again takes that member's place, and the one before ends with 75. The \
            protocol does not tell who sent a message, so with several others a line may begin with 'someone'. Into a pipe or a \
            file, times are UTC and have the date.

            Over MQTT the chat is the topic $chat/ID, and your name goes along with each line:

              shunt chat support-7 --as ann --mqtt 127.0.0.1

            Exit codes: 0 left or ended, 65 a line was not sent, or the chat is full; 69 no server was found, 75 another \
            connection took the place, 77 a rule refused it.
            """)

    @Argument(help: "The chat's id: 1 to 256 bytes.")
    var id: String

    @Option(name: .customLong("as"), help: "Your name: a uid. Without one you may not get your place back after a lost connection.")
    var name: String?

    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await client.run { () async throws(ShuntError) in try await talk() }
    }

    private func talk() async throws(ShuntError) {
        var connection = try client.connection()
        // A user waits for the answer: the session gives up a worker that hangs sooner.
        connection.pingAfter = .seconds(15)
        connection.pingTimeout = .seconds(5)
        let configuration = ChatConfiguration(
            route: try client.route { $0.userProperties = client.mqtt.userProperties }, chat: id, identity: name.map { ChatIdentity(uid: $0) },
            connection: connection)
        let session = try await ChatSession.join(configuration)
        let printer = ChatPrinter(isTerminal: FileDescriptorStream.standardOutput.isTerminal)
        let conversation = Conversation(printer: printer, leavesAtEnd: !FileDescriptorStream.standardInput.isTerminal)
        let failure = try await client.run { () async throws(ShuntError) in
            try await conversation.run(on: session)
        } atEnd: {
            await session.disconnect()
        }
        if let failure { throw failure }
    }
}
