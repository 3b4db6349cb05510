// The admin API, and the token that it is asked with.

const KEPT = "shunt-admin-token";

/** What the API says is wrong, in its own words. */
export class Problem extends Error {
    constructor(status, { detail, message, help, code, location } = {}) {
        super(detail ?? message ?? `the master answers ${status}`);
        Object.assign(this, { status, help, code, location });
    }

    get sentence() {
        const where = this.location ? `${this.location}: ` : "";
        return `${where}${this.message}${this.help ? `; ${this.help}` : ""}${this.code ? ` (${this.code})` : ""}`;
    }
}

/** What went wrong, as a sentence. */
export const sentence = (error) => error instanceof Problem ? error.sentence : `this page failed: ${error.message}`;

/** Tells of the token with "unlocked", and with "locked", whose detail says what is wrong with the one that was tried; null: there was none. */
class Door extends EventTarget {
    #token = null;
    /** Why the API gives nothing without another token. */
    refusal = null;

    get hasToken() { return this.#token !== null; }
    get headers() { return this.hasToken ? { Authorization: `Bearer ${this.#token}` } : {}; }

    /** With one question at first: the master counts wrong tokens, and a view asks several. null: without a token. */
    async open(token = sessionStorage.getItem(KEPT)) {
        this.#token = token;
        this.refusal = null;
        await ask("status").catch(() => {});
        if (this.refusal) return;
        if (token === null) sessionStorage.removeItem(KEPT);
        else sessionStorage.setItem(KEPT, token);
        this.dispatchEvent(new Event("unlocked"));
    }

    lock(problem) {
        if (this.refusal) return;
        this.refusal = problem;
        const detail = this.hasToken ? problem : null;
        this.#token = null;
        sessionStorage.removeItem(KEPT);
        this.dispatchEvent(new CustomEvent("locked", { detail }));
    }
}

export const door = new Door();

/** Asks /api/v1/PATH; gives the JSON, or throws a Problem. Parameters that are empty are left out. */
export async function ask(path, { method = "GET", parameters = {}, body } = {}) {
    // A wrong token is not tried again and again: the master counts.
    if (door.refusal) throw door.refusal;
    const url = new URL(`api/v1/${path}`, document.baseURI);
    for (const [name, value] of Object.entries(parameters)) {
        if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
    }
    let answer, json;
    try {
        const content = body === undefined ? {} : { "Content-Type": "application/json" };
        answer = await fetch(url, {
            method, headers: { ...door.headers, ...content }, body: body === undefined ? undefined : JSON.stringify(body),
            cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(90_000),
        });
        json = await answer.json();
    } catch {
        if (answer) throw new Problem(answer.status, { detail: "what answers here is no master's admin API" });
        throw new Problem(0, { detail: "the master does not answer", help: "this page asks again" });
    }
    if (answer.ok) return json;
    const problem = new Problem(answer.status, json);
    if (answer.status === 401 || answer.status === 429) door.lock(problem);
    throw problem;
}

/**
 * Follows events behind a place, REGISTRY:ID, until the master or the signal ends it; tell gets each one's name, "message" without one, and its
 * data. Not by EventSource, which sends no token.
 */
export async function follow(place, tell, signal) {
    const url = new URL("api/v1/events/stream", document.baseURI);
    url.searchParams.set("after", place);
    const answer = await fetch(url, { headers: door.headers, cache: "no-store", credentials: "omit", redirect: "error", signal });
    if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Problem(answer.status);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
        const { done, value } = await reader.read();
        if (done) return;
        const frames = (rest + value).split("\n\n");
        rest = frames.pop();
        for (const frame of frames) {
            const fields = Object.fromEntries(frame.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
            if (fields.data) tell(fields.event ?? "message", JSON.parse(fields.data));
        }
    }
}

/** A name or id as a part of a path. */
export const segment = (text) => encodeURIComponent(text);
