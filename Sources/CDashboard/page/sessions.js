// What clients have at the cluster: devices, chats, retained messages.

import { ask, segment } from "./api.js";
import { bytes, choice, el, full, setText, time, utc } from "./elements.js";
import { cluster } from "./figures.js";
import { PagedRows, Table } from "./table.js";
import { View, command, dialog, fields, input, searchForm } from "./view.js";

const when = (at) => el("time", { title: utc(at) }, time(at));
const list = (texts) => texts?.length ? texts.join(", ") : "";

/** A view of a list that the API gives by pages, with a search. */
export function pagedView(name, title, { path = name, member = name, controls, parameters = (values) => values, every = 5, label = title, tools = [],
    ...table }) {
    const list = new Table({ label, ...table });
    const said = el("output", { class: "count" });
    let rows;
    const view = new View(name, title, {
        every, search: controls?.[0], tools: [controls && searchForm(search, ...controls), said, tools], content: list.element,
        load: () => rows.refresh(...list.range),
    });

    function search(values) {
        const paged = rows = new PagedRows(path, member, parameters(values), {
            changed() {
                if (rows !== paged) return;
                setText(said, `${full(paged.total)} in all`);
                list.draw();
            }, failed: (error) => view.tell(error),
        });
        list.scroller.scrollTop = 0;
        list.setRows(rows);
        if (view.isShown) view.refresh();
    }

    search({});
    return view;
}

export function devices() {
    const by = choice([["uid", "uid"], ["tag", "Tag"], ["worker", "Worker"]]);
    by.name = "by";
    by.setAttribute("aria-label", "Search by");
    const online = choice([["", "On- and offline"], ["true", "Online"], ["false", "Offline"]]);
    online.name = "online";
    online.setAttribute("aria-label", "State");
    return pagedView("devices", "Devices", {
        controls: [input("text", "Whole uid, tag, worker"), by, online],
        parameters: ({ by, text, online }) => ({ [by]: by === "worker" && text ? cluster.addressOf(text.trim()) : text?.trim(), online }),
        empty: "No such device. A search is by the whole uid, the whole tag, or the worker's name or address.",
        columns: [
            { title: "uid", width: "1.5fr", text: (device) => device.uid },
            { title: "Device", width: "1fr", text: (device) => device.device },
            { title: "State", width: "4.5rem", cell(element, device) {
                setText(element, device.online ? "online" : "offline");
                element.className = device.online ? "state-live" : "state-away";
            } },
            { title: "Tags", width: "1fr", narrow: false, text: (device) => list(device.tags) },
            { title: "Worker", width: "1fr", narrow: false, text: (device) => cluster.nameOf(device.worker) },
            { title: "Address", width: "1fr", narrow: false, text: (device) => device.address },
            { title: "Seen", width: "11rem", narrow: false, text: (device) => time(device.last_seen_at), hint: (device) => utc(device.last_seen_at) },
        ],
        open: (device) => dialog(`${device.uid}: ${device.device}`, fields([
            ["uid", device.uid], ["Device", device.device], ["State", device.online ? "online" : "offline"], ["Tags", list(device.tags)],
            ["Aliases", list(device.alias)], ["Worker", cluster.nameOf(device.worker)], ["Address", device.address], ["Connected", when(device.connected_at)],
            ["Last seen", when(device.last_seen_at)],
        ])),
    });
}

export function chats() {
    const view = pagedView("chats", "Chats", {
        controls: [input("worker", "Worker")], parameters: ({ worker }) => ({ worker: worker && cluster.addressOf(worker.trim()) }),
        empty: "No chat is open there.",
        columns: [
            { title: "Chat", width: "2fr", text: (chat) => chat.chat },
            { title: "Members", width: "6rem", narrow: "4.2rem", number: true, text: (chat) => full(chat.members) },
            { title: "Worker", width: "1fr", narrow: false, text: (chat) => cluster.nameOf(chat.worker) },
            { title: "Opened", width: "11rem", narrow: "6.8rem", text: (chat) => time(chat.created_at), hint: (chat) => utc(chat.created_at) },
        ],
        open(chat) {
            dialog(chat.chat, fields([
                ["Members", full(chat.members)], ["Worker", cluster.nameOf(chat.worker)], ["Opened", when(chat.created_at)], ["Last heard of", when(chat.updated_at)],
            ]), command("Close the chat", "All members will be told that it has ended.", async () => {
                const { closed } = await ask(`chats/${segment(chat.chat)}`, { method: "DELETE" });
                view.refresh();
                return `${closed} is closed.`;
            }));
        },
    });
    return view;
}

// Retained messages

export function retained() {
    let filter = "", next, rows = [], total = 0;
    // The filter that the button to clear is for.
    let cleared = null;
    const table = new Table({
        label: "Retained messages", empty: "No worker retains such a message.",
        columns: [
            { title: "Topic", width: "2fr", text: (message) => message.topic },
            { title: "Size", width: "6rem", narrow: "4.2rem", number: true, text: (message) => bytes(message.bytes),
                hint: (message) => full(message.bytes) },
            { title: "QoS", width: "3rem", number: true, narrow: false, text: (message) => message.qos },
            { title: "Worker", width: "1fr", narrow: false, text: (message) => cluster.nameOf(message.worker) },
            { title: "Stored", width: "11rem", narrow: "6.8rem", text: (message) => time(message.stored_at),
                hint: (message) => utc(message.stored_at) },
            { title: "Ends", width: "11rem", narrow: false, text: (message) => message.expires_at ? time(message.expires_at) : "stays",
                hint: (message) => utc(message.expires_at) },
        ],
        open: (message) => dialog(message.topic, fields([
            ["Topic", message.topic], ["Size", `${full(message.bytes)} bytes`], ["QoS", String(message.qos)], ["Worker", cluster.nameOf(message.worker)],
            ["Stored", when(message.stored_at)], ["Ends", message.expires_at ? when(message.expires_at) : "stays"]]),
        clear(message.topic)),
    });
    const said = el("output", { class: "count" });
    const more = el("button", { type: "button", hidden: true, onclick: () => page().catch((error) => view.tell(error)) }, "More");
    const clearing = el("div");

    function clear(filter) {
        const question = filter === "#" ? "All workers will forget all retained messages." : `All workers will forget what ${filter} takes.`;
        return command("Clear", question, async () => {
            const { cleared, missing } = await ask("retained", { method: "DELETE", parameters: { filter } });
            view.refresh();
            return `${full(cleared)} cleared${missing.length ? `; no answer from ${missing.map((one) => cluster.nameOf(one)).join(", ")}` : ""}.`;
        });
    }

    async function page() {
        const answer = await ask("retained", { parameters: { filter, limit: 500, after: next } });
        [rows, next, total] = [[...rows, ...answer.retained], answer.next_after, answer.total];
        more.hidden = !next;
        const missing = answer.missing.length ? `; no answer from ${answer.missing.map((one) => cluster.nameOf(one)).join(", ")}` : "";
        setText(said, `${full(rows.length)} of ${full(total)}${missing}`);
        table.setRows(rows);
    }

    const text = input("filter", "Topic filter, as sensors/#");
    // The master asks all workers for each page, so this view loads when an operator opens it or searches, and not every few seconds.
    const view = new View("retained", "Retained", {
        every: 0, search: text, content: [table.element, more, clearing], tools: [searchForm((values) => {
            filter = values.filter.trim();
            view.refresh();
        }, text), said],
        load() {
            [rows, next] = [[], undefined];
            if (cleared !== filter) clearing.replaceChildren(clear((cleared = filter) || "#"));
            return page();
        },
    });
    return view;
}
