// The workers' figures over the last minutes: the master's history until the page was opened, then what the page has polled; and the lines
// that show them.

import { ask, segment } from "./api.js";

const EVERY = 3;
/** Seconds. */
const KEPT = 600;
/** Seconds without a value that are a gap in a line. */
const GAP = 30;
/** At once, questions about workers' history; and how many more may wait. */
const ASKED = 4;
const WAITING = 40;
export const SVG = "http://www.w3.org/2000/svg";

/** Times, in seconds by the master's clock, and values, the newest last; NaN where there is none. */
class Series {
    points = [];

    add(at, value) {
        // A line does not begin with a gap.
        if (!this.points.length && Number.isNaN(value)) return;
        this.points.push([at, value]);
        while (this.points[0][0] < at - KEPT) this.points.shift();
    }

    /** What was before this series began. */
    precede({ start, step }, values) {
        const first = this.points[0]?.[0] ?? Infinity;
        // A step's value is that of its middle.
        const before = values.map((value, at) => [start + (at + 0.5) * step, value ?? NaN]).filter(([at]) => at < first);
        this.points = [...before, ...this.points];
    }

    get last() { return this.points.at(-1)?.[1] ?? NaN; }
}

/** Figures of one worker, or of all. */
class Figures {
    clients = new Series();
    requests = new Series();
    deliveries = new Series();
    failures = new Series();
    /** Seconds. */
    response = new Series();

    add(at, { clients, requests, deliveries, failures, response }) {
        this.clients.add(at, clients);
        this.requests.add(at, requests);
        this.deliveries.add(at, deliveries);
        this.failures.add(at, failures);
        this.response.add(at, response);
    }

    precede(history) {
        const { connections, requests, deliveries, responses_failed, milliseconds_per_response } = history.series;
        this.clients.precede(history, connections);
        this.requests.precede(history, requests);
        this.deliveries.precede(history, deliveries);
        this.failures.precede(history, responses_failed);
        this.response.precede(history, milliseconds_per_response.map((value) => value === null ? NaN : value / 1000));
    }
}

/** Whether a worker is not at this master: its figures are old. */
export const isAway = ({ state }) => state === "left" || state === "lost" || state === "unknown";

class Cluster extends EventTarget {
    /** As the API tells them. */
    workers = [];
    status = null;
    all = new Figures();
    #figures = new Map();
    #heard = new Map();
    #names = new Map();
    #addresses = new Map();
    #askedAt = -Infinity;
    #sampled = null;
    #recalled = new Set();
    #asking = 0;
    #waiting = [];

    /** By the master's clock, when it was last asked. */
    get now() { return this.status ? this.status.started_at + this.status.uptime_seconds : Date.now() / 1000; }

    /** Whether this master serves, and so knows how the workers are. */
    get serves() { return !this.status?.master || this.status.master.role === "serving"; }

