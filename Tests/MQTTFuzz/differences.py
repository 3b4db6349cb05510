"""Outcomes of a conversation in a form in which two brokers that keep to the specifications are alike, and what still differs.

Each rule of the form stands for a freedom that the specifications give, or for something that mosquitto 2.0.11 is known to do otherwise.
"""

from collections import Counter, defaultdict

from driver import Seen


def form(seen: Seen) -> dict:
    """What counts of what a connection has seen."""
    return {
        "who": f"{seen.client} in {'5.0' if seen.version == 5 else '3.1.1'}", "CONNACK": seen.connack, "closed": seen.is_closed,
        "answers": answers(seen), "messages": messages(seen)}


def answers(seen: Seen):
    """In order per kind of packet. A close tells nothing of the answers before it: they may be lost with the connection.

    Identifiers below 100 are of handshakes of QoS 2 that are begun and not ended: whether PUBREL of an unknown identifier is an error is free.
    """
    if seen.is_closed:
        return "closed"
    found = defaultdict(list)
    for kind, id, result in seen.answers:
        found[kind].append((id, result if id >= 100 else None))
    return dict(found)


def messages(seen: Seen):
    """In order per topic and QoS. Of half handshakes it counts only what came twice: a broker may deliver at PUBLISH or at PUBREL.

    A broker may send a message that matches several subscriptions once or once each, in 3.1.1 mosquitto with the QoS of any of them: then
    topic and payload count, once, and not in a session of 3.1.1 that was resumed, by whichever version: QoS 0 does not wait. The order of
    one message's properties counts among the user properties alone. How much of it came before a connection was closed is free. Some wills
    are (see the driver).
    """
    found, several, halves = defaultdict(list), defaultdict(set), Counter()
    for each in seen.messages:
        if each["payload"] in seen.free_wills:
            continue
        if each["topic"].startswith("half/"):
            halves[each["payload"]] += 1 / max(each["matches"], 1)
            continue
        if each["matches"] > 1 and seen.resumes_old:
            continue
        if each["matches"] > 1:
            several[each["topic"]].add(each["payload"])
            continue
        users = [pair for pair in each["properties"] if pair[0] == "user"]
        others = sorted(pair for pair in each["properties"] if pair[0] != "user")
        found[each["topic"], each["qos"]].append((each["payload"], each["retain"], each["dup"], tuple(others), tuple(users)))
    if seen.is_closed:
        return "closed"
    return dict(found), dict(several), [payload for payload, count in halves.items() if count > 1]


def compare(left: list[Seen], right: list[Seen]) -> list[str]:
    """What differs, in words; nothing where the outcomes are alike."""
    found = []
    for number, (one, other) in enumerate(zip(left, right, strict=True)):
        one, other = form(one), form(other)
        for key in one:
            if one[key] != other[key]:
                found.append(f"connection {number} ({one['who']}), {key}:\n    left  {one[key]}\n    right {other[key]}")
    return found
