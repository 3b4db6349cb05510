// What is subscribed at the workers: filters, and the groups that share messages.

import { ask } from "./api.js";
import { choice, el, full, setText } from "./elements.js";
import { cluster } from "./figures.js";
import { Table } from "./table.js";
import { View, dialog, fields, input, searchForm } from "./view.js";

/** So many of each worker, the largest. */
const LIMIT = 500;

const worker = { title: "Worker", width: "1fr", narrow: false, text: (row) => cluster.nameOf(row.worker), value: (row) => cluster.nameOf(row.worker) };
const count = { title: "Subscriptions", width: "8rem", narrow: "5rem", number: true, text: (row) => full(row.subscriptions),
    value: (row) => row.subscriptions };

/** What members get of the messages of the filter that goes most unevenly to them. */
function share({ uneven }) {
    if (!uneven) return "";
    return `${full(uneven.most)} of ${full(uneven.delivered)} messages of ${uneven.filter} went to one of ${full(uneven.members)} members`;
}

const KINDS = {
    filters: {
        path: "subscriptions", label: "Filters that are subscribed, the largest first", empty: "Nobody has subscribed such a filter.",
        columns: [{ title: "Filter", width: "2fr", text: (row) => row.filter, value: (row) => row.filter }, count, worker],
        open: (row) => dialog(row.filter, fields([
            ["Filter", row.filter], ["Subscriptions", full(row.subscriptions)], ["Worker", cluster.nameOf(row.worker)]])),
    },
    groups: {
        path: "groups", label: "Consumer groups, the largest first", empty: "There is no consumer group.",
        columns: [
            { title: "Group", width: "2fr", text: (row) => row.group, value: (row) => row.group }, count,
            { title: "Members by", width: "1fr", narrow: false, text: (row) => row.strategy, value: (row) => row.strategy },
            { title: "Stuck", width: "5rem", number: true, narrow: false, text: (row) => full(row.stuck ?? 0), value: (row) => row.stuck ?? 0,
                help: "subscriptions of clients that read too slowly" },
            { title: "Away", width: "5rem", number: true, narrow: false, text: (row) => full(row.absent ?? 0), value: (row) => row.absent ?? 0,
                help: "subscriptions of clients that are not connected" },
            worker,
        ],
        open: (row) => dialog(row.group, fields([
            ["Group", row.group], ["Subscriptions", full(row.subscriptions)], ["A member is chosen by", row.strategy],
            ["Clients too slow", full(row.stuck ?? 0)], ["Clients away", full(row.absent ?? 0)], ["Shares", share(row)],
            ["Worker", cluster.nameOf(row.worker)]])),
    },
};

export function subscriptions() {
    const kind = choice([["filters", "Filters"], ["groups", "Groups"]]);
    kind.name = "kind";
    kind.setAttribute("aria-label", "What is listed");
    const filter = input("filter", "Filter, as orders/#");
    const tables = Object.fromEntries(Object.entries(KINDS).map(([name, { label, empty, columns, open }]) =>
        [name, new Table({ label, empty, columns, open })]));
    const said = el("output", { class: "count" });
    let [shown, search] = ["filters", ""];

    // The master asks all workers, so this view asks when an operator opens it or searches, and not every few seconds.
    const view = new View("subscriptions", "Subscriptions", {
        every: 0, search: filter, content: Object.values(tables).map((table) => table.element),
        tools: [searchForm((values) => {
            [shown, search] = [values.kind, values.filter?.trim() ?? ""];
            show();
            view.refresh();
        }, kind, filter), said],
        async load() {
            const of = shown;
            const parameters = { limit: LIMIT, ...(of === "filters" && search ? { filter: search } : {}) };
            const [{ workers, missing }] = await Promise.all([ask(KINDS[of].path, { parameters }), cluster.sample().catch(() => {})]);
            const rows = workers.flatMap((one) => (one.answer?.[of] ?? []).map((row) => ({ ...row, worker: one.worker })));
            const total = workers.reduce((sum, one) => sum + (one.answer?.total ?? 0), 0);
            const silent = missing.length ? `; no answer from ${missing.map((one) => cluster.nameOf(one)).join(", ")}` : "";
            tables[of].setRows(rows.sort((a, b) => b.subscriptions - a.subscriptions));
            setText(said, `${full(rows.length)} of ${full(total)}${silent}`);
        },
    });

    function show() {
        for (const [name, table] of Object.entries(tables)) table.element.hidden = name !== shown;
        filter.hidden = shown !== "filters";
    }

    show();
    return view;
}