    of(name) { return this.#figures.get(name) ?? new Figures(); }

    /** What people call the worker of an address: by its own name, where no other has it. */
    nameOf(address) { return this.#names.get(address) ?? address; }

    /** The address of the worker that is called so, or has this address. */
    addressOf(name) { return this.#addresses.get(name) ?? name; }

    /** Asks for the status and all workers, unless that was done just now. */
    sample() {
        const now = performance.now();
        if (now - this.#askedAt < EVERY * 900) return this.#sampled;
        this.#askedAt = now;
        this.#sampled = this.#ask();
        // The next call after one that failed asks anew.
        this.#sampled.catch(() => { this.#askedAt = -Infinity; });
        return this.#sampled;
    }

    async #ask() {
        const [status, workers] = await Promise.all([ask("status"), this.#askWorkers()]);
        this.status = status;
        this.#take(workers);
        if (!this.#recalled.has("")) {
            this.#recalled.add("");
            this.#ask10("history").then((history) => this.all.precede(history), () => this.#recalled.delete(""));
        }
        this.dispatchEvent(new Event("sampled"));
    }

    /** Has a worker's line begin before the page was opened. To be called for rows in sight: a few are asked for at once, the latest first. */
    recall(name, changed) {
        if (this.#recalled.has(name)) return;
        this.#recalled.add(name);
        this.#waiting.push({ name, changed });
        // They are asked for again when they are in sight again.
        if (this.#waiting.length > WAITING) this.#recalled.delete(this.#waiting.shift().name);
        this.#recallNext();
    }

    async #recallNext() {
        if (this.#asking >= ASKED || !this.#waiting.length) return;
        const { name, changed } = this.#waiting.pop();
        this.#asking += 1;
        try {
            const history = await this.#ask10(`workers/${segment(name)}/history`);
            this.#figures.get(name)?.precede(history);
            changed();
        } catch {
            this.#recalled.delete(name);
        }
        this.#asking -= 1;
        this.#recallNext();
    }

    /** The last ten minutes. */
    #ask10(path) {
        const until = Math.floor(this.now);
        const figures = "connections,requests,deliveries,responses_failed,milliseconds_per_response";
        return ask(path, { parameters: { since: until - KEPT, until, step: 10, figures } });
    }

    async #askWorkers() {
        const workers = [];
        let page;
        do {
            page = await ask("workers", { parameters: { limit: 1000, offset: workers.length } });
            workers.push(...page.workers);
        } while (page.workers.length && workers.length < page.total);
        return workers;
    }

    /** Keeps the names that only one worker has. */
    #name(workers) {
        const away = (worker) => ["lost", "left", "unknown"].includes(worker.state);
        const same = Map.groupBy(workers.filter((worker) => worker.configured_name), (worker) => worker.configured_name);
        // One that has come back at another port keeps its name.
        const named = [...same.values()].map((all) => all.length === 1 ? all : all.filter((worker) => !away(worker)))
            .filter((all) => all.length === 1).flat();
        this.#names = new Map(named.map((worker) => [worker.name, worker.configured_name]));
        this.#addresses = new Map(named.map((worker) => [worker.configured_name, worker.name]));
    }

    #take(workers) {
        this.workers = workers;
        this.#name(workers);
        const sum = { clients: 0, requests: NaN, deliveries: NaN, failures: NaN, responses: 0, spent: 0 };
        const names = new Set();
        for (const worker of workers) {
            names.add(worker.name);
            const rates = isAway(worker) ? {} : this.#rates(worker);
            if (!isAway(worker)) sum.clients += worker.figures.connections;
            for (const name of ["requests", "deliveries", "failures", "responses", "spent"]) {
                if (Number.isFinite(rates[name])) sum[name] = (sum[name] || 0) + rates[name];
            }
            if (!this.#figures.has(worker.name)) this.#figures.set(worker.name, new Figures());
            this.of(worker.name).add(this.now, {
                clients: isAway(worker) ? NaN : worker.figures.connections, requests: NaN, deliveries: NaN, failures: NaN, ...rates,
                response: rates.spent / rates.responses,
            });
        }
        this.all.add(this.now, { ...sum, response: sum.spent / sum.responses });
        for (const name of this.#figures.keys()) {
            if (names.has(name)) continue;
            this.#figures.delete(name);
            this.#heard.delete(name);
            this.#recalled.delete(name);
        }
    }

    /** A second's, between two heartbeats. The last ones stay until the next heartbeat; a worker that has started anew has none yet. */
    #rates({ name, started_at, heartbeat_at, figures }) {
        const before = this.#heard.get(name);
        if (before?.heartbeat_at === heartbeat_at) return before.rates;
        const goesOn = before && before.started_at === started_at && heartbeat_at > before.heartbeat_at;
        const a = (key) => (figures[key] - before.figures[key]) / (heartbeat_at - before.heartbeat_at);
        const rates = goesOn ? {
            requests: a("requests"), deliveries: a("deliveries"), failures: a("responses_failed"), responses: a("responses"),
            spent: a("response_milliseconds") / 1000,
        } : {};
        this.#heard.set(name, { started_at, heartbeat_at, figures, rates });
        return rates;
    }
}

export const cluster = new Cluster();
export { EVERY };

/** A line of values, without axes: its height is the largest value's. */
export class Sparkline {
    #line = document.createElementNS(SVG, "path");
    element = document.createElementNS(SVG, "svg");

    constructor() {
        this.element.setAttribute("viewBox", "0 0 100 20");
        this.element.setAttribute("preserveAspectRatio", "none");
        this.element.setAttribute("class", "spark");
        // The number beside it says the same.
        this.element.setAttribute("aria-hidden", "true");
        this.element.append(this.#line);
    }

    draw({ points }) {
        const most = points.reduce((most, [, value]) => value > most ? value : most, 0) || 1;
        const last = points.at(-1)?.[0] ?? 0;
        // Two minutes, then as long as there are values.
        const span = Math.min(Math.max(last - (points[0]?.[0] ?? last), 120), KEPT);
        const text = path(points, (at) => 100 - 100 * (last - at) / span, (value) => 19 - 18 * value / most, GAP);
        if (this.#line.getAttribute("d") !== text) this.#line.setAttribute("d", text);
    }
}

/** Lines between points, as an SVG's path has them; none where there is no value, or no point for longer than the gap. */
export function path(points, x, y, gap = Infinity) {
    let text = "", before = null;
    for (const [at, value] of points) {
        if (!Number.isFinite(value)) {
            before = null;
            continue;
        }
        const place = `${x(at).toFixed(1)},${y(value).toFixed(1)}`;
        // A point by itself is a dot.
        text += before !== null && at - before <= gap ? `L${place}` : `M${place}h0`;
        before = at;
    }
    return text;
}
