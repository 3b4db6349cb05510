#ifndef SHUNT_COPENSSL_SHIM_H
#define SHUNT_COPENSSL_SHIM_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>

// Macros that Swift does not import.

static inline long openssl_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline long openssl_set_connection_mode(SSL *connection, long mode) { return SSL_set_mode(connection, mode); }
static inline int openssl_set_minimum_version(SSL_CTX *context, int version) { return SSL_CTX_set_min_proto_version(context, version); }
static inline int openssl_set_groups(SSL_CTX *context, const char *names) { return SSL_CTX_set1_groups_list(context, names); }
static inline int openssl_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate);
}
static inline void openssl_set_session_cache(SSL_CTX *context, long mode) { SSL_CTX_set_session_cache_mode(context, mode); }
static inline void openssl_set_maximum_certificates(SSL_CTX *context, long bytes) { SSL_CTX_set_max_cert_list(context, bytes); }
static inline void openssl_set_name_callback(SSL_CTX *context, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline int openssl_set_name(SSL *connection, const char *name) { return SSL_set_tlsext_host_name(connection, name); }
// No compression, no renegotiation, no key exchange without forward secrecy comes back with an old session.
static inline void openssl_set_server_options(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION
        | SSL_OP_PRIORITIZE_CHACHA);
}
// HMAC with SHA-256. In C: the parameters hold pointers to their names.
static inline int openssl_set_mac_key(EVP_MAC_CTX *mac, const unsigned char *key, size_t length) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, length),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters);
}
static inline int openssl_print_name(BIO *out, const X509_NAME *name) { return X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253); }
static inline long openssl_memory(BIO *memory, char **start) { return BIO_get_mem_data(memory, start); }
static inline int openssl_ctx_data_index(void) { return SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL); }
static inline EVP_PKEY *openssl_ec_key(const char *curve) { return EVP_EC_gen(curve); }
static inline int openssl_name_count(const STACK_OF(GENERAL_NAME) *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *openssl_name_at(const STACK_OF(GENERAL_NAME) *names, int index) { return sk_GENERAL_NAME_value(names, index); }
static inline int openssl_push_name(STACK_OF(X509_NAME) *names, X509_NAME *name) { return sk_X509_NAME_push(names, name); }
static inline STACK_OF(X509_NAME) *openssl_new_names(void) { return sk_X509_NAME_new_null(); }

#endif
