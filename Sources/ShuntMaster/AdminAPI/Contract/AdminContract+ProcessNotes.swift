import ShuntCore
import ShuntJSON

extension AdminContract {
    /// Of workers over time, of clients that move to other workers, and of what processes do alike.
    static let processNotes: [String: JSONSchema.Note] = [
        "HistoryDocument": "Figures over time.",
        "HistoryDocument.worker": "The worker's `host:port`; not there where it is all workers together.",
        "HistoryDocument.step": "The length of a step, in seconds.",
        "HistoryDocument.start": "When the first step began, in seconds since 1970.",
        "HistoryDocument.count": "How many steps there are.",
        "HistoryDocument.series": "For each figure its values: counters a second, others as means; null where nothing is known of a step.",

        "MasterRoleRecord": "Which of several masters serves, as this one knows it.",
        "MasterRoleRecord.role": "`serving` or `standby`.",
        "MasterRoleRecord.address": "This master's own address, as workers have it.",
        "MasterRoleRecord.term": "The term in which it serves, or the last that it has heard of.",
        "MasterRoleRecord.since": "When the role began, in seconds since 1970.",
        "MasterRoleRecord.serving": "The master that serves; not there where this one hears of none.",
        "MasterRoleRecord.heard": "How many workers it hears.",
        "MasterRoleRecord.electorate": "How many workers there are in the electorate of a master that serves.",
        "MasterRoleRecord.masters": "The other masters.",
        "MasterRoleRecord.Other.address": "The other master's address.",
        "MasterRoleRecord.Other.role": "`serving`, `standby` or `silent`.",
        "MasterRoleRecord.Other.term": "The last term that it has said.",
        "StatusDocument.master": "Which master serves; not there where the master has no peers.",

        "DrainRecord": "How far a worker is that sends clients to other workers.",
        "DrainRecord.draining": "Whether it drains: it takes no new clients.",
        "DrainRecord.since": "When the drain began, in seconds since 1970; not there where it does not drain.",
        "DrainRecord.connections": "Connections that are still there.",
        "DrainRecord.sessions": "Sessions of MQTT that outlive their connections and are still there.",
        "DrainRecord.chats": "Chats that are still there.",
        "DrainRecord.delayed": "Messages that rules delay and that are still to be sent.",
        "DrainRecord.leaving": "Clients and sessions that are to go once they have taken what waits for them.",
        "DrainRecord.sent": "Clients and sessions that have gone.",
        "DrainRecord.excess": "Clients that are still to go where the worker balances.",
        "DrainRecord.waits": "Why nobody is sent away at present; not there where somebody is.",

        "BalancePlan": "Which workers have more clients than their share.",
        "BalancePlan.mean": "The share of each live worker.",
        "BalancePlan.workers": "The live workers by name.",
        "BalancePlan.Worker.connections": "Its clients.",
        "BalancePlan.Worker.move": "How many of these are to move.",
        "BalancePlan.Worker.is_shunt": "Whether it is one of Shunt's own; one of message-channel is told the mean by BALANCE.",
        "BalancePlan.Worker.error": "Why it does not move them.",

        "ProcessAnswersRecord": "What the master's process and the workers' have answered.",
        "ProcessAnswersRecord.master": "The master's answer; not there where one worker was asked, or the master's process is a worker's too.",
        "ProcessAnswersRecord.error": "Why the master has not done it.",
        "ProcessAnswersRecord.workers": "The workers that have answered.",
        "SettingsRecord": "The settings with which a process runs.",
        "SettingsRecord.settings": "The settings, in the order of the reference.",
        "SettingRecord.key": "The key, as `limits.frame`.",
        "SettingRecord.value": "YAML in one line; `(hidden)` where it may hold secrets.",
        "SettingRecord.place": "Where it was given: `file:line:column`, `--set key` or a variable's name; not there where the default holds.",
        "SettingRecord.next": "The value from the next start on, where that is another.",
        "ReloadRecord": "What came of reading a configuration again.",
        "ReloadRecord.changed": "The keys that have changed, with their values.",
        "ReloadRecord.waiting": "The keys that stay as they are until the next start, with their values.",
        "LogLevelsRecord": "How much a process logs.",
        "LogLevelsRecord.levels": "The lowest level that is written, by subsystem.",
    ]
}
