// A client of a worker, to try things: it connects by WebSocket, subscribes and publishes. Nothing of it is stored.

import { ask, door, Problem, sentence } from "./api.js";
import { Connection } from "./connection.js";
import { bytes, choice, el, full, setText, time, utc } from "./elements.js";
import { cluster, isAway } from "./figures.js";
import { reason } from "./mqtt.js";
import { Table } from "./table.js";
import { View, command, dialog, fields } from "./view.js";

/** Messages that are kept, and bytes of each one's payload and topic. */
const KEPT = 200;
const SHOWN = 4096;
/** Filters that may be subscribed at once. */
const FILTERS = 50;

const levels = () => choice([["0", "0, at most once"], ["1", "1, at least once"], ["2", "2, exactly once"]]);
const labelled = (text, control) => el("label", {}, text, control);
const field = (more = {}) => el("input", { autocomplete: "off", spellcheck: "false", autocapitalize: "off", maxlength: 4096, ...more });

// Listeners

/** Those of a worker that speak MQTT by WebSocket, as addresses by name. */
async function listeners(worker) {
    const { workers, missing } = await ask("configuration", { parameters: { worker: worker.name } });
    const [{ answer, error } = {}] = workers;
    if (error) throw new Problem(0, error);
    if (!answer) throw new Problem(0, { detail: `no answer from ${missing.join(", ") || worker.name}` });
    const settings = new Map(answer.settings.map(({ key, value }) => [key, value.replace(/^["'](.*)["']$/, "$1")]));
    return Object.entries(worker.listeners ?? {}).filter(([, address]) => !address.startsWith("unix:")).flatMap(([name, address]) => {
        const of = (key) => settings.get(`worker.listeners.${name}.${key}`);
        if (of("protocol") !== "mqtt" || of("transport") !== "websocket") return [];
        const isSecure = [...settings.keys()].some((key) => key.startsWith(`worker.listeners.${name}.tls.`));
        return [[name, `${isSecure ? "wss" : "ws"}://${reachable(address, worker)}${of("path")}`]];
    });
}

/** A listener of all addresses is reached by the one that the master knows. */
function reachable(address, { host }) {
    const [, name, port] = /^(.*):(\d+)$/.exec(address) ?? [];
    if (!["0.0.0.0", "[::]", "::", "*", ""].includes(name)) return address;
    return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

const wanted = (worker) => `${worker} has no listener for MQTT over WebSocket: give it one, as worker.listeners.web with protocol: mqtt, `
    + `transport: websocket, a listen address, and ${location.origin} among its origins.`;

// Payloads

/** As text where it is UTF-8 without control characters, else in hexadecimal digits; the first of it. */
function readable(payload) {
    const part = payload.subarray(0, SHOWN);
    try {
        // A character that the cut went through is left out.
        const text = new TextDecoder("utf-8", { fatal: true }).decode(part, { stream: part.length < payload.length });
        if (!/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)) return { text, isText: true };
    } catch {
        // It is shown as bytes.
    }
    return { text: Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(" "), isText: false };
}

const kept = ({ topic, payload, qos, retain }) => ({
    topic: topic.slice(0, SHOWN), ...readable(payload), size: payload.length, qos, retain, at: Date.now() / 1000,
});

function showMessage(message) {
    const cut = message.size > SHOWN ? `, of which the first ${full(SHOWN)} are shown` : "";
    dialog(message.topic, fields([
        ["Came", `${time(message.at)} (${utc(message.at)})`], ["QoS", String(message.qos)], ["Retained", message.retain ? "yes" : "no"],
        ["Size", `${full(message.size)} bytes${cut}`],
        [message.isText ? "Payload" : "Payload, in hexadecimal digits", message.size ? message.text : "empty"],
    ]));
}

// The view

export function tryOut() {
    let connection = null, known = [], addresses = new Map(), messages = [], count = 0, frame = 0;
    const subscribed = new Map();

    // Connect
    const worker = choice([], () => offer());
    const listener = choice([], () => choose());
    const address = field({ placeholder: "ws://host:port/mqtt", required: true, inputmode: "url", oninput() { listener.value = ""; } });
    const client = field({ required: true });
    client.value = `dashboard-${Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
    const user = field();
    const password = field({ type: "password", autocomplete: "new-password" });
    const hint = el("p", { class: "note", role: "status" });
    const ended = el("p", { class: "problem", role: "alert", hidden: true });
    const go = el("button", { class: "main" }, "Connect");
    const state = el("output", { class: "count" });
    const login = el("form", { class: "sheet", "aria-label": "Connect", autocomplete: "off", onsubmit(event) {
        event.preventDefault();
        if (connection) connection.close();
        else connect();
    } },
    el("div", { class: "inputs" }, labelled("Worker", worker), labelled("Listener", listener), labelled("Address", address),
        labelled("Client identifier", client), labelled("User (optional)", user), labelled("Password (optional)", password)),
    hint, ended, go);

    // Subscribe
    const filter = field({ placeholder: "devices/#" });
    const most = levels();
    const list = el("ul", { class: "filters", "aria-label": "Subscriptions" });
    const subscribe = form("Subscribe", [labelled("Filter", filter), labelled("QoS", most)], async () => {
        const name = filter.value, asked = connection;
        if (!name) throw new Problem(0, { detail: "type a filter, such as devices/#" });
        if (!subscribed.has(name) && subscribed.size >= FILTERS) throw new Problem(0, { detail: `this page subscribes ${FILTERS} filters at most` });
        const { code, properties } = await asked.subscribe(name, Number(most.value));
        if (asked === connection) subscribed.set(name, code);
        showFilters();
        return `${name} is subscribed: ${code === 0 ? "granted QoS 0 (0x00)" : reason(code, properties)}.`;
    }, list);

    // Publish
    const topic = field({ placeholder: "devices/1" });
    const payload = el("textarea", { rows: 3, spellcheck: "false", "aria-label": "Payload" });
    const level = levels();
    const retain = el("input", { type: "checkbox" });
    const publish = form("Publish", [
        labelled("Topic", topic), labelled("Payload", payload), labelled("QoS", level), el("label", { class: "tick" }, retain, "Retain"),
    ], async () => {
        if (!/^[^+#]+$/.test(topic.value)) throw new Problem(0, { detail: "type a topic, such as devices/1, without + and #" });
        const answer = await connection.publish({
            topic: topic.value, payload: new TextEncoder().encode(payload.value), qos: Number(level.value), retain: retain.checked,
        });
        return answer ? `Acknowledged: ${reason(answer.code, answer.properties)}.` : "Sent. QoS 0 has no acknowledgement.";
    });

    const table = new Table({
        label: "Messages, the newest first", empty: "No message has come.", open: showMessage,
        columns: [
            { title: "Time", width: "6.5rem", narrow: "6.2rem", text: (message) => time(message.at), hint: (message) => utc(message.at) },
            { title: "Topic", width: "1fr", text: (message) => message.topic.slice(0, 300) },
            { title: "Payload", width: "2fr", narrow: "1.3fr", text: (message) => message.text.slice(0, 300) },
            { title: "Size", width: "5rem", narrow: false, number: true, text: (message) => bytes(message.size) },
            { title: "QoS", width: "2.5rem", narrow: false, number: true, text: (message) => message.qos },
            { title: "", width: "4.5rem", narrow: false, text: (message) => message.retain ? "retained" : "" },
        ],
    });
    const counted = el("output", { class: "count" });
    const clear = el("button", { type: "button", onclick: () => empty() }, "Clear the list");

    const view = new View("try", "Try", { every: 0, load, search: filter, tools: state, content: [
        login, el("div", { class: "pair" }, subscribe, publish), el("div", { class: "tools" }, el("h3", {}, "Messages"), counted, clear), table.element,
    ] });
    // Who forgets the token leaves nothing of this behind.
    door.addEventListener("locked", () => {
        connection?.close();
        user.value = password.value = "";
        empty();
    });
    showState();
    empty();
    return view;

    /** A form that is of use while there is a connection, and says below what came of it. */
    function form(title, controls, task, ...more) {
        const act = command(title, null, task);
        // Enter presses it.
        act.querySelector("button").setAttribute("type", "submit");
        return el("form", { class: "sheet", "aria-label": title, onsubmit: (event) => event.preventDefault() },
            el("fieldset", { disabled: true }, el("div", { class: "inputs" }, controls), act), more);
    }

    // Where to connect

    async function load() {
        if (connection) return;
        if (!cluster.workers.length) await cluster.sample();
        known = cluster.workers.filter((one) => !isAway(one));
        const names = known.map((one) => one.name);
        if (worker.options.length !== names.length || names.some((name, at) => worker.options[at].value !== name)) {
            const before = worker.value;
            worker.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
            if (names.includes(before)) worker.value = before;
        }
        await offerNow();
    }

    const offer = () => offerNow().then(() => view.tell(null), (error) => view.tell(error));

    /** Offers the listeners of the chosen worker. An address that somebody has typed stays. */
    async function offerNow() {
        const chosen = known.find((one) => one.name === worker.value);
        const typed = [...addresses.values(), ""].includes(address.value) ? "" : address.value;
        const before = listener.value;
        addresses = new Map();
        listener.replaceChildren();
        setText(hint, chosen ? "" : "The master knows no worker; type an address.");
        if (!chosen) return;
        const found = await listeners(chosen);
        if (chosen.name !== worker.value || connection) return;
        addresses = new Map(found);
        listener.replaceChildren(...found.map(([name, url]) => el("option", { value: name }, `${name}, ${url}`)),
            el("option", { value: "" }, "another address"));
        setText(hint, found.length ? "" : wanted(chosen.name));
        if (typed) listener.value = "";
        else if (addresses.has(before)) listener.value = before;
        if (!typed) choose();
    }

    function choose() { address.value = addresses.get(listener.value) ?? ""; }

    // The connection

    function connect() {
        tellEnd(null);
        const url = address.value.trim();
        const given = (input) => input.value === "" ? null : input.value;
        try {
            if (!/^wss?:\/\//i.test(url)) throw new Problem(0, { detail: "the address of a listener begins with ws:// or wss://" });
            connection = Connection.open(url, { client: client.value, user: given(user), password: given(password) });
        } catch (error) {
            return tellEnd(error);
        }
        const own = connection;
        own.addEventListener("connected", () => showState(true));
        own.addEventListener("message", ({ detail }) => take(detail));
        own.addEventListener("ended", ({ detail }) => {
            if (own !== connection) return;
            connection = null;
            subscribed.clear();
            showFilters();
            showState();
            tellEnd(detail);
        });
        showState();
    }

    function tellEnd(problem) {
        setText(ended, problem ? sentence(problem) : "");
        ended.hidden = !problem;
    }

    function showState(isConnected = false) {
        setText(state, connection ? `${isConnected ? "connected to" : "connecting to"} ${connection.url} as ${connection.client}` : "not connected");
        state.classList.toggle("state-live", isConnected);
        setText(go, connection ? isConnected ? "Disconnect" : "Stop" : "Connect");
        for (const input of login.querySelectorAll("input, select")) input.disabled = Boolean(connection);
        for (const one of [subscribe, publish]) one.querySelector("fieldset").disabled = !isConnected;
    }

    function showFilters() {
        list.replaceChildren(...[...subscribed].map(([name, qos]) => el("li", {}, command("Unsubscribe", null, async () => {
            const asked = connection;
            await asked.unsubscribe(name);
            if (asked === connection) subscribed.delete(name);
            showFilters();
            return "";
        }), el("span", {}, name), el("small", {}, `QoS ${qos}`))));
    }

    // Messages

    function take(packet) {
        messages = [kept(packet), ...messages.slice(0, KEPT - 1)];
        count += 1;
        frame ||= requestAnimationFrame(showMessages);
    }

    function showMessages() {
        frame = 0;
        table.setRows(messages);
        setText(counted, count > KEPT ? `${full(count)}, of which the newest ${KEPT} are shown` : full(count));
    }

    function empty() {
        messages = [];
        count = 0;
        showMessages();
    }
}
