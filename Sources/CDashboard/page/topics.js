// What topics carry: the busiest of all workers together.

import { ask } from "./api.js";
import { bytes, choice, compact, el, full, rate, setText } from "./elements.js";
import { Table } from "./table.js";
import { View, dialog, fields, searchForm } from "./view.js";

/** Of each worker. */
const MOST = 200;
const FIGURES = ["messages", "bytes", "recipients", "messages_per_second", "bytes_per_second", "recipients_per_second"];

export function topics() {
    let asked = { by: "messages", over: "now" };
    const select = (name, label, values) => {
        const control = choice(values);
        control.name = name;
        control.setAttribute("aria-label", label);
        return control;
    };
    const by = select("by", "What makes a topic busy", [["messages", "By messages"], ["bytes", "By bytes"], ["recipients", "By recipients"]]);
    const over = select("over", "Over which time", [["now", "Now"], ["total", "In all"]]);
    const said = el("output", { class: "count" });
    const number = (title, name, show, more = {}) => ({
        title, width: "7rem", number: true, text: (topic) => show(topic[name]), hint: (topic) => full(topic[name]), value: (topic) => topic[name], ...more,
    });
    const table = new Table({
        label: "Topics, the busiest first", empty: "No message has come.",
        columns: [
            { title: "Topic", width: "2fr", text: (topic) => topic.topic },
            number("Messages", "messages_per_second", rate, { narrow: "5rem" }),
            number("Bytes", "bytes_per_second", (count) => `${bytes(count)}/s`, { narrow: false }),
            number("Recipients", "recipients_per_second", rate, { narrow: "5rem" }),
            number("Messages in all", "messages", compact, { narrow: false }), number("Bytes in all", "bytes", bytes, { narrow: false }),
            number("Recipients in all", "recipients", compact, { narrow: false }),
        ],
        open: (topic) => dialog(topic.topic, fields([
            ["Topic", topic.topic], ["Messages", `${rate(topic.messages_per_second)}, ${full(topic.messages)} in all`],
            ["Bytes", `${bytes(topic.bytes_per_second)}/s, ${bytes(topic.bytes)} in all`],
            ["Recipients", `${rate(topic.recipients_per_second)}, ${full(topic.recipients)} in all`],
            ["Workers", topic.workers.map((worker) => el("div", {}, worker))],
        ])),
    });
    const view = new View("topics", "Topics", {
        every: 10, search: by, content: table.element, tools: [searchForm((values) => {
            asked = values;
            view.refresh();
        }, by, over), said],
        async load() {
            const { by, over } = asked;
            const answer = await ask("topics", { parameters: { by, over, limit: MOST } });
            const rows = together(answer.workers);
            const measure = over === "now" ? `${by}_per_second` : by;
            rows.sort((one, other) => other[measure] - one[measure] || (one.topic < other.topic ? -1 : 1));
            const missing = answer.missing.length ? `; no answer from ${answer.missing.join(", ")}` : "";
            const counted = Math.max(0, ...answer.workers.map((one) => one.answer?.counted ?? 0));
            setText(said, (counted > rows.length ? `${full(rows.length)} of ${full(counted)} or more` : `${full(rows.length)} in all`) + missing);
            table.setRows(rows);
        },
    });
    return view;
}

/** A topic that several workers have named is one row. */
function together(workers) {
    const rows = new Map();
    for (const { worker, answer } of workers) {
        for (const topic of answer?.topics ?? []) {
            const row = rows.get(topic.topic);
            if (!row) {
                rows.set(topic.topic, { ...topic, workers: [worker] });
                continue;
            }
            for (const figure of FIGURES) row[figure] += topic[figure];
            row.workers.push(worker);
        }
    }
    return [...rows.values()];
}
