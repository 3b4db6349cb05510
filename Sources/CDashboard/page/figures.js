// The workers' figures over the last minutes, as this page has polled them: rates, and the lines that show them.

import { ask } from "./api.js";

const EVERY = 3;
/** Ten minutes. */
const KEPT = 200;
const SVG = "http://www.w3.org/2000/svg";

/** Values over time, the newest last; NaN where there is none. */
class Series {
    values = [];

    add(value) {
        this.values.push(value);
        if (this.values.length > KEPT) this.values.shift();
    }

    get last() { return this.values.at(-1) ?? NaN; }
}

/** Figures of one worker, or of all. */
class Figures {
    clients = new Series();
    requests = new Series();
    deliveries = new Series();
    failures = new Series();
    /** Seconds. */
    response = new Series();

    add({ clients, requests, deliveries, failures, response }) {
        this.clients.add(clients);
        this.requests.add(requests);
        this.deliveries.add(deliveries);
        this.failures.add(failures);
        this.response.add(response);
    }
}

class Cluster extends EventTarget {
    /** As the API tells them. */
    workers = [];
    status = null;
    all = new Figures();
    #figures = new Map();
    #heard = new Map();
    #askedAt = -Infinity;
    #sampled = null;

    of(name) { return this.#figures.get(name) ?? new Figures(); }

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
        this.dispatchEvent(new Event("sampled"));
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

    #take(workers) {
        this.workers = workers;
        const sum = { clients: 0, requests: NaN, deliveries: NaN, failures: NaN, responses: 0, spent: 0 };
        const names = new Set();
        for (const worker of workers) {
            names.add(worker.name);
            const rates = worker.state === "lost" ? {} : this.#rates(worker);
            if (worker.state !== "lost") sum.clients += worker.figures.connections;
            for (const name of ["requests", "deliveries", "failures", "responses", "spent"]) {
                if (Number.isFinite(rates[name])) sum[name] = (sum[name] || 0) + rates[name];
            }
            if (!this.#figures.has(worker.name)) this.#figures.set(worker.name, new Figures());
            this.of(worker.name).add({
                clients: worker.state === "lost" ? NaN : worker.figures.connections, requests: NaN, deliveries: NaN, failures: NaN, ...rates,
                response: rates.spent / rates.responses,
            });
        }
        this.all.add({ ...sum, response: sum.spent / sum.responses });
        for (const name of this.#figures.keys()) {
            if (names.has(name)) continue;
            this.#figures.delete(name);
            this.#heard.delete(name);
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
    #line = document.createElementNS(SVG, "polyline");
    element = document.createElementNS(SVG, "svg");

    constructor() {
        this.element.setAttribute("viewBox", "0 0 100 20");
        this.element.setAttribute("preserveAspectRatio", "none");
        this.element.setAttribute("class", "spark");
        // The number beside it says the same.
        this.element.setAttribute("aria-hidden", "true");
        this.element.append(this.#line);
    }

    draw({ values }) {
        const most = values.reduce((most, value) => value > most ? value : most, 0) || 1;
        // Two minutes, then as long as there are values.
        const step = 100 / (Math.max(values.length, 40) - 1);
        const points = [];
        values.forEach((value, at) => {
            if (Number.isFinite(value)) points.push(`${(100 - (values.length - 1 - at) * step).toFixed(1)},${(19 - 18 * value / most).toFixed(1)}`);
        });
        const text = points.join(" ");
        if (this.#line.getAttribute("points") !== text) this.#line.setAttribute("points", text);
    }
}
