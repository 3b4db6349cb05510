// The workers' rules: figures, versions, how trials differ, and their deployment.

import { Problem, ask } from "./api.js";
import { brief, bytes, compact, el, full, rate, setText, time, utc } from "./elements.js";
import { cluster } from "./figures.js";
import { Table } from "./table.js";
import { View, command, dialog, fields } from "./view.js";

/** One row for each name and mode, all workers together. */
function rows(workers, earlier, seconds) {
    const rows = new Map();
    for (const { worker, answer } of workers) {
        for (const rule of answer?.rules ?? []) {
            const key = `${rule.name} ${rule.mode}`;
            if (!rows.has(key)) rows.set(key, { key, name: rule.name, mode: rule.mode, copies: [] });
            rows.get(key).copies.push({ worker, ...rule });
        }
    }
    const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
    for (const row of rows.values()) {
        const hooks = row.copies.flatMap((rule) => rule.hooks);
        row.calls = sum(hooks.map((hook) => hook.calls));
        row.errors = sum(hooks.flatMap((hook) => Object.values(hook.errors)));
        row.off = sum(row.copies.map((rule) => rule.off_loops));
        row.p99 = Math.max(...hooks.map((hook) => hook.p99 ?? -Infinity));
        row.digests = [...new Set(row.copies.map((rule) => rule.digest))];
        row.different = sum(row.copies.map((rule) => rule.differences?.different ?? 0));
        const before = earlier.get(row.key);
        const goesOn = before && before.copies.length === row.copies.length && row.calls >= before.calls;
        row.rate = goesOn ? (row.calls - before.calls) / seconds : NaN;
    }
    return rows;
}

/** What is not as it should be. */
const trouble = (row) => row.off ? `off on ${row.off} of ${row.copies.reduce((sum, rule) => sum + rule.loops, 0)} loops`
    : row.digests.length > 1 ? `${row.digests.length} versions` : "";

export function rules() {
    let known = new Map(), knownAt = 0;
    const table = new Table({
        label: "Rules", empty: "No worker runs a rule.", open: showRule,
        columns: [
            { title: "Rule", width: "1.5fr", text: (row) => row.name, value: (row) => row.name },
            { title: "Mode", width: "6rem", narrow: "4rem", text: (row) => row.mode, value: (row) => row.mode },
            { title: "", width: "11rem", narrow: "5rem", cell(element, row) {
                setText(element, trouble(row), trouble(row));
                element.className = "bad";
            } },
            { title: "Calls", width: "5rem", narrow: "4rem", number: true, text: (row) => rate(row.rate), hint: (row) => `${full(row.calls)} in all`,
                value: (row) => row.rate || 0 },
            { title: "Errors", width: "5rem", narrow: false, number: true, text: (row) => compact(row.errors), hint: (row) => full(row.errors),
                value: (row) => row.errors },
            { title: "99 %", width: "5rem", number: true, narrow: false, text: (row) => brief(row.p99), value: (row) => row.p99,
                help: "99 of 100 calls take at most this; of the slowest hook" },
            { title: "Differ", width: "5rem", number: true, narrow: false, text: (row) => row.mode === "live" ? "" : compact(row.different),
                value: (row) => row.different, help: "how often a trial has decided otherwise than the version that runs" },
            { title: "Workers", width: "5rem", number: true, narrow: false, text: (row) => full(row.copies.length),
                value: (row) => row.copies.length },
        ],
    });
    const versions = new Table({
        label: "Versions of workers", empty: "No worker has answered.", open: (row) => showWorker(row, () => view.refresh()),
        columns: [
            { title: "Worker", width: "2fr", text: (row) => cluster.nameOf(row.worker), value: (row) => cluster.nameOf(row.worker) },
            { title: "Version", width: "5rem", narrow: "3.5rem", number: true, text: (row) => row.answer?.version ?? "–",
                value: (row) => row.answer?.version ?? 0 },
            { title: "Since", width: "11rem", narrow: "6.8rem", text: (row) => time(row.answer?.deployed_at),
                hint: (row) => utc(row.answer?.deployed_at),
                value: (row) => row.answer?.deployed_at ?? 0 },
            { title: "", width: "2fr", narrow: false, text: (row) => row.error ? new Problem(0, row.error).sentence : "" },
        ],
    });
    const said = el("output", { class: "count" });
    const view = new View("rules", "Rules", {
        tools: said, async load() {
            const answer = await ask("rules");
            const now = performance.now();
            known = rows(answer.workers, known, (now - knownAt) / 1000);
            knownAt = now;
            table.setRows([...known.values()]);
            versions.setRows(answer.workers);
            setText(said, answer.missing.length ? `no answer from ${answer.missing.join(", ")}` : "");
        },
        content: [table.element, el("h3", {}, "Versions"), versions.element, deployment(undefined, () => view.refresh())],
    });
    return view;
}

