// string.format without fixed buffers that a rule could fill, and without %p, which tells addresses.
#include "host.h"

#include <ctype.h>
#include <stdio.h>

typedef struct {
    char flags[8];
    int width, precision;
    bool left;
    char conversion;
} specification;

static const char *read_digits(lua_State *L, const char *at, int *value) {
    *value = 0;
    for (int digits = 0; isdigit((unsigned char)*at); at++) {
        if (++digits > 2) { luaL_error(L, "invalid format (width or precision over 99)"); }
        *value = *value * 10 + (*at - '0');
    }
    return at;
}

/// After the `%`. Format strings end with a zero, as all Lua strings do.
static const char *read_specification(lua_State *L, const char *at, specification *spec) {
    size_t flags = 0;
    *spec = (specification){.precision = -1};
    for (; *at != 0 && strchr("-+ #0", *at) != NULL; at++) {
        if (flags >= 5) { luaL_error(L, "invalid format (repeated flags)"); }
        spec->flags[flags++] = *at;
        spec->left |= *at == '-';
    }
    at = read_digits(L, at, &spec->width);
    if (*at == '.') { at = read_digits(L, at + 1, &spec->precision); }
    spec->conversion = *at;
    return at + 1;
}

static void add_padded(lua_State *L, shunt_host *host, const specification *spec, const char *text, size_t count) {
    if (spec->precision >= 0 && (size_t)spec->precision < count) { count = (size_t)spec->precision; }
    size_t padding = (size_t)spec->width > count ? (size_t)spec->width - count : 0;
    for (size_t i = 0; i < padding && !spec->left; i++) { scratch_char(L, host, ' '); }
    scratch_add(L, host, text, count);
    for (size_t i = 0; i < padding && spec->left; i++) { scratch_char(L, host, ' '); }
}

/// Numbers through snprintf: at most 99 digits after the point of a number of at most 309.
static void add_number(lua_State *L, shunt_host *host, const specification *spec, int argument) {
    char format[32], text[512];
    bool integer = strchr("dixXo", spec->conversion) != NULL;
    shunt_bytes digits = big_integer_digits(L, argument);
    if (digits.count > 0 && (spec->conversion == 'd' || spec->conversion == 'i')) {
        add_padded(L, host, &(specification){.width = spec->width, .left = spec->left, .precision = -1}, digits.start, digits.count);
        return;
    }
    char precision[8] = "", width[8] = "";
    if (spec->precision >= 0) { snprintf(precision, sizeof precision, ".%d", spec->precision); }
    if (spec->width > 0) { snprintf(width, sizeof width, "%d", spec->width); }
    snprintf(format, sizeof format, "%%%s%s%s%s%c", spec->flags, width, precision, integer ? "ll" : "", spec->conversion);
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
    int count = integer ? snprintf(text, sizeof text, format, (long long)luaL_checkinteger(L, argument))
                        : snprintf(text, sizeof text, format, luaL_checknumber(L, argument));
#pragma clang diagnostic pop
    if (count > 0) { scratch_add(L, host, text, (size_t)count < sizeof text ? (size_t)count : sizeof text - 1); }
}

static void add_argument(lua_State *L, shunt_host *host, const specification *spec, int argument) {
    if (spec->conversion == 0) { luaL_error(L, "invalid format (ends with '%%')"); }
    if (strchr("dixXoaAeEfFgG", spec->conversion) != NULL) {
        add_number(L, host, spec, argument);
    } else if (spec->conversion == 'c') {
        char c = (char)luaL_checkinteger(L, argument);
        add_padded(L, host, &(specification){.width = spec->width, .left = spec->left, .precision = -1}, &c, 1);
    } else if (spec->conversion == 's') {
        size_t count;
        luaL_checkany(L, argument);
        const char *text = push_text_of(L, argument, &count);
        add_padded(L, host, spec, text, count);
        lua_pop(L, 1);
    } else {
        luaL_error(L, "invalid conversion '%%%c' to 'format' (there are %%c %%d %%i %%o %%x %%X %%a %%e %%f %%g %%s %%%%)",
                   spec->conversion);
    }
}

int string_format(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count, base = host->scratch.count;
    const char *at = luaL_checklstring(L, 1, &count), *end = at + count;
    int argument = 1;
    while (at < end) {
        budget_check(L, host);
        if (*at != '%') {
            scratch_char(L, host, *at++);
        } else if (at[1] == '%') {
            scratch_char(L, host, '%');
            at += 2;
        } else {
            specification spec;
            at = read_specification(L, at + 1, &spec);
            add_argument(L, host, &spec, ++argument);
        }
    }
    scratch_push(L, host, base);
    return 1;
}
