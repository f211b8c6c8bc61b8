/* Two OpenSSL providers for tests, from one source; compiled by tests/fips/evidence/conftest.py.
 *
 * Counting (the default): loads the real FIPS module beside it (real-fips.so), hands it OpenSSL's own call-backs, and
 * forwards its dispatch tables with every implementation's function going through a slot that counts. Nothing is
 * computed here. `openmid_counts` returns the counters as lines "operation algorithm function count".
 *
 * Empty (-DEMPTY): loads, is active, and offers no algorithm at all.
 *
 * A slot passes eight machine words on, whatever the function takes: in the calling conventions of x86-64 (System V) and
 * AArch64 that is safe for functions of integer and pointer arguments, and the interface has no others.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#ifdef EMPTY

static const OSSL_PARAM *gettable(void *context)
{
    static const OSSL_PARAM names[] = {
        OSSL_PARAM_DEFN(OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0), OSSL_PARAM_END
    };
    return names;
}

static int get_params(void *context, OSSL_PARAM params[])
{
    for (; params->key != NULL; params++) {
        if (strcmp(params->key, OSSL_PROV_PARAM_NAME) == 0 && params->data_type == OSSL_PARAM_UTF8_PTR)
            *(const char **)params->data = "a provider that offers nothing";
        if (strcmp(params->key, OSSL_PROV_PARAM_STATUS) == 0 && params->data_type == OSSL_PARAM_INTEGER)
            *(int *)params->data = 1;
    }
    return 1;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
    *no_cache = 0;
    return NULL;
}

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **context)
{
    static const OSSL_DISPATCH table[] = {
        { OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable },
        { OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params },
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
        { 0, NULL }
    };
    *out = table;
    *context = (void *)handle;
    return 1;
}

#else

#define SLOTS 4096
#define MOST 256 /* algorithms of one operation */

typedef long (*word_function)(long, long, long, long, long, long, long, long);

static word_function originals[SLOTS];
static long counts[SLOTS];
static struct { int operation, function; const char *names; } what[SLOTS];
static int used;

#define SLOT(n) \
    static long slot_##n(long a, long b, long c, long d, long e, long f, long g, long h) \
    { \
        __atomic_add_fetch(&counts[0x##n], 1, __ATOMIC_RELAXED); \
        return originals[0x##n](a, b, c, d, e, f, g, h); \
    }
#define NAME(n) slot_##n,
#define S1(m, p) m(p##0) m(p##1) m(p##2) m(p##3) m(p##4) m(p##5) m(p##6) m(p##7) \
    m(p##8) m(p##9) m(p##a) m(p##b) m(p##c) m(p##d) m(p##e) m(p##f)
#define S2(m, p) S1(m, p##0) S1(m, p##1) S1(m, p##2) S1(m, p##3) S1(m, p##4) S1(m, p##5) S1(m, p##6) S1(m, p##7) \
    S1(m, p##8) S1(m, p##9) S1(m, p##a) S1(m, p##b) S1(m, p##c) S1(m, p##d) S1(m, p##e) S1(m, p##f)
#define S3(m) S2(m, 0) S2(m, 1) S2(m, 2) S2(m, 3) S2(m, 4) S2(m, 5) S2(m, 6) S2(m, 7) \
    S2(m, 8) S2(m, 9) S2(m, a) S2(m, b) S2(m, c) S2(m, d) S2(m, e) S2(m, f)

S3(SLOT)
static const word_function slots[SLOTS] = { S3(NAME) };

static OSSL_FUNC_provider_query_operation_fn *real_query;
static OSSL_FUNC_core_get_params_fn *core_get_params;
static char real_module[4096];

/* The real module checks its own file against the MAC: it has to be told where that file is. */
static int get_params_for_real(const OSSL_CORE_HANDLE *handle, OSSL_PARAM params[])
{
    int done = core_get_params(handle, params);
    for (; params->key != NULL; params++)
        if (strcmp(params->key, OSSL_PROV_PARAM_CORE_MODULE_FILENAME) == 0 && params->data_type == OSSL_PARAM_UTF8_PTR)
            *(const char **)params->data = real_module;
    return done;
}

static const OSSL_DISPATCH *counted(int operation, const char *names, const OSSL_DISPATCH *real)
{
    int count = 0, i;
    OSSL_DISPATCH *made;
    while (real[count].function_id != 0)
        count++;
    made = calloc(count + 1, sizeof(*made));
    for (i = 0; made != NULL && i < count; i++) {
        made[i] = real[i];
        if (used < SLOTS) {
            what[used].operation = operation;
            what[used].function = real[i].function_id;
            what[used].names = names;
            originals[used] = (word_function)real[i].function;
            made[i].function = (void (*)(void))slots[used++];
        }
    }
    return made;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
    static OSSL_ALGORITHM *made[64];
    const OSSL_ALGORITHM *real = real_query(context, operation, no_cache);
    int count = 0, i;
    if (real == NULL || operation < 0 || operation >= 64)
        return real;
    if (made[operation] != NULL)
        return made[operation];
    while (real[count].algorithm_names != NULL)
        count++;
    made[operation] = calloc(count + 1, sizeof(**made));
    for (i = 0; i < count; i++) {
        made[operation][i] = real[i];
        made[operation][i].implementation = counted(operation, real[i].algorithm_names, real[i].implementation);
    }
    return made[operation];
}

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **context)
{
    static OSSL_DISPATCH to_real[128], from_real[32];
    const OSSL_DISPATCH *theirs;
    OSSL_provider_init_fn *start;
    Dl_info self;
    void *library;
    int i;

    if (!dladdr((void *)OSSL_provider_init, &self))
        return 0;
    snprintf(real_module, sizeof(real_module) - 16, "%s", self.dli_fname);
    strcpy(strrchr(real_module, '/') + 1, "real-fips.so");
    library = dlopen(real_module, RTLD_NOW | RTLD_LOCAL);
    start = library ? (OSSL_provider_init_fn *)dlsym(library, "OSSL_provider_init") : NULL;
    if (start == NULL)
        return 0;
    for (i = 0; in[i].function_id != 0 && i < 127; i++) {
        to_real[i] = in[i];
        if (in[i].function_id == OSSL_FUNC_CORE_GET_PARAMS) {
            core_get_params = OSSL_FUNC_core_get_params(&in[i]);
            to_real[i].function = (void (*)(void))get_params_for_real;
        }
    }
    if (!start(handle, to_real, &theirs, context))
        return 0;
    for (i = 0; theirs[i].function_id != 0 && i < 31; i++) {
        from_real[i] = theirs[i];
        if (theirs[i].function_id == OSSL_FUNC_PROVIDER_QUERY_OPERATION) {
            real_query = OSSL_FUNC_provider_query_operation(&theirs[i]);
            from_real[i].function = (void (*)(void))query;
        }
    }
    *out = from_real;
    return 1;
}

/* The counters that are not zero, one a line; the caller does not free it. */
const char *openmid_counts(void)
{
    static char text[1 << 20];
    size_t length = 0;
    int i;
    text[0] = '\0';
    for (i = 0; i < used; i++)
        if (counts[i] != 0 && length < sizeof(text) - 512)
            length += snprintf(text + length, sizeof(text) - length, "%d %.300s %d %ld\n", what[i].operation,
                               what[i].names, what[i].function, counts[i]);
    if (used == SLOTS)
        snprintf(text + length, sizeof(text) - length, "0 FULL 0 1\n");
    return text;
}

#endif
