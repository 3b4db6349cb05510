// The cluster: an overview, its workers, what has happened, and SQL over all that.

import { ask, door, follow, segment, sentence } from "./api.js";
import { brief, bytes, choice, compact, el, full, rate, setText, time, utc } from "./elements.js";
import { cluster, isAway, Sparkline, EVERY } from "./figures.js";
import { Charts } from "./history.js";
import { Table } from "./table.js";
import { View, dialog, fields, input, searchForm } from "./view.js";

// Overview

/** A number with what it is, perhaps with a line of its last minutes. */
class Tile {
    #value = el("strong");
    #more = el("small");
    #line;

    constructor(label, hasLine) {
        this.#line = hasLine ? new Sparkline() : null;
        this.element = el("div", { class: "tile" }, el("span", {}, label), this.#value, this.#more, this.#line?.element);
    }

    show(text, { title = "", more = "", series, isBad = false } = {}) {
        setText(this.#value, text, title);
        setText(this.#more, more);
        this.element.classList.toggle("bad", isBad);
        if (series) this.#line.draw(series);
    }
}

export function overview() {
    const tiles = {
        workers: new Tile("Workers"), clients: new Tile("Clients", true), requests: new Tile("Requests", true),
        deliveries: new Tile("Deliveries", true), failures: new Tile("Failed requests", true), response: new Tile("Time to answer", true),
        mqtt: new Tile("MQTT"), devices: new Tile("Devices"), chats: new Tile("Chats"), slow: new Tile("Slow clients"),
    };
    const latest = el("ol", { class: "events" });
    const charts = new Charts("history", { now: () => cluster.now, failed: (error) => view.tell(error) });
    const sum = (key) => cluster.workers.reduce((sum, worker) => isAway(worker) ? sum : sum + worker.figures[key], 0);

    async function load() {
        const [events] = await Promise.all([ask("events", { parameters: { limit: 10 } }), cluster.sample()]);
        const { all, status } = cluster;
        const { live = 0, draining = 0, lost = 0 } = status.workers;
        const others = [draining && `${draining} draining`, lost && `${lost} lost`].filter(Boolean).join(", ");
        tiles.workers.show(cluster.serves ? full(live) : "–", {
            more: cluster.serves ? others || "live" : "the master that serves knows them",
            isBad: cluster.serves && (lost > 0 || live === 0),
        });
        tiles.clients.show(compact(all.clients.last), { title: full(all.clients.last), series: all.clients });
        tiles.requests.show(rate(all.requests.last), { series: all.requests });
        tiles.deliveries.show(rate(all.deliveries.last), { series: all.deliveries });
        tiles.failures.show(rate(all.failures.last), { series: all.failures, isBad: all.failures.last > 0 });
        tiles.response.show(brief(all.response.last), { series: all.response, title: "the mean of all requests since the last heartbeats" });
        tiles.mqtt.show(compact(sum("mqtt_clients")), {
            title: full(sum("mqtt_clients")), more: `sessions kept: ${compact(sum("mqtt_sessions"))}, ${bytes(sum("mqtt_held_bytes"))} held`,
        });
        tiles.devices.show(compact(status.devices), { title: full(status.devices) });
        tiles.chats.show(compact(status.chats), { title: full(status.chats) });
        const stuck = sum("stuck_consumers");
        tiles.slow.show(full(stuck), { more: `${full(sum("held_producers"))} producers wait`, isBad: stuck > 0 });
        showEvents(latest, events.events.reverse());
        await charts.load();
    }

    const view = new View("overview", "Overview", {
        every: EVERY, load,
        content: [
            el("div", { class: "tiles" }, Object.values(tiles).map((tile) => tile.element)), charts.element,
            el("h3", {}, "What has happened last"), latest,
        ],
    });
    return view;
}

function showEvents(list, events) {
    if (list.dataset.first === String(events[0]?.id)) return;
    list.dataset.first = events[0]?.id;
    list.replaceChildren(...events.map((event) => el("li", {},
        el("time", { title: utc(event.at) }, time(event.at)), el("b", { class: isTrouble(event) && "bad" }, event.kind),
        el("span", {}, cluster.nameOf(event.subject)), el("span", { class: "note" }, event.detail))));
}

const isTrouble = ({ kind }) => /\.(lost|refused|off|skewed)$/.test(kind);

// Workers

const label = (worker) => worker.configured_name || worker.name;

export function workers() {
    const sparks = new WeakMap();
    const spark = (element, worker) => {
        if (!sparks.has(element)) {
            sparks.set(element, new Sparkline());
            element.replaceChildren(sparks.get(element).element);
        }
        cluster.recall(worker.name, () => table.draw());
        sparks.get(element).draw(cluster.of(worker.name).requests);
    };
    const last = (worker, name) => cluster.of(worker.name)[name].last;
    const table = new Table({
        label: "Workers", empty: "No worker has joined this master yet.", open: showWorker,
        columns: [
            { title: "Worker", width: "2fr", text: label, hint: (worker) => worker.name, value: label },
            { title: "State", width: "5rem", narrow: "4rem", value: (worker) => worker.state, cell: showState },
            { title: "Clients", width: "5rem", narrow: "3.4rem", number: true, text: (worker) => compact(worker.figures.connections),
                hint: (worker) => full(worker.figures.connections), value: (worker) => worker.figures.connections },
            { title: "Requests", width: "6rem", narrow: "4.2rem", number: true, text: (worker) => rate(last(worker, "requests")),
                value: (worker) => last(worker, "requests") || 0 },
            { title: "Last minutes", width: "1.5fr", narrow: false, cell: spark },
            { title: "Deliveries", width: "6rem", number: true, narrow: false, text: (worker) => rate(last(worker, "deliveries")),
                value: (worker) => last(worker, "deliveries") || 0 },
            { title: "Answer", width: "5rem", number: true, narrow: false, text: (worker) => brief(last(worker, "response")),
                value: (worker) => last(worker, "response") || 0, help: "mean time from a request to its answer" },
            { title: "Slow", width: "4rem", number: true, narrow: false, text: (worker) => full(worker.figures.stuck_consumers),
                value: (worker) => worker.figures.stuck_consumers },
            { title: "Heard", width: "11rem", narrow: false, text: (worker) => time(worker.heartbeat_at), hint: (worker) => utc(worker.heartbeat_at),
                value: (worker) => worker.heartbeat_at },
        ],
    });
    let search = { text: "", state: "" };
    const show = () => table.setRows(cluster.workers.filter((worker) => (!search.state || worker.state === search.state)
        && `${worker.name} ${worker.configured_name} ${worker.machine ?? ""}`.toLowerCase().includes(search.text.toLowerCase())));
    const text = input("text", "Name or address");
    const states = ["live", "draining", "left", "lost", "unknown"];
    const state = choice([["", "All states"], ...states.map((name) => [name, name[0].toUpperCase() + name.slice(1)])]);
    state.name = "state";
    state.setAttribute("aria-label", "State");
    text.addEventListener("input", () => {
        search.text = text.value;
        show();
    });
    const form = searchForm((values) => {
        search = values;
        show();
    }, text, state);
    return new View("workers", "Workers", {
        every: EVERY, search: text, tools: form, content: table.element, async load() {
            await cluster.sample();
            show();
        },
    });
}

function showState(element, worker) {
    setText(element, worker.state);
    element.className = `state-${worker.state}`;
}

async function showWorker(row) {
    const box = dialog(label(row), el("p", {}, "…"));
    const fail = (element, error) => element.replaceWith(el("p", { class: "problem" }, sentence(error)));
    const charts = new Charts(`workers/${segment(row.name)}/history`, {
        now: () => cluster.now, failed: (error) => fail(charts.element, error),
    });
    box.lastChild.before(charts.element);
    charts.load().catch((error) => fail(charts.element, error));
    try {
        const worker = await ask(`workers/${segment(row.name)}`);
        const { figures } = worker;
        box.lastChild.replaceWith(fields([
            ["Address", worker.name], ["State", worker.state], ["Machine", worker.machine], ["Version", worker.version],
            ["Listeners", Object.entries(worker.listeners ?? {}).map(([name, address]) => el("div", {}, `${name}: ${address}`))],
            ["Started", el("time", { title: utc(worker.started_at) }, time(worker.started_at))],
            ["Last heartbeat", el("time", { title: utc(worker.heartbeat_at) }, time(worker.heartbeat_at))],
            ["Slowest consumers", worker.stuck?.map((stuck) => el("div", {}, typeof stuck === "string" ? stuck : JSON.stringify(stuck)))],
            ...Object.entries(figures).map(([name, value]) =>
                [name.replaceAll("_", " "), name.endsWith("bytes") ? `${bytes(value)} (${full(value)})` : full(value)]),
        ]));
    } catch (error) {
        fail(box.lastChild, error);
    }
}

// Events

/** The newest 2,000 are kept. */
const EVENTS = 2000;

export function events() {
    let list = [], after, registry, kind = "";
    const table = new Table({
        label: "Events, the latest first", empty: "Nothing has happened.",
        open: (event) => dialog(event.kind, fields([
            ["When", `${time(event.at)} (${utc(event.at)})`], ["Subject", cluster.nameOf(event.subject)], ["What", event.detail], ["Number", full(event.id)]])),
        columns: [
            { title: "When", width: "11rem", narrow: "6.8rem", text: (event) => time(event.at), hint: (event) => utc(event.at) },
            { title: "What", width: "10rem", narrow: "7rem", cell(element, event) {
                setText(element, event.kind);
                element.classList.toggle("bad", isTrouble(event));
            } },
            { title: "Subject", width: "1fr", text: (event) => cluster.nameOf(event.subject) },
            { title: "", width: "2fr", narrow: false, text: (event) => event.detail },
        ],
    });
    const kinds = el("datalist", { id: "kinds" });
    const search = input("kind", "Kind, as worker.lost", { list: "kinds" });
    const show = () => table.setRows(list.filter((event) => event.kind.includes(kind)));

    let stream = null;

    /** Until it ends, events come by themselves; then the view asks again. A gap or another registry ends it. */
    function followOn() {
        const mine = stream = new AbortController();
        const tell = (name, event) => {
            if (name === "gap" || name === "reset" || name === "closed") return mine.abort();
            if (name !== "message" || event.id <= after) return;
            after = event.id;
            list = [event, ...list].slice(0, EVENTS);
            showAll();
        };
        const over = () => { if (stream === mine) stream = null; };
        follow(`${registry}:${after}`, tell, mine.signal).then(over, over);
    }

    async function load() {
        if (stream) return;
        let page;
        do {
            page = await ask("events", { parameters: after === undefined ? { limit: 1000 } : { after, limit: 1000 } });
            // Ids begin anew with another registry.
            if (registry !== undefined && registry !== page.registry) [list, after, registry] = [[], undefined, undefined];
            else {
                ({ registry } = page);
                after = page.next_after ?? after;
                list = [...page.events.reverse(), ...list].slice(0, EVENTS);
            }
        } while (after === undefined ? registry === undefined : page.events.length === 1000);
        showAll();
        if (view.isShown && after !== undefined) followOn();
    }

    function showAll() {
        kinds.replaceChildren(...[...new Set(list.map((event) => event.kind))].sort().map((kind) => el("option", { value: kind })));
        show();
    }

    search.addEventListener("input", () => {
        kind = search.value.trim();
        show();
    });
    const view = new View("events", "Events", { every: 2, load, search, tools: [searchForm(() => {}, search), kinds], content: table.element });
    const hide = view.hide.bind(view);
    view.hide = () => {
        stream?.abort();
        hide();
    };
    door.addEventListener("locked", () => stream?.abort());
    return view;
}

// SQL

const EXAMPLE = "SELECT worker, count(*) AS devices FROM devices WHERE online GROUP BY worker ORDER BY devices DESC";

export function query() {
    const table = new Table({ label: "Rows", columns: [], empty: "No row." });
    const said = el("p", { class: "note", role: "status" },
        "Tables: workers, clients, devices, chats, bans, events, worker_history, cluster_history, meta. One statement that only reads.");
    const text = el("textarea", { rows: 4, "aria-label": "SQL", spellcheck: "false", onkeydown(event) {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
    } });
    text.value = EXAMPLE;
    const value = (cell) => cell === null ? "null" : typeof cell === "object" ? `base64 ${cell.base64}` : String(cell);

    async function run() {
        said.textContent = "…";
        const began = performance.now();
        try {
            const answer = await ask("query", { method: "POST", body: { sql: text.value } });
            table.setColumns(answer.columns.map((title, at) => ({
                title, text: (row) => value(row[at]), value: (row) => row[at] ?? "", number: typeof answer.rows[0]?.[at] === "number",
            })));
            table.setRows(answer.rows);
            const rows = answer.rows.length === 1 ? "1 row" : `${full(answer.rows.length)} rows`;
            said.textContent = `${rows}${answer.truncated ? "; there are more" : ""}, in ${brief((performance.now() - began) / 1000)}`;
            view.tell(null);
        } catch (error) {
            said.textContent = "";
            view.tell(error);
        }
    }

    const showRow = (row) => dialog("Row", fields(table.columns.map((column) => [column.title, column.text(row)])));
    table.open = showRow;
    const form = el("form", { class: "sql", onsubmit(event) {
        event.preventDefault();
        run();
    } }, text, el("button", { class: "main" }, "Run (Ctrl+Enter)"));
    const view = new View("query", "SQL", { every: 0, load() {}, search: text, content: [form, said, table.element] });
    return view;
}
