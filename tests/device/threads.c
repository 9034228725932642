/* The documented rule (device.h): contexts are independent of each other and may be used from different threads at once; one
 * context may pass from thread to thread as long as one at a time uses it. Without Criterion, so that tests/threads.sh can run
 * it under ThreadSanitizer: ends with 0, or with 1 and a message. */
#include <clattn/clattn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define ROUNDS 6
#define SIZE 24

static void expect(clattn_status status, const clattn_context *context, const char *what) {
    if (status == CLATTN_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, clattn_status_name(status), clattn_message(context));
    exit(1);
}

/* a b, where b is the identity times `factor`, through a view and a frozen weight; then rows that sum to 1. */
static void work(clattn_context *context, float factor) {
    static const int64_t shape[] = { SIZE, SIZE };
    float values[SIZE * SIZE], weights[SIZE * SIZE] = { 0 }, found[SIZE * SIZE];
    clattn_tensor a, b, out;
    for (int i = 0; i < SIZE * SIZE; i++) values[i] = (float)(i % 7);
    for (int i = 0; i < SIZE; i++) weights[i * SIZE + i] = factor;
    expect(clattn_tensor_create(context, &a, CLATTN_F32, 2, shape, values), context, "create");
    expect(clattn_tensor_create(context, &b, CLATTN_F32, 2, shape, weights), context, "create");
    expect(clattn_tensor_create(context, &out, CLATTN_F32, 2, shape, NULL), context, "create");
    clattn_tensor_freeze(&b);
    const clattn_tensor turned = clattn_tensor_transposed(&a, (int[]){ 1, 0 });
    expect(clattn_matmul(context, &(clattn_matmul_args){ .a = &turned, .b = &b, .out = &out }), context, "matmul");
    expect(clattn_tensor_read(context, &out, found), context, "read");
    for (int i = 0; i < SIZE * SIZE; i++) {
        if (found[i] == factor * values[i % SIZE * SIZE + i / SIZE]) continue;
        fprintf(stderr, "matmul: element %d is %g\n", i, (double)found[i]);
        exit(1);
    }
    expect(clattn_softmax(context, &(clattn_softmax_args){ .x = &turned, .out = &out }), context, "softmax");
    expect(clattn_tensor_read(context, &out, found), context, "read");
    double sum = 0;
    for (int i = 0; i < SIZE; i++) sum += (double)found[i];
    if (!(sum > 0.9999 && sum < 1.0001)) {
        fprintf(stderr, "softmax: a row's sum is %g\n", sum);
        exit(1);
    }
    clattn_tensor_free(&a);
    clattn_tensor_free(&b);
    clattn_tensor_free(&out);
}

static void *with_own_context(void *number) {
    for (int i = 0; i < 2; i++) {
        clattn_context *context;
        const clattn_status status = clattn_open(&context, NULL);
        expect(status, context, "open");
        for (int k = 0; k < ROUNDS; k++) work(context, (float)(*(int *)number + 1));
        expect(clattn_finish(context), context, "finish");
        clattn_close(&context);
    }
    return NULL;
}

static clattn_context *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *with_shared_context(void *number) {
    for (int k = 0; k < ROUNDS; k++) {
        pthread_mutex_lock(&lock);
        work(shared, (float)(*(int *)number + 1));
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void in_threads(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, body, &numbers[i])) exit(1);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

int main(void) {
    in_threads(with_own_context);
    const clattn_status status = clattn_open(&shared, NULL);
    expect(status, shared, "open");
    in_threads(with_shared_context);
    clattn_close(&shared);
    puts("threads: a context each, and one context in turn");
    return 0;
}
