#include "beam.h"

#include <stdlib.h>
#include <string.h>

/* A live hypothesis and one more word. */
typedef struct candidate {
    double log_p;
    int parent;
    int32_t word;
    bool greedy;
} candidate;

void clattn_beam_begin(clattn_beam *beam, int width, int columns, int longest) {
    *beam = (clattn_beam){ .width = width, .columns = columns, .longest = longest, .live_count = 1, .best = -1 };
    beam->live[0] = (clattn_hypothesis){ .node = -1, .greedy = true };
}

void clattn_beam_free(clattn_beam *beam) {
    free(beam->nodes);
    free(beam->weights);
    *beam = (clattn_beam){ 0 };
}

int32_t clattn_beam_word(const clattn_beam *beam, int index) {
    const int node = beam->live[index].node;
    return node < 0 ? -1 : beam->nodes[node].word;
}

static int32_t likeliest(const float *log_p, int vocabulary) {
    int32_t best = 0;
    for (int32_t word = 1; word < vocabulary; word++)
        if (log_p[word] > log_p[best]) best = word;
    return best;
}

/* Puts a candidate into the descending list of at most `room`, behind its equals. */
static int insert(candidate *list, int count, int room, candidate c) {
    if (count == room && !(c.log_p > list[count - 1].log_p)) return count;
    int at = count < room ? count : count - 1;
    for (; at > 0 && c.log_p > list[at - 1].log_p; at--) list[at] = list[at - 1];
    list[at] = c;
    return count < room ? count + 1 : count;
}

/* The `room` likeliest continuations, the greedy one among them in any case. */
static int choose(const clattn_beam *beam, const float *log_p, int vocabulary, candidate *list, int room) {
    int count = 0, greedy_at = -1;
    candidate greedy = { .greedy = false };
    for (int i = 0; i < beam->live_count; i++) {
        const float *row = log_p + (size_t)i * (size_t)vocabulary;
        const int32_t top = beam->live[i].greedy ? likeliest(row, vocabulary) : -1;
        for (int32_t word = 0; word < vocabulary; word++) {
            const candidate c = { beam->live[i].log_p + (double)row[word], i, word, word == top };
            if (c.greedy) greedy = c;
            count = insert(list, count, room, c);
        }
    }
    for (int i = 0; i < count; i++)
        if (list[i].greedy) greedy_at = i;
    if (!greedy.greedy || greedy_at >= 0) return count;
    const int last = count > 0 ? count - 1 : 0;
    list[last] = greedy;
    return last + 1;
}

static bool make_room(clattn_beam *beam) {
    if (beam->node_count < beam->node_capacity) return true;
    const int capacity = beam->node_capacity ? 2 * beam->node_capacity : 64;
    clattn_beam_node *nodes = realloc(beam->nodes, (size_t)capacity * sizeof *nodes);
    if (nodes) beam->nodes = nodes;
    float *weights = realloc(beam->weights, (size_t)capacity * (size_t)beam->columns * sizeof *weights);
    if (weights) beam->weights = weights;
    if (nodes && weights) beam->node_capacity = capacity;
    return nodes && weights;
}

static int add_node(clattn_beam *beam, int before, int32_t word, const float *weights) {
    if (!make_room(beam)) return -1;
    beam->nodes[beam->node_count] = (clattn_beam_node){ .before = before, .length = before < 0 ? 1 : beam->nodes[before].length + 1, .word = word };
    memcpy(beam->weights + (size_t)beam->node_count * (size_t)beam->columns, weights, (size_t)beam->columns * sizeof *weights);
    return beam->node_count++;
}

static void end_hypothesis(clattn_beam *beam, int node, double log_p) {
    const double score = log_p / beam->nodes[node].length;
    beam->ended_count++;
    if (beam->best >= 0 && !(score > beam->score)) return;
    beam->best = node;
    beam->score = score;
}

bool clattn_beam_step(clattn_beam *beam, const float *log_p, int vocabulary, int32_t end, const float *weights, size_t weights_row) {
    candidate list[CLATTN_BEAM_WIDEST];
    clattn_hypothesis next[CLATTN_BEAM_WIDEST];
    int next_count = 0;
    const int count = choose(beam, log_p, vocabulary, list, beam->width - beam->ended_count);
    for (int i = 0; i < count; i++) {
        const int node = add_node(beam, beam->live[list[i].parent].node, list[i].word, weights + (size_t)list[i].parent * weights_row);
        if (node < 0) return false;
        if (list[i].word == end || beam->nodes[node].length >= beam->longest) end_hypothesis(beam, node, list[i].log_p);
        else next[next_count++] = (clattn_hypothesis){ list[i].log_p, node, list[i].parent, list[i].greedy };
    }
    memcpy(beam->live, next, (size_t)next_count * sizeof *next);
    beam->live_count = next_count;
    return true;
}
