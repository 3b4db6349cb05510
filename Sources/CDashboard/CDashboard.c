// The page's files as constants. #embed is C23's, and clang has it for earlier C too; it tells the build of them, so a change is built anew.

#include "CDashboard.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char index_html[] = {
#embed "page/index.html"
};
static const unsigned char dashboard_css[] = {
#embed "page/dashboard.css"
};
static const unsigned char dashboard_js[] = {
#embed "page/dashboard.js"
};
static const unsigned char api_js[] = {
#embed "page/api.js"
};
static const unsigned char elements_js[] = {
#embed "page/elements.js"
};
static const unsigned char table_js[] = {
#embed "page/table.js"
};
static const unsigned char view_js[] = {
#embed "page/view.js"
};
static const unsigned char figures_js[] = {
#embed "page/figures.js"
};
static const unsigned char history_js[] = {
#embed "page/history.js"
};
static const unsigned char cluster_js[] = {
#embed "page/cluster.js"
};
static const unsigned char clients_js[] = {
#embed "page/clients.js"
};
static const unsigned char sessions_js[] = {
#embed "page/sessions.js"
};
static const unsigned char subscriptions_js[] = {
#embed "page/subscriptions.js"
};
static const unsigned char access_js[] = {
#embed "page/access.js"
};
static const unsigned char rules_js[] = {
#embed "page/rules.js"
};
static const unsigned char mqtt_js[] = {
#embed "page/mqtt.js"
};
static const unsigned char connection_js[] = {
#embed "page/connection.js"
};
static const unsigned char topics_js[] = {
#embed "page/topics.js"
};
static const unsigned char try_js[] = {
#embed "page/try.js"
};

static const dashboard_file files[] = {
    {"index.html", index_html, sizeof index_html},
    {"dashboard.css", dashboard_css, sizeof dashboard_css},
    {"dashboard.js", dashboard_js, sizeof dashboard_js},
    {"api.js", api_js, sizeof api_js},
    {"elements.js", elements_js, sizeof elements_js},
    {"table.js", table_js, sizeof table_js},
    {"view.js", view_js, sizeof view_js},
    {"figures.js", figures_js, sizeof figures_js},
    {"history.js", history_js, sizeof history_js},
    {"cluster.js", cluster_js, sizeof cluster_js},
    {"clients.js", clients_js, sizeof clients_js},
    {"sessions.js", sessions_js, sizeof sessions_js},
    {"subscriptions.js", subscriptions_js, sizeof subscriptions_js},
    {"access.js", access_js, sizeof access_js},
    {"rules.js", rules_js, sizeof rules_js},
    {"mqtt.js", mqtt_js, sizeof mqtt_js},
    {"connection.js", connection_js, sizeof connection_js},
    {"topics.js", topics_js, sizeof topics_js},
    {"try.js", try_js, sizeof try_js},
};

dashboard_file dashboard_file_at(size_t number) {
    if (number >= sizeof files / sizeof *files) return (dashboard_file){NULL, NULL, 0};
    return files[number];
}
