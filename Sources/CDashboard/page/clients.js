// Who is connected where: the clients of all workers, as the registry lists them; what its worker knows of one, and the end of one.

import { ban } from "./access.js";
import { ask, segment, sentence } from "./api.js";
import { bytes, choice, duration, el, full, setText, time, utc } from "./elements.js";
import { cluster } from "./figures.js";
import { pagedView } from "./sessions.js";
import { command, dialog, fields, input } from "./view.js";

const isMQTT = (client) => client.protocol.startsWith("mqtt");
const named = (client) => client.client || `${client.session}, without a name`;

export function clients() {
    const state = choice([["", "All states"], ["connected", "Connected"], ["away", "Away"]]);
    state.name = "state";
    state.setAttribute("aria-label", "State");
    const speaks = choice([["", "All protocols"], ["mqtt", "MQTT"], ["mqtt 5.0", "MQTT 5.0"], ["mqtt 3.1.1", "MQTT 3.1.1"], ["exchange", "Exchange"]]);
    speaks.name = "protocol";
    speaks.setAttribute("aria-label", "Protocol");
    const view = pagedView("clients", "Clients", {
        controls: [input("search", "Part of name or uid", { maxlength: 256 }), state, speaks, input("worker", "Worker")],
        parameters: ({ search, state, protocol, worker }) => ({ search: search?.trim(), state, protocol, worker: worker && cluster.addressOf(worker.trim()) }),
        empty: "No such client. A search is for a part of the client's name or uid; a worker is given by its whole name or address.",
        columns: [
            { title: "Client", width: "1.6fr", text: (client) => client.client || "–" },
            { title: "uid", width: "1fr", text: (client) => client.uid || "–" },
            { title: "State", width: "6rem", narrow: "5.4rem", cell(element, client) {
                setText(element, client.state);
                element.className = client.state === "connected" ? "state-live" : "state-away";
            } },
            { title: "Since", width: "11rem", narrow: false, text: (client) => time(client.since), hint: (client) => utc(client.since) },
            { title: "Protocol", width: "6rem", narrow: false, text: (client) => client.protocol },
            { title: "Subscribed", width: "5.5rem", narrow: false, number: true, text: (client) => full(client.subscriptions) },
            { title: "Worker", width: "1fr", narrow: false, text: (client) => cluster.nameOf(client.worker) },
            { title: "Address", width: "1fr", narrow: false, text: (client) => client.address || "–" },
        ],
        open: (client) => show(client, () => view.refresh()),
    });
    return view;
}

/** What the registry has at once; then what the worker knows. */
async function show(client, changed) {
    const known = fields(basics(client));
    const more = el("p", { class: "note", role: "status" }, "asking its worker…");
    const acts = el("div", { class: "acts" }, commands(client, changed));
    dialog(named(client), known, more, acts);
    try {
        const { detail, why } = await askWorker(client);
        if (!detail) return void (more.textContent = why);
        more.remove();
        known.replaceWith(fields([...basics({ ...client, ...detail }), ...details(detail)]));
        // The others stay as they are: somebody may be at one of them.
        if (detail.lasting && client.state !== "away") acts.append(end(client, changed));
    } catch (error) {
        more.className = "problem";
        more.textContent = sentence(error);
    }
}

async function askWorker({ client, session, worker }) {
    // A path has no place for these names.
    if (["", ".", ".."].includes(client)) return { why: "Its worker cannot be asked about a client of this name." };
    const answer = await ask(`clients/${segment(client)}`, { parameters: { worker } });
    if (answer.missing.length) return { why: `no answer from ${answer.missing.join(", ")}` };
    const refusal = answer.workers.find((one) => one.error)?.error;
    if (refusal) return { why: refusal.detail ?? refusal.message ?? JSON.stringify(refusal) };
    const detail = answer.workers.flatMap((one) => one.answer?.clients ?? []).find((one) => one.session === session);
    return detail ? { detail } : { why: "Its worker has this client no more, or has very many of this name." };
}

const basics = (client) => [
    ["Client", client.client], ["uid", client.uid], ["State", client.state],
    ["Since", el("time", { title: utc(client.since) }, time(client.since))], ["Protocol", client.protocol], ["Worker", cluster.nameOf(client.worker)],
    ["Listener", client.listener], ["Address", client.address], ["Session", client.session],
];

function details(client) {
    const count = client.subscription_count;
    const cut = count > client.subscriptions.length ? `${full(count)}, of which the newest are:` : full(count);
    return [
        ["Tags", client.tags.join(", ")], ["Aliases", client.alias.join(", ")],
        ["Keep alive", client.keep_alive === undefined ? "" : client.keep_alive ? `${full(client.keep_alive)} s` : "none"],
        ["Session kept for", client.session_expiry === undefined ? "" : duration(client.session_expiry)],
        ["Session ends", client.ends_at && `${time(client.ends_at)} (${utc(client.ends_at)})`],
        ["In flight", client.inflight === undefined ? "" : `${full(client.inflight)} of ${full(client.receive_maximum)}`],
        ["Waiting for it", client.queued === undefined ? "" : `${full(client.queued)} messages, ${bytes(client.queued_bytes)}`],
        ["Waiting for its socket", bytes(client.out_bytes) + (client.pressure === "none" || client.pressure === "away" ? "" : `: ${client.pressure}`)],
        ["Held", client.held ? "it is not read from, since a consumer of its messages is congested" : ""],
        ["Will", client.will_topic], ["Subscribed", [cut, ...client.subscriptions.map(subscription)]],
    ];
}

function subscription({ filter, group, key, qos }) {
    const parts = [group && `group ${group}`, key && `key ${key}`, qos > 0 && `QoS ${qos}`].filter(Boolean);
    return el("div", {}, filter, parts.length ? el("span", { class: "note" }, ` ${parts.join(", ")}`) : "");
}

function commands(client, changed) {
    return [
        client.state === "away"
            ? end(client, changed) : closing("Kick", "Its connection will be closed; it may come back at once.", client, changed),
        isMQTT(client) && client.client && command("Ban for an hour", "All workers will close and refuse this client identifier.",
            () => ban(`client:${client.client}`, 3600, "from the dashboard")),
    ].filter(Boolean);
}

const end = (client, changed) => closing("End the session", "What waits for it will be lost.", client, changed, { end_session: true });

function closing(label, question, { worker, session }, changed, more = {}) {
    return command(label, question, async () => {
        const { closed, ended } = await ask("clients", { method: "DELETE", parameters: { worker, session, ...more } });
        changed();
        return [closed && "Its connection is closed.", ended && "Its session has ended."].filter(Boolean).join(" ");
    });
}
