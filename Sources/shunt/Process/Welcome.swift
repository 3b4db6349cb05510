import Glibc
import ShuntConfig
import ShuntMaster
import ShuntWorker

/// The screen that `shunt dev` shows at its start.
enum Welcome {
    static func text(_ configuration: Configuration, master: Master, worker: Worker, health: String) -> String {
        let rules: String
        switch configuration.rules.enabled {
        case .all: rules = "all of \(configuration.rules.directory)/"
        case .named(let names): rules = names.isEmpty ? "none (rules.enabled in the configuration)" : names.joined(separator: ", ")
        }
        let exchange = worker.exchangeAddress ?? "none"
        let mqtt = configuration.worker.listeners.filter { $0.value.protocol == .mqtt }.keys.sorted().compactMap { worker.listeners[$0] }
        let mqttLines = mqtt.map { "\n              MQTT                \($0)" }.joined()
        // The commands below need no address where it is the default.
        let at = master.exchangeAddress == "127.0.0.1:4088" ? "" : " --master \(master.exchangeAddress)"
        let admin = master.adminAddress == "127.0.0.1:4080" ? "" : " --master \(master.adminAddress)"
        let padding = String(repeating: " ", count: max(1, 12 - String(getpid()).utf8.count))
        return """

              shunt \(Shunt.version): a master and a worker in one process

                master    exchange protocol   \(master.exchangeAddress)
                          admin API           http://\(master.adminAddress)/api/v1/workers
                          registry            \(configuration.master.registry.path)
                worker    exchange protocol   \(exchange)\(mqttLines)
                          health, metrics     http://\(health)/metrics
                          rules               \(rules)

              Now, in other terminals:

                shunt sub 'orders/#'\(at)
                shunt pub orders/1 '{"id":1}'\(at)
                shunt admin workers\(admin)

                kill -HUP \(getpid())\(padding)takes on a changed configuration, or a changed rule

              Ctrl-C ends it.

            """
    }
}
