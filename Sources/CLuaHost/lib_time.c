// time.now(), time.format(seconds[, pattern]), time.parse(text): UTC, whatever the machine's zone.
#include "host.h"

#include <math.h>
#include <stdio.h>

enum { MAX_TIME_TEXT = 64 };

typedef struct {
    int64_t year;
    int month, day, hour, minute, second, weekday;
} civil_time;

/// Days since 1970-01-01 of a date in the Gregorian calendar, which repeats every 400 years.
static int64_t days_from_civil(int64_t year, int month, int day) {
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static civil_time civil_from_seconds(int64_t seconds) {
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;
    int month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    return (civil_time){
        .year = year_of_era + era * 400 + (month <= 2), .month = month, .day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1),
        .hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60), .second = (int)(rest % 60),
        .weekday = (int)(((days % 7) + 11) % 7),
    };
}

static int time_now(lua_State *L) {
    lua_pushnumber(L, host_of(L)->now);
    return 1;
}

static void add_part(lua_State *L, shunt_host *host, const civil_time *t, char part) {
    char text[32];
    int count;
    switch (part) {
    case 'Y': count = snprintf(text, sizeof text, "%04lld", (long long)t->year); break;
    case 'm': count = snprintf(text, sizeof text, "%02d", t->month); break;
    case 'd': count = snprintf(text, sizeof text, "%02d", t->day); break;
    case 'H': count = snprintf(text, sizeof text, "%02d", t->hour); break;
    case 'M': count = snprintf(text, sizeof text, "%02d", t->minute); break;
    case 'S': count = snprintf(text, sizeof text, "%02d", t->second); break;
    case 'w': count = snprintf(text, sizeof text, "%d", t->weekday); break;
    case '%': count = snprintf(text, sizeof text, "%%"); break;
    default: luaL_error(L, "time.format: %%%c is none of %%Y %%m %%d %%H %%M %%S %%w %%%%", part); return;
    }
    scratch_add(L, host, text, (size_t)count);
}

static int time_format(lua_State *L) {
    shunt_host *host = host_of(L);
    double seconds = floor(luaL_optnumber(L, 1, host->now));
    size_t count, base = host->scratch.count;
    const char *format = luaL_optlstring(L, 2, "%Y-%m-%dT%H:%M:%SZ", &count);
    luaL_argcheck(L, fabs(seconds) < 1e12, 1, "not a time in seconds since 1970");
    civil_time t = civil_from_seconds((int64_t)seconds);
    for (size_t i = 0; i < count; i++) {
        budget_check(L, host);
        if (format[i] == '%') {
            add_part(L, host, &t, ++i < count ? format[i] : ' ');
        } else {
            scratch_char(L, host, format[i]);
        }
    }
    scratch_push(L, host, base);
    return 1;
}

static bool digits(const char **at, int count, int *value) {
    *value = 0;
    for (; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9') { return false; }
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char c) { return *(*at)++ == c; }

/// RFC 3339 allows a small t.
static bool time_mark(const char **at) {
    char c = *(*at)++;
    return c == 'T' || c == 't';
}

static bool days_fit(int year, int month, int day) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1) { return false; }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= lengths[month - 1] + (month == 2 && leap);
}

/// RFC 3339: 2026-01-31T12:00:00.5Z or with +01:00. `text` ends with a zero.
static bool parse(const char *at, double *seconds) {
    int year, month, day, hour, minute, second, zone_hour = 0, zone_minute = 0, sign = 0;
    double fraction = 0;
    if (!(digits(&at, 4, &year) && literal(&at, '-') && digits(&at, 2, &month) && literal(&at, '-') && digits(&at, 2, &day)
          && time_mark(&at) && digits(&at, 2, &hour) && literal(&at, ':') && digits(&at, 2, &minute) && literal(&at, ':')
          && digits(&at, 2, &second))) {
        return false;
    }
    if (*at == '.') {
        double unit = 0.1;
        at++;
        if (*at < '0' || *at > '9') { return false; }
        for (; *at >= '0' && *at <= '9'; at++, unit /= 10) { fraction += unit * (*at - '0'); }
    }
    if (*at == 'Z' || *at == 'z') {
        at++;
    } else {
        sign = *at == '+' ? 1 : *at == '-' ? -1 : 0;
        at++;
        if (sign == 0 || !(digits(&at, 2, &zone_hour) && literal(&at, ':') && digits(&at, 2, &zone_minute))) { return false; }
    }
    if (*at != 0 || !days_fit(year, month, day) || hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59) {
        return false;
    }
    int64_t local = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    int64_t whole = local - sign * (zone_hour * 3600 + zone_minute * 60);
    *seconds = (double)whole + fraction;
    return true;
}

static int time_parse(lua_State *L) {
    double seconds;
    size_t count;
    const char *text = luaL_checklstring(L, 1, &count);
    // Digits after the point are as many as one likes; no more of them than this mean anything.
    if (count <= MAX_TIME_TEXT && memchr(text, 0, count) == NULL && parse(text, &seconds)) {
        lua_pushnumber(L, seconds);
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "not a time like 2026-01-31T12:00:00Z");
    return 2;
}

void open_time(lua_State *L) {
    static const luaL_Reg functions[] = {{"now", time_now}, {"format", time_format}, {"parse", time_parse}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
