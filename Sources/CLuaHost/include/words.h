/// The one table of the words that say what a rule's settings are. C makes the words of it, Swift reads it by `shunt_schema_word` and
/// `shunt_schema_doc`: checks, pages and editors' definitions come from there.
#ifndef SHUNT_SCHEMA_TABLE_H
#define SHUNT_SCHEMA_TABLE_H

/// Name, and which values it takes and what the rule gets.
#define SHUNT_SCHEMA_TABLE(X) \
    X("text", "a text; min and max are bytes") \
    X("integer", "a whole number of 64 bits") \
    X("number", "a number") \
    X("boolean", "true or false") \
    X("duration", "a time such as \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\", or a number of seconds; the rule gets seconds") \
    X("size", "a size such as \"64KiB\", \"1MiB\", \"1GiB\", or a number of bytes; the rule gets bytes") \
    X("topic", "a topic, without + and #") \
    X("filter", "a topic filter, such as \"orders/+\"") \
    X("path", "a dotted path to a field, such as \"card.pin\" or \"items.*.cost\"; the rule gets a list of its names") \
    X("enum", "one of the values that it names: enum { \"drop\", \"reject\" }") \
    X("list", "a list, and what each element is: list(text); min and max are elements") \
    X("map", "names with values, and what each value is: map(integer); min and max are entries") \
    X("table", "a table with these fields: table { rate = number }; braces alone say the same") \
    X("any", "whatever YAML can say")

/// Keys of what a word gives when it is called: the type's name, and the file and line of the call. Arguments follow from 1.
#define SHUNT_SCHEMA_TYPE "$type"
#define SHUNT_SCHEMA_PLACE "$place"
/// In the rule's `settings`: globals that its files read and that are not there, each followed by its file and line.
#define SHUNT_SCHEMA_MISSED "$missed"

#endif
