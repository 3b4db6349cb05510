// Figures over time, as the master keeps them, and charts of them.

import { ask } from "./api.js";
import { brief, choice, compact, el, full, rate, setText, time, utc } from "./elements.js";
import { path, SVG } from "./figures.js";

const SPANS = {
    hour: { title: "Last hour", seconds: 3600, every: 10 },
    day: { title: "Last day", seconds: 86_400, every: 60 },
    month: { title: "Last 30 days", seconds: 30 * 86_400, every: 300 },
};

const answer = (milliseconds) => brief(milliseconds === null ? NaN : milliseconds / 1000);

/** What is shown of a worker, or of all: the series' name, what it is called, how a value is shown. */
const FIGURES = [
    ["connections", "Clients", compact], ["requests", "Requests", rate], ["deliveries", "Deliveries", rate],
    ["responses_failed", "Failed requests", rate], ["milliseconds_per_response", "Time to answer", answer],
];

/** A line over time. The pointer's place says when, and how much it was then. */
class Chart {
    #line = document.createElementNS(SVG, "path");
    #plot = document.createElementNS(SVG, "svg");
    #value = el("strong");
    #note = el("small");
    #first = el("time");
    #last = el("time");
    #history = null;
    #values = [];

    constructor(label, show) {
        Object.assign(this, { label, show });
        this.#plot.setAttribute("viewBox", "0 0 100 40");
        this.#plot.setAttribute("preserveAspectRatio", "none");
        this.#plot.setAttribute("class", "plot");
        this.#plot.setAttribute("role", "img");
        this.#plot.append(this.#line);
        this.#plot.addEventListener("pointermove", (event) => this.#point(event));
        this.#plot.addEventListener("pointerleave", () => this.#tell());
        this.element = el("div", { class: "chart" }, el("div", {}, el("span", {}, label), this.#value, this.#note), this.#plot,
            el("div", { class: "axis" }, this.#first, this.#last));
    }

    draw(history, values) {
        [this.#history, this.#values] = [history, values];
        const most = Math.max(...values, 0) || 1;
        const { start, step, count } = history;
        const x = (at) => count > 1 ? (at - start) / step / (count - 1) * 100 : 0;
        const text = path(values.map((value, at) => [start + at * step, value]), x, (value) => 39 - 38 * value / most);
        if (this.#line.getAttribute("d") !== text) this.#line.setAttribute("d", text);
        setText(this.#first, time(start), utc(start));
        const end = start + (count - 1) * step;
        setText(this.#last, time(end), utc(end));
        this.#tell();
    }

    /** What the line comes to as a whole. */
    #tell() {
        const known = this.#values.filter((value) => value !== null);
        const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
        const said = known.length ? `mean ${this.show(mean)}, highest ${this.show(Math.max(...known))}` : "nothing is known yet";
        setText(this.#value, known.length ? this.show(known.at(-1)) : "–");
        setText(this.#note, said);
        this.#plot.setAttribute("aria-label", `${this.label}: ${said}`);
    }

    #point(event) {
        if (!this.#history) return;
        const { start, step, count } = this.#history;
        const { left, width } = this.#plot.getBoundingClientRect();
        const at = Math.min(Math.max(Math.round((event.clientX - left) / (width || 1) * (count - 1)), 0), count - 1);
        const value = this.#values[at];
        setText(this.#value, value === null ? "–" : this.show(value), value === null ? "" : full(value));
        setText(this.#note, time(start + at * step), utc(start + at * step));
    }
}

/** Charts of one worker, or of all, over a span that can be chosen. */
export class Charts {
    #charts = FIGURES.map(([, label, show]) => new Chart(label, show));
    #span = "hour";
    #askedAt = -Infinity;

    /** - path: of the API; now: the master's time; failed: with what went wrong once another span was chosen. */
    constructor(path, { now, failed }) {
        Object.assign(this, { path, now });
        const spans = choice(Object.entries(SPANS).map(([name, { title }]) => [name, title]), () => {
            this.#span = spans.value;
            this.#askedAt = -Infinity;
            this.load().catch(failed);
        });
        spans.setAttribute("aria-label", "How far back");
        this.element = el("div", { class: "history" }, el("div", { class: "tools" }, el("h3", {}, "Over time"), spans),
            el("div", { class: "charts" }, this.#charts.map((chart) => chart.element)));
    }

    /** Asks the master, unless nothing new can be there. */
    async load() {
        const span = this.#span;
        const { seconds, every } = SPANS[span];
        if (performance.now() - this.#askedAt < every * 1000) return;
        this.#askedAt = performance.now();
        try {
            const until = Math.floor(this.now());
            const history = await ask(this.path, { parameters: { since: until - seconds, until, figures: FIGURES.map(([name]) => name).join() } });
            // Another span may have been chosen meanwhile.
            if (span !== this.#span) return;
            FIGURES.forEach(([name], at) => this.#charts[at].draw(history, history.series[name]));
        } catch (error) {
            this.#askedAt = -Infinity;
            throw error;
        }
    }
}
