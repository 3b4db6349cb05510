// Who is kept out: clients that workers have refused, and bans.

import { ask } from "./api.js";
import { choice, el, full, setText, time, utc } from "./elements.js";
import { cluster } from "./figures.js";
import { pagedView } from "./sessions.js";
import { Table } from "./table.js";
import { View, command, dialog, fields, input, searchForm } from "./view.js";

const LENGTHS = [["3600", "for an hour"], ["86400", "for a day"], ["604800", "for a week"], ["", "until it is lifted"]];

export async function ban(subject, seconds, why) {
    const body = { subject, ...(seconds ? { seconds: Number(seconds) } : {}), ...(why ? { why } : {}) };
    const made = await ask("bans", { method: "POST", body });
    return `${made.subject} is banned ${made.until ? `until ${time(made.until)}` : "until the ban is lifted"}.`;
}

export function refused() {
    let search = {};
    const table = new Table({
        label: "Refused clients, the latest first", empty: "No worker has refused such a client.",
        columns: [
            { title: "Address", width: "1.2fr", text: (client) => client.address, value: (client) => client.address },
            { title: "User", width: "1fr", text: (client) => client.user, value: (client) => client.user },
            { title: "Why", width: "7rem", narrow: "5rem", text: (client) => client.reason, value: (client) => client.reason },
            { title: "Times", width: "4.5rem", narrow: "3rem", number: true, text: (client) => full(client.count), value: (client) => client.count },
            { title: "Listener", width: "7rem", narrow: false, text: (client) => client.listener, value: (client) => client.listener },
            { title: "Worker", width: "1fr", narrow: false, text: (client) => cluster.nameOf(client.worker), value: (client) => cluster.nameOf(client.worker) },
            { title: "Last", width: "11rem", narrow: false, text: (client) => time(client.last_at), hint: (client) => utc(client.last_at),
                value: (client) => client.last_at },
        ],
        open(client) {
            const hour = (subject) => command(`Ban ${subject} for an hour`, "All workers will close and refuse such clients.",
                () => ban(subject, 3600, `refused: ${client.reason}`));
            dialog(client.user || client.address, fields([
                ["Address", client.address], ["User", client.user], ["Why", client.reason], ["Times", full(client.count)],
                ["Listener", client.listener], ["Worker", cluster.nameOf(client.worker)],
                ["First", el("time", { title: utc(client.first_at) }, time(client.first_at))],
                ["Last", el("time", { title: utc(client.last_at) }, time(client.last_at))],
            ]), client.address !== "unix" && hour(client.address), client.user && hour(`uid:${client.user}`));
        },
    });
    const said = el("output", { class: "count" });
    const address = input("address", "Address, as 10.0.0.0/8");
    const view = new View("refused", "Refused", {
        search: address, content: table.element, tools: [searchForm((values) => {
            search = values;
            view.refresh();
        }, address, input("user", "User")), said],
        load,
    });
    return view;

    async function load() {
        const answer = await ask("refused", { parameters: { limit: 500, address: search.address?.trim(), user: search.user } });
        table.setRows(answer.refused);
        setText(said, `${full(answer.total)} in all${answer.missing.length ? `; no answer from ${answer.missing.join(", ")}` : ""}`);
    }
}

export function bans() {
    const view = pagedView("bans", "Bans", {
        tools: el("button", { type: "button", onclick: () => add() }, "Ban somebody"), empty: "Nobody is banned.",
        columns: [
            { title: "Who", width: "1.5fr", text: (ban) => ban.subject },
            { title: "Until", width: "10rem", narrow: "6.8rem", text: (ban) => ban.until ? time(ban.until) : "it is lifted",
                hint: (ban) => utc(ban.until) },
            { title: "Why", width: "2fr", narrow: false, text: (ban) => ban.why },
        ],
        open(ban) {
            dialog(ban.subject, fields([["Until", ban.until ? `${time(ban.until)} (${utc(ban.until)})` : "it is lifted"], ["Why", ban.why]]),
                command("Lift the ban", null, async () => {
                    const { lifted } = await ask("bans", { method: "DELETE", parameters: { subject: ban.subject } });
                    view.refresh();
                    return `${lifted} may come in again.`;
                }));
        },
    });

    function add() {
        const subject = input("subject", "client:ID, uid:NAME or addresses", { autofocus: true });
        const length = choice(LENGTHS);
        length.setAttribute("aria-label", "How long");
        const why = input("why", "Why (others read it)");
        const act = command("Ban", null, async () => {
            const said = await ban(subject.value.trim(), length.value, why.value.trim());
            view.refresh();
            return said;
        });
        // Enter presses it.
        act.querySelector("button").setAttribute("type", "submit");
        const form = el("form", { class: "stack", onsubmit: (event) => event.preventDefault() }, subject, length, why, act);
        dialog("Ban somebody", el("p", { class: "note" }, "All workers close such clients now, and let none in until the ban ends."), form);
    }

    return view;
}