/** Buttons to reload and to roll back, at one worker or all. */
function deployment(worker, done) {
    const where = worker ? cluster.nameOf(worker) : "all workers";
    const deploy = (path) => async () => {
        const answer = await ask(`rules/${path}`, { method: "POST", parameters: { worker } });
        done();
        return outcome(answer);
    };
    return el("div", { class: "acts" },
        command("Reload the rules", `The files are read again at ${where}; tests run first.`, deploy("reload")),
        command("Roll back", `The version before runs again at ${where}.`, deploy("rollback")));
}

/** What came of a deployment, in a sentence. Workers that refuse are told by name. */
function outcome({ workers, missing }) {
    const done = workers.filter((worker) => worker.answer);
    const names = (key) => [...new Set(done.flatMap((worker) => worker.answer[key] ?? []))].join(", ");
    const texts = [`${full(done.length)} of ${full(workers.length + missing.length)} workers have done it`];
    if (names("anew")) texts.push(`new or changed: ${names("anew")}`);
    if (names("trials")) texts.push(`trial changed: ${names("trials")}`);
    if (names("gone")) texts.push(`gone: ${names("gone")}`);
    for (const worker of workers) if (worker.error) texts.push(`${cluster.nameOf(worker.worker)}: ${new Problem(0, worker.error).sentence}`);
    if (missing.length) texts.push(`no answer from ${missing.join(", ")}`);
    return `${texts.join("; ")}.`;
}

function showWorker({ worker, answer, error }, done) {
    dialog(worker, fields([
        ["Version", answer && full(answer.version)], ["Since", answer && el("time", { title: utc(answer.deployed_at) }, time(answer.deployed_at))],
        ["A version before", answer && (answer.can_roll_back ? "is kept" : "is not there")], ["Problem", error && new Problem(0, error).sentence],
        ["Rules, in their order", answer?.rules.map((rule) => el("div", {}, `${rule.name} (${rule.mode})`))],
    ]), deployment(worker, done));
}

// A rule

const grid = (heads, rows) => el("div", { class: "grid" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));

const when = (at) => el("time", { title: utc(at) }, time(at));
const counts = (object) => Object.entries(object).map(([name, count]) => `${name} ${compact(count)}`).join(", ");

/** The latest of what several workers tell. */
const latest = (lists) => lists.flat().sort((a, b) => b.at - a.at).slice(0, 20);

function showRule(row) {
    const [first] = row.copies;
    const several = row.copies.length > 1;
    const failures = latest(row.copies.map((rule) => rule.failures));
    const trials = row.copies.filter((rule) => rule.differences);
    const examples = latest(trials.map((rule) => rule.differences.examples));
    const compared = trials.reduce((sum, rule) => sum + rule.differences.compared, 0);
    dialog(row.name, fields([
        ["Mode", row.mode], ["Plugin", first.plugin], ["Priority", String(first.priority)],
        ["Files and settings", row.digests.map((digest) => el("div", {}, several
            ? `${digest}: ${row.copies.filter((rule) => rule.digest === digest).length} workers` : digest))],
        ["Runs since", when(Math.max(...row.copies.map((rule) => rule.since)))],
        ["Memory", bytes(row.copies.reduce((sum, rule) => sum + rule.memory, 0))], ["Switched off", row.off ? trouble(row) : ""],
    ]),
    el("h3", {}, "Hooks"),
    grid(["Hook", several && "Worker", "Calls", "Verdicts", "Errors", "50 %", "99 %"].filter(Boolean), row.copies.flatMap((rule) =>
        rule.hooks.map((hook) => [
            hook.hook, several && rule.worker, full(hook.calls), counts(hook.verdicts), counts(hook.errors), brief(hook.p50), brief(hook.p99),
        ].filter((cell) => cell !== false)))),
    trials.length > 0 && el("h3", {}, `Decided otherwise: ${full(row.different)} of ${full(compared)}`),
    examples.length > 0 && grid(["When", "Topic", "Client", "Runs", "On trial"],
        examples.map((example) => [when(example.at), example.topic, example.client, example.live, example.other])),
    failures.length > 0 && el("h3", {}, "Failed last"),
    failures.length > 0 && grid(["When", "Hook", "What", "Topic", "Client"],
        failures.map((failure) => [when(failure.at), failure.hook, `${failure.message} (${failure.code})`, failure.topic, failure.client])));
}
