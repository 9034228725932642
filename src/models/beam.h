/* Beam search over the words of one sentence, on the host: which hypotheses go on, which have ended, which is best. */
#ifndef CLATTN_MODELS_BEAM_H
#define CLATTN_MODELS_BEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The widest beam. */
#define CLATTN_BEAM_WIDEST 64

/* A word of a hypothesis and the way back to its first. */
typedef struct clattn_beam_node {
    int before; /* index of the node before, -1 at the first word */
    int length; /* words up to here */
    int32_t word;
} clattn_beam_node;

typedef struct clattn_hypothesis {
    double log_p; /* sum over its words */
    int node;     /* its last word; -1 before the first */
    int parent;   /* index, before the latest step, of the hypothesis that it continues */
    bool greedy;  /* it took the likeliest word at every step */
} clattn_hypothesis;

typedef struct clattn_beam {
    int width, columns, longest;
    clattn_beam_node *nodes;
    float *weights; /* [node_count, columns]: the attention weights of each word */
    int node_count, node_capacity;
    clattn_hypothesis live[CLATTN_BEAM_WIDEST]; /* the likeliest first */
    int live_count, ended_count;
    double score; /* of the best that has ended: log p / length */
    int best;     /* its last node; -1: none has ended */
} clattn_beam;

/* `columns`: tokens of the source; `longest`: the most words of a translation. */
void clattn_beam_begin(clattn_beam *beam, int width, int columns, int longest);
void clattn_beam_free(clattn_beam *beam);
/* One step: log_p and weights hold a row for each live hypothesis. The likeliest continuations take the places that are not
 * taken by ended hypotheses; ties go to the hypothesis and then the word that comes first. The greedy hypothesis always
 * keeps a place, so that a wider beam never ends with less than the greedy search. False without memory. */
bool clattn_beam_step(clattn_beam *beam, const float *log_p, int vocabulary, int32_t end, const float *weights, size_t weights_row);
/* The last word of a live hypothesis; -1 before the first. */
int32_t clattn_beam_word(const clattn_beam *beam, int index);

#endif
