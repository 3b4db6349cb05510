// What all views have: a line of tools, a line for what went wrong, a question to the master every few seconds; and dialogs.

import { el, setText } from "./elements.js";
import { door, sentence } from "./api.js";

export class View {
    #timer = 0;
    #asks = false;
    #asksAgain = false;

    /**
     * - load: asks the master and shows the answer; called when the view is shown, then every so many seconds while somebody can see it, less
     *   often where an answer takes long.
     * - search: the field that the key / goes to.
     */
    constructor(name, title, { every = 5, load, tools = [], search, content = [] }) {
        Object.assign(this, { name, title, every, load, search });
        this.problem = el("p", { class: "problem", role: "alert", hidden: true });
        const bar = el("div", { class: "tools" }, el("h2", {}, title), [tools].flat(2));
        this.element = el("section", { class: "view", id: `view-${name}`, "aria-label": title, hidden: true }, bar, this.problem, [content].flat());
    }

    get isShown() { return !this.element.hidden; }

    show() {
        this.element.hidden = false;
        this.refresh();
    }

    hide() {
        this.element.hidden = true;
        clearTimeout(this.#timer);
    }

    /** Asks now. A call while the master is asked has it asked once more. */
    async refresh() {
        clearTimeout(this.#timer);
        if (this.#asks) {
            this.#asksAgain = true;
            return;
        }
        this.#asks = true;
        const begun = performance.now();
        try {
            if (!document.hidden && !door.refusal) await this.load();
            this.tell(null);
        } catch (error) {
            this.tell(error);
        }
        this.#asks = false;
        if (!this.isShown) return;
        if (this.#asksAgain) {
            this.#asksAgain = false;
            return this.refresh();
        }
        if (this.every) this.#timer = setTimeout(() => this.refresh(), Math.max(this.every * 1000, 9 * (performance.now() - begun)));
    }

    /** Shows what went wrong; null: nothing does. */
    tell(error) {
        setText(this.problem, error ? sentence(error) : "");
        this.problem.hidden = !error;
    }
}

/** A form for what a list is searched by. Its fields by name are handed to search whenever they change. */
export function searchForm(search, ...controls) {
    const values = () => Object.fromEntries(new FormData(form));
    const form = el("form", {
        class: "search", role: "search", onchange: () => search(values()), onsubmit: (event) => {
            event.preventDefault();
            search(values());
        },
        // Enter searches by the button, which nobody needs to see.
    }, controls, el("button", { hidden: true }));
    return form;
}

export function input(name, label, more = {}) {
    return el("input", { name, type: "search", placeholder: label, "aria-label": label, spellcheck: "false", autocomplete: "off", ...more });
}

/** A dialog; Escape closes it. It is gone when it is closed. */
export function dialog(title, ...content) {
    const close = el("button", { type: "button", onclick: () => box.close() }, "Close");
    const box = el("dialog", { "aria-label": title, onclose: () => box.remove() },
        el("header", {}, el("h2", {}, title), close), content.filter(Boolean));
    document.body.append(box);
    box.showModal();
    return box;
}

/** Names and values, each value a text, an element or a list of them. */
export function fields(pairs) {
    return el("dl", {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
        .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat());
}

/**
 * A button for a command. It asks first, where there is a question; then it does the command and says what came of it, below the button.
 * - task: gives a sentence of what was done.
 */
export function command(label, question, task) {
    const said = el("p", { class: "said", role: "status" });
    const button = el("button", { type: "button", class: "command", onclick: () => question ? ask() : run() }, label);
    const yes = el("button", { type: "button", class: "danger", onclick: () => run() }, `Yes, ${label[0].toLowerCase()}${label.slice(1)}`);
    const no = el("button", { type: "button", onclick: () => calm(true) }, "No");
    const sure = el("span", { class: "sure", hidden: true }, el("span", {}, question ?? ""), yes, no);

    const calm = (focuses) => {
        [sure.hidden, button.hidden] = [true, false];
        if (focuses) button.focus();
    };
    const ask = () => {
        said.textContent = "";
        [sure.hidden, button.hidden] = [false, true];
        no.focus();
    };
    const run = async () => {
        calm(false);
        button.disabled = true;
        said.className = "said";
        said.textContent = "…";
        try {
            said.textContent = await task();
        } catch (error) {
            said.classList.add("problem");
            said.textContent = sentence(error);
        }
        button.disabled = false;
    };
    return el("div", { class: "act" }, button, sure, said);
}
