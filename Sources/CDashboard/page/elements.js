// Elements, and how numbers and times are shown. What comes from the master becomes text or an attribute's value, never markup.

/** An element. A property that begins with "on" is a listener, any other an attribute; one that is undefined, null or false is left out. */
export function el(name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
        if (value === undefined || value === null || value === false) continue;
        if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
        else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
    return element;
}

/** Changes what is shown only where it is another text: no layout for what stays. */
export function setText(element, text, title = "") {
    if (element.textContent !== text) element.textContent = text;
    if (element.title !== title) element.title = title;
}

export function choice(options, onchange) {
    return el("select", { onchange }, options.map(([value, text]) => el("option", { value }, text)));
}

// Numbers

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const rounded = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export const full = (number) => Number.isFinite(number) ? whole.format(number) : "–";

/** 12.3K for 12,345; below 10 with a digit behind the point. */
export function compact(number) {
    if (!Number.isFinite(number)) return "–";
    return Math.abs(number) < 1000 ? (Math.abs(number) < 10 ? oneDigit : rounded).format(number) : short.format(number);
}

export const rate = (number) => Number.isFinite(number) ? `${compact(number)}/s` : "–";

export function bytes(number) {
    if (!Number.isFinite(number)) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (number >= 1024 && unit < units.length - 1) [number, unit] = [number / 1024, unit + 1];
    return `${oneDigit.format(number)} ${units[unit]}`;
}

/** A short time, of seconds. */
export function brief(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    if (seconds < 1e-3) return `${oneDigit.format(seconds * 1e6)} µs`;
    if (seconds < 1) return `${oneDigit.format(seconds * 1e3)} ms`;
    return `${oneDigit.format(seconds)} s`;
}

/** A long time, of seconds: its two largest units. */
export function duration(seconds) {
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    // Less than a second is 0 s.
    const first = units.findIndex(([, length]) => seconds >= length || length === 1);
    let rest = Math.floor(seconds);
    return units.slice(first, first + 2).map(([name, length]) => {
        const count = Math.floor(rest / length);
        rest -= count * length;
        return `${count} ${name}`;
    }).join(" ");
}

// Times

const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherDay = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });

/** Local time, of seconds since 1970; without the date where it is today's. */
export function time(at) {
    if (!isTime(at)) return "–";
    const date = new Date(at * 1000);
    return (date.toDateString() === new Date().toDateString() ? sameDay : otherDay).format(date);
}

/** The same in UTC. */
export const utc = (at) => isTime(at) ? new Date(at * 1000).toISOString().replace("T", " ").replace("Z", " UTC") : "";

// What a Date can hold.
const isTime = (at) => Number.isFinite(at) && Math.abs(at) <= 8.64e12;
