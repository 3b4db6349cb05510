// A table of any length: only the rows in sight are elements, and a cell changes only where its text does.

import { el, setText } from "./elements.js";
import { ask } from "./api.js";

const ROW = 34;
const SPARE = 6;
/** Browsers end elements somewhere above 10 million pixels. */
const MOST = 400_000;
const narrow = matchMedia("(max-width: 700px)");

/** Rows that are all here. */
export class ListRows {
    /** - total: null while it is not known yet. */
    constructor(list = [], total = list.length) { Object.assign(this, { list, total }); }
    get count() { return this.list.length; }
    at(index) { return this.list[index]; }
    want() {}
}

/** Rows of the API that come by pages, as they come into sight. At most 40 pages are kept. */
export class PagedRows {
    static PAGE = 250;
    static KEPT = 40;
    #pages = new Map();
    #asked = new Set();

    /** - changed: called when rows have come; failed: with what went wrong. */
    constructor(path, member, parameters, { changed, failed }) {
        Object.assign(this, { path, member, parameters, changed, failed, count: 0, total: null });
    }

    at(index) { return this.#pages.get(Math.floor(index / PagedRows.PAGE))?.[index % PagedRows.PAGE]; }

    /** Asks for those pages of a range that are not here. */
    want(first, last) {
        for (let page = Math.floor(first / PagedRows.PAGE); page <= Math.floor(last / PagedRows.PAGE); page++) {
            if (!this.#pages.has(page) && !this.#asked.has(page)) this.#load(page).catch(this.failed);
        }
    }

    /** Asks again for the pages of a range. */
    async refresh(first, last) {
        const pages = new Set([Math.floor(first / PagedRows.PAGE), Math.floor(Math.max(last, 0) / PagedRows.PAGE)]);
        for (const page of this.#pages.keys()) if (!pages.has(page)) this.#pages.delete(page);
        for (const page of pages) await this.#load(page);
    }

    async #load(page) {
        this.#asked.add(page);
        try {
            const answer = await ask(this.path, { parameters: { ...this.parameters, limit: PagedRows.PAGE, offset: page * PagedRows.PAGE } });
            this.#pages.set(page, answer[this.member]);
            if (this.#pages.size > PagedRows.KEPT) this.#pages.delete(this.#pages.keys().next().value);
            this.total = answer.total;
            this.count = Math.min(answer.total, MOST);
            this.changed();
        } finally {
            this.#asked.delete(page);
        }
    }
}

/**
 * Columns have a title, a width of CSS grids, and text(row); perhaps hint(row), a title for the mouse; value(row), to sort by; number, to the
 * right; narrow, the width on a small screen, false: it is not there; cell(element, row), which fills the cell itself.
 * Enter or a click calls open(row).
 */
export class Table {
    static #made = 0;
    #columns = [];
    #elements = new Map();
    #frame = 0;
    #wanting = 0;
    #active = -1;
    #order = null;
    #id = `table-${Table.#made++}`;

    constructor({ label, columns, open, empty = "There is nothing here." }) {
        Object.assign(this, { columns, open, empty, rows: new ListRows([], null) });
        this.head = el("div", { class: "row head", role: "row", "aria-rowindex": 1 });
        this.body = el("div", { class: "body", role: "rowgroup" });
        this.note = el("p", { class: "note", role: "status" });
        this.scroller = el("div", {
            class: "scroller", role: "grid", tabindex: 0, "aria-label": label, onscroll: () => this.draw(),
            onkeydown: (event) => this.#key(event), onclick: (event) => this.#click(event),
        }, el("div", { class: "heads", role: "rowgroup" }, this.head), this.body);
        this.element = el("div", { class: "table" }, this.scroller, this.note);
        new ResizeObserver(() => this.draw()).observe(this.scroller);
        narrow.addEventListener("change", () => this.setColumns());
        this.setColumns();
    }

    setColumns(columns = this.columns) {
        const width = (column) => (narrow.matches && column.narrow) || column.width || "1fr";
        if (columns !== this.columns) this.#order = null;
        this.columns = columns;
        this.#columns = columns.filter((column) => !narrow.matches || column.narrow !== false);
        this.scroller.style.setProperty("--columns", this.#columns.map((column) => `minmax(0, ${width(column)})`).join(" "));
        this.scroller.setAttribute("aria-colcount", this.#columns.length);
        this.head.replaceChildren(...this.#columns.map((column) => this.#heading(column)));
        this.body.replaceChildren();
        this.#elements.clear();
        this.draw();
    }

    #heading(column) {
        const content = column.value ? el("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title) : column.title;
        const isOrder = this.#order?.column === column;
        return el("div", {
            role: "columnheader", class: column.number && "number", title: column.help,
            "aria-sort": column.value && (isOrder ? (this.#order.down ? "descending" : "ascending") : "none"),
        }, content);
    }

    #sortBy(column) {
        const isSame = this.#order?.column === column;
        this.#order = { column, down: isSame ? !this.#order.down : Boolean(column.number) };
        const at = this.#columns.indexOf(column);
        this.setColumns();
        this.setRows(this.rows);
        this.head.children[at]?.querySelector("button")?.focus();
    }

    /** A list, or other rows. */
    setRows(rows) {
        this.rows = Array.isArray(rows) ? new ListRows(rows) : rows;
        if (this.#order && this.rows instanceof ListRows) {
            const { column: { value }, down } = this.#order;
            const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;
            this.rows.list = [...this.rows.list].sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
        }
        this.draw();
    }

    /** The rows that are in sight. */
    get range() {
        const first = Math.max(Math.floor(this.scroller.scrollTop / ROW), 0);
        return [first, Math.max(Math.min(first + Math.ceil(this.scroller.clientHeight / ROW), this.rows.count) - 1, 0)];
    }

    /** With the browser's next frame, once however often it is called. */
    draw() {
        if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.#drawNow(); });
    }

    #drawNow() {
        const { count } = this.rows;
        this.body.style.height = `${count * ROW}px`;
        this.scroller.setAttribute("aria-rowcount", count + 1);
        const more = this.rows.total > count ? ` The first ${count.toLocaleString()} of ${this.rows.total.toLocaleString()}; search for others.` : "";
        setText(this.note, this.rows.total === null ? "" : count === 0 ? this.empty : more);
        if (!this.scroller.clientHeight) return;
        this.#active = Math.min(this.#active, count - 1);
        let [first, last] = this.range;
        [first, last] = [Math.max(first - SPARE, 0), Math.min(last + SPARE, count - 1)];
        const spare = [];
        for (const [index, element] of this.#elements) {
            if (index >= first && index <= last) continue;
            this.#elements.delete(index);
            spare.push(element);
        }
        for (let index = first; index <= last; index++) {
            let element = this.#elements.get(index);
            if (!element) {
                element = spare.pop() ?? this.#newRow();
                this.#place(element, index);
            }
            this.#fill(element, index);
        }
        for (const element of spare) element.remove();
        if (!count) return;
        // Rows that fly past are not asked for.
        clearTimeout(this.#wanting);
        this.#wanting = setTimeout(() => this.rows.want(...this.range), 60);
    }

    #newRow() {
        const element = el("div", { class: "row", role: "row" }, this.#columns.map((column) =>
            el("div", { role: "gridcell", class: column.number && "number" })));
        this.body.append(element);
        return element;
    }

    #place(element, index) {
        this.#elements.set(index, element);
        element.id = `${this.#id}-${index}`;
        element.dataset.index = index;
        element.setAttribute("aria-rowindex", index + 2);
        element.style.transform = `translateY(${index * ROW}px)`;
        element.classList.toggle("odd", index % 2 === 1);
    }

    #fill(element, index) {
        const row = this.rows.at(index);
        element.classList.toggle("active", index === this.#active);
        element.setAttribute("aria-selected", index === this.#active);
        this.#columns.forEach((column, at) => {
            const cell = element.children[at];
            if (row && column.cell) return column.cell(cell, row);
            const text = row ? String(column.text(row) ?? "") : "…";
            setText(cell, text, row ? column.hint?.(row) ?? (text.length > 12 ? text : "") : "");
        });
    }

    #activate(index) {
        if (!this.rows.count) return;
        this.#active = Math.min(Math.max(index, 0), this.rows.count - 1);
        // There may be rows that no frame has made room for yet.
        this.body.style.height = `${this.rows.count * ROW}px`;
        const top = this.#active * ROW;
        const room = this.scroller.clientHeight - this.head.offsetHeight;
        if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
        else if (top + ROW > this.scroller.scrollTop + room) this.scroller.scrollTop = top + ROW - room;
        this.#drawNow();
        this.scroller.setAttribute("aria-activedescendant", `${this.#id}-${this.#active}`);
    }

    #key(event) {
        if (event.target !== this.scroller || event.ctrlKey || event.metaKey || event.altKey) return;
        const page = Math.max(Math.floor(this.scroller.clientHeight / ROW) - 2, 1);
        const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
        if (event.key in steps) this.#activate(this.#active + steps[event.key]);
        else if (event.key === "Enter" && this.rows.at(this.#active)) this.open?.(this.rows.at(this.#active));
        else return;
        event.preventDefault();
    }

    #click(event) {
        const element = event.target.closest(".body .row");
        if (!element || getSelection().toString()) return;
        const index = Number(element.dataset.index);
        this.#activate(index);
        if (this.rows.at(index)) this.open?.(this.rows.at(index));
    }
}
